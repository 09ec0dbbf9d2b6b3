/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Parking: a job for which no offer has capacity goes to the parked queue as a new, delayed
 * message, and comes back to `queued` for another try.
 */

#include <stdbool.h>

#include "base/err.h"
#include "job.h"
#include "launch.h"
#include "scaler.h"

/* Sends JOB to the parked queue, with a delay that grows from try to try, and tells people once
 * per spec and quarter of an hour. 0 or negative. */
int park_job(struct scaler *scaler, struct job *job, const struct launch *launch, struct err *err);

/* Whether JOB is too old to be run: GitHub cancels a job that was queued for 24 hours. Logs it. */
bool job_has_expired(struct scaler *scaler, const struct job *job);

/* Tells people why the jobs of LAUNCH wait. */
void tell_jobs_wait(struct scaler *scaler, const struct launch *launch);
