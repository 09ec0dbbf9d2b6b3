/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the runner prints: bytes of any kind in, clean lines out, and among the lines those few that
 * tell how far it is. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

/* Longer lines are cut. */
#define OUTPUT_LINE_MAX 4096

struct output {
        char line[OUTPUT_LINE_MAX + 8]; /* and what marks a cut */
        size_t size;
        bool is_cut; /* the rest of this line is passed over */
};

/* LINE is UTF-8 without control characters, not empty, and valid during the call. */
typedef void (*output_line)(void *userdata, const char *line);

void output_add(
        struct output *output, const char *bytes, size_t size, output_line tell, void *userdata);
/* The output has ended: what came after the last line break is a line, too. */
void output_end(struct output *output, output_line tell, void *userdata);

enum output_marker {
        OUTPUT_OTHER,
        OUTPUT_LISTENING,    /* "Listening for Jobs" */
        OUTPUT_JOB_STARTED,  /* "Running job: NAME" */
        OUTPUT_JOB_FINISHED, /* "Job NAME completed with result: RESULT" */
};

/* What LINE says. The name and the result (owned by the caller) are set where the marker has them.
 */
enum output_marker output_read(const char *line, char **ret_name, char **ret_result);
