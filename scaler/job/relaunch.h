/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Relaunching: the machine of a launch is gone or has worked for another job, and its job still
 * waits. The next launch gets the next name, and begins one offer further on.
 */

#include <stdbool.h>

#include "base/err.h"
#include "job.h"
#include "scaler.h"

enum relaunch_reason {
        RELAUNCH_ENDED,  /* its machine ended: counts */
        RELAUNCH_TAKEN,  /* another job took its machine */
        RELAUNCH_IN_VAIN /* its runner listened until its idle limit: counts by itself */
};

/* Sends the next launch for JOB: at once the first time, after growing pauses later. After
 * `max_relaunches` machines that ended without having run the job, bad luck is not the cause:
 * people are told, and one machine an hour is tried. The pauses also grow, to a quarter of an hour,
 * with machines to which no job came, of which people heard as they ended. 0 or negative.
 * JOB becomes that launch. */
int relaunch_job(
        struct scaler *scaler, struct job *job, enum relaunch_reason reason, struct err *err);

/* Sends the next launches of up to SQS_BATCH_MAX jobs, whose machines other jobs took, to the end
 * of the line (paced.h). 0 or negative: then some may have been sent. JOBS become those launches.
 */
int relaunch_in_line(
        struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err);
