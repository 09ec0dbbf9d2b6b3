/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Following: every launched job is followed by a watch, a delayed message that comes to the handler
 * `watch` minutes later. While GitHub says that the job is queued, there is a machine for it, a
 * message that will launch one, or a watch.
 */

#include <stddef.h>

#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* A machine has a job after half a minute, or never. Jobs of a burst and jobs that are launched
 * again often swap machines, so their watch looks sooner for those that are left without one. */
#define FOLLOW_SECONDS (4 * 60)
#define FOLLOW_SOON_SECONDS 90
/* The longest delay that SQS allows. */
#define FOLLOW_LATE_SECONDS (15 * 60)

/* Sends a watch for each of JOBS, at most SQS_BATCH_MAX, due in DELAY_SECONDS; 0 means the time
 * that is usual after a launch. They have `instance` set, and `runner_id` where it is known. 0 or
 * negative. */
int follow_jobs(struct scaler *scaler, struct job *const *jobs, size_t n_jobs,
        unsigned delay_seconds, struct err *err);
