/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Giving a job back: a machine has ended without having run a job, and the job that it was launched
 * for gets another one (relaunch.h). The job's watch would see to that, too, but minutes later.
 */

#include <stdbool.h>

#include "base/err.h"
#include "exchange/handover.h"
#include "scaler.h"

/* Launches JOB again. 0, with *ret_given_back false if it is no longer configured, or what it says
 * cannot be true; or negative. */
int give_back_job(struct scaler *scaler, const struct handover_job *job, const char *spec,
        const struct handover_times *times, bool *ret_given_back, struct err *err);
