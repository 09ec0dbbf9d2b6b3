/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Parking: a job that no offer has capacity for goes to the parked queue as a new, delayed message,
 * and comes back to `queued` with one try more.
 */

#include <stdbool.h>

#include "base/err.h"
#include "job.h"
#include "launch.h"
#include "scaler.h"

/* Sends JOB to the parked queue, later each time, and tells people once per spec and quarter of an
 * hour. 0 or negative. */
int park(struct scaler *scaler, struct job *job, const struct launch *launch, struct err *err);

/* Whether JOB is too old to be run: GitHub cancels a job that was queued for 24 hours. */
bool park_is_over(struct scaler *scaler, const struct job *job);

/* Tells people why LAUNCH launches nothing. */
void park_tell(struct scaler *scaler, const struct launch *launch);
