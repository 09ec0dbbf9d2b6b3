/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Giving a job back: a machine that ended without having run a job leaves one job too many in
 * GitHub's queue, so the job that it was launched for is launched again, a few times.
 */

#include <stdbool.h>

#include "base/err.h"
#include "exchange/handover.h"
#include "scaler.h"

/* A job is given back so often; after that its machines, not the moment, are what is wrong. */
#define GIVE_BACK_MAX 3

/* Queues JOB again: 0 with *ret_given, which is false for a job that was given back often enough or
 * is not configured any more; or negative. */
int give_back(struct scaler *scaler, const struct handover_job *job, const char *spec,
        const struct handover_times *times, bool *ret_given, struct err *err);
