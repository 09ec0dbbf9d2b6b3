/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Running jobs again that were lost with their spot instances: once their whole run has ended,
 * GitHub is asked to, at most once for an attempt of a run, and people are told either way.
 */

#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* Looks at the run of JOB, a message by loss.h, and runs it again, tells people why not, or sends
 * the message again. 0, or negative: this message must come again. */
int rerun_lost_job(struct scaler *scaler, struct job *job, struct err *err);
