/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Giving a job back: when a machine ends without having run a job, GitHub is left with more waiting
 * jobs than machines will come. So the job that the machine was launched for is queued again, up to
 * GIVE_BACK_MAX times.
 */

#include <stdbool.h>

#include "base/err.h"
#include "exchange/handover.h"
#include "scaler.h"

/* After so many machines that ended too early, bad luck is not the cause. */
#define GIVE_BACK_MAX 3

/* Queues JOB again. 0, with *ret_given_back false if the job was given back too often or is no
 * longer configured; or negative. */
int give_back_job(struct scaler *scaler, const struct handover_job *job, const char *spec,
        const struct handover_times *times, bool *ret_given_back, struct err *err);
