/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the end of the runner's process means.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum runner_exit_next {
        RUNNER_EXIT_FINAL,   /* another start would end in the same way */
        RUNNER_EXIT_RESTART, /* worth another start */
        RUNNER_EXIT_UPDATE,  /* worth another start, when the runner has updated itself */
};

/* What to do after exit code CODE (-1: killed by a signal) when no job ran. Pure. */
enum runner_exit_next runner_exit_next(int64_t code);

/* Whether the runner in DIRECTORY has finished an update of itself since SINCE_MS (wall clock). */
bool runner_exit_is_updated(const char *directory, int64_t since_ms);

/* Why a runner that nobody stopped did not run a job to its end, and what to do about it. SIGNAL:
 * what killed it, or 0; LAST_LINE: what it printed last, or "". Pure. */
void runner_exit_explain(
        int64_t code, int signal, bool had_job, const char *last_line, struct err *ret);
