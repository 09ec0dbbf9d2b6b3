/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the end of the runner's process means. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum runner_exit_next {
        RUNNER_EXIT_FINAL,   /* it will not get better */
        RUNNER_EXIT_RESTART, /* worth another start */
        RUNNER_EXIT_UPDATE,  /* another start when the runner's update is in place */
};

/* What to do after exit code CODE (-1: killed by a signal), as far as there was no job. */
enum runner_exit_next runner_exit_next(int64_t code);

/* Why a runner that ended by itself ran no job to its end, and what to do about it. SIGNAL: what
 * killed it, or 0; LAST_LINE: what it printed last, or "". */
void runner_exit_explain(
        int64_t code, int signal, bool had_job, const char *last_line, struct err *ret);
