/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Anybody may fork a public repository, change the workflow in it and open a pull request: its jobs
 * run what a stranger wrote. Unless their spec allows that, jobs of public repositories are
 * launched only once GitHub has said that their run's branch is in the repository itself. It is
 * asked once for each run, as long as the process is warm.
 */

#include <stdbool.h>

#include "config/config.h"
#include "job.h"
#include "scaler.h"
#include "setback.h"
#include "token_requests.h"

enum fork_verdict {
        FORK_NO,      /* the branch is in the repository itself */
        FORK_YES,     /* it is in another one, or that was deleted */
        FORK_UNKNOWN, /* GitHub cannot be asked now: see setback; result 0: it knows no such run */
};

struct fork_check {
        const struct job *job; /* set by the caller */

        enum fork_verdict verdict;
        struct setback setback;

        /* Of fork.c. */
        struct scaler *scaler;
        struct token_requests *tokens;
        struct fork_check *next; /* of the same run, which is asked for once */
};

/* Whether JOB may be launched only after a check. */
bool fork_needs_check(const struct config *config, const struct job *job);

/* Starts; the caller drives the network (http_finish). The checks must live until then. */
void fork_check_jobs(struct scaler *scaler, struct token_requests *tokens,
        struct fork_check *const *checks, size_t n_checks);

/* Nothing will be launched for JOB, whose run comes from a fork: logs that, counts it, and tells
 * people once for each run. 0, or negative when they could not be told. */
int fork_refuse_job(struct scaler *scaler, const struct job *job, struct err *err);
