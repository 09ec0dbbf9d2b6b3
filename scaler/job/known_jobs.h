/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What GitHub said of jobs, as long as this process is warm. One call tells of a hundred jobs of a
 * run, so most of a burst's questions have been answered with another's.
 */

#include "job.h"
#include "scaler.h"

void known_jobs_note(struct scaler *scaler, int64_t id, enum job_state state);

/* What GitHub said last of the job: UNKNOWN if it said nothing, or that was long ago.
 * *ret_ms: when, by the wall clock. */
enum job_state known_job(const struct scaler *scaler, int64_t id, int64_t *ret_ms);
