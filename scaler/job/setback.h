/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What keeps a job from going on. A passing setback parks the job and costs it nothing; any other
 * is final, and people are told. Which is which: github_call_is_passing(), aws_call_is_passing().
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "http/http_call.h"
#include "scaler.h"

struct setback {
        int result; /* negative; 0: none */
        bool passing;
        bool by_github;   /* else AWS */
        bool is_limit;    /* too many calls were made: for whom, the next one finds out as well */
        bool of_caller;   /* GitHub refused whoever called, so another App may get an answer */
        int64_t until_ms; /* wall clock: when a limit ends; 0 = unknown */
        struct err err;
};

/* What GitHub's answer to CALL, read with result R and ERR, means for jobs of INSTALLATION. A
 * passing one also pauses launches for them, unless GitHub fails for a single job or run. */
struct setback setback_by_github(struct scaler *scaler, int64_t installation,
        const struct http_call *call, int r, const struct err *err);
/* What AWS's answer to CALL, read with result R and ERR, means. */
struct setback setback_by_aws(const struct http_call *call, int r, const struct err *err);
/* A final setback, without a call that failed. */
struct setback setback_final(int r, const struct err *err);

/* Notes that GitHub has answered a call for INSTALLATION: what it failed for before was single jobs
 * and runs, and launches go on, but where a limit lasts. */
void setback_note_answer(struct scaler *scaler, int64_t installation);

/* Until when (wall clock) nothing is launched for INSTALLATION, since GitHub could not register the
 * runner: a limit was reached or GitHub failed a moment ago. 0: launch. */
int64_t setback_pause_until(const struct scaler *scaler, int64_t installation);

/* Whether launches for INSTALLATION have to wait: because of the pause above, or because it has no
 * token for SETBACK (may be NULL). Where additional Apps can register, neither a limit nor another
 * refusal of the first App holds launches back. */
bool setback_pauses_launches(
        const struct scaler *scaler, int64_t installation, const struct setback *setback);

/* GitHub's limits end within the hour. A clock that is wrong must not stop us for longer. */
#define SETBACK_MAX_MS (65 * 60 * MSEC_PER_SEC)

/* When (wall clock) the limit that SETBACK describes ends; in a minute, where GitHub did not
 * say. */
int64_t setback_ends(const struct scaler *scaler, const struct setback *setback);
