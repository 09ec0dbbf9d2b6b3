/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the runner prints: turns bytes of any kind into clean lines, and recognises the few lines
 * that mark its progress. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

/* Longer lines are cut. */
#define OUTPUT_LINE_MAX 4096

struct output {
        char line[OUTPUT_LINE_MAX + 8]; /* with room for the mark of a cut */
        size_t size;
        bool is_cut; /* the rest of this line is skipped */
};

/* LINE is UTF-8 without control characters, not empty, and valid during the call. */
typedef void (*output_line)(void *userdata, const char *line);

void output_add(
        struct output *output, const char *bytes, size_t size, output_line tell, void *userdata);
/* The output has ended: what follows the last line break is a line, too. */
void output_end(struct output *output, output_line tell, void *userdata);

enum output_marker {
        OUTPUT_OTHER,
        OUTPUT_LISTENING,    /* "Listening for Jobs" */
        OUTPUT_UPDATING,     /* "Runner update in progress, …" (SelfUpdater.cs) */
        OUTPUT_JOB_STARTED,  /* "Running job: NAME" */
        OUTPUT_JOB_FINISHED, /* "Job NAME completed with result: RESULT" */
};

/* What LINE marks. Sets the name and the result where the marker has them; the caller frees. */
enum output_marker output_read(const char *line, char **ret_name, char **ret_result);
