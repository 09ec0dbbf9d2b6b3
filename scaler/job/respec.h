/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The spec of a job that waited in a queue: meanwhile the configuration may have changed.
 */

#include "base/err.h"
#include "config/config.h"
#include "job.h"
#include "scaler.h"

/* The spec of JOB in CONFIG, or in what was stored since: matched again by its labels, and noted in
 * JOB, where it was renamed or removed. NULL without one, with the reason in ERR. */
const struct config_spec *job_respec(
        struct scaler *scaler, const struct config *config, struct job *job, struct err *err);
