/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to the command `scaler retry`.
 */

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "job/job.h"
#include "kept_letters.h"
#include "scaler.h"

struct retry {
        struct kept_letters kept;
        struct scaler *scaler;
        int64_t job; /* only letters of this job; 0: all of them */
        bool lists;  /* says what there is, and moves nothing */
        bool dry_run;
        char *destination_name; /* the queue that was looked up last, and its URL */
        char *destination_url;
        unsigned n_done; /* listed or moved */
        unsigned n_stay; /* could not be moved */
        cJSON *letters;  /* of --json: what became of each; else NULL */
};

/* The queue that LETTER came from, or NULL. */
const char *retry_source(const struct sqs_received *letter);

/* Says what became of LETTER, which is of JOB unless that has no id: as a line, */
void retry_print_letter(
        const struct retry *retry, const struct sqs_received *letter, const struct job *job);
/* or in the JSON. FAULT: why the letter could not be moved; or NULL. */
void retry_add_letter(const struct retry *retry, const struct sqs_received *letter,
        const struct job *job, const char *fault);

/* The end: the JSON, or how many letters there were. */
void retry_print_totals(struct retry *retry);
