/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Forwarding: every launch goes through queued.fifo, where a job is a message group of its own, so
 * that one process at a time holds it.
 */

#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* Sends JOB to queued.fifo, and counts that in job->sends: 0 or negative. SQS drops a message whose
 * launch was sent as often before, within five minutes. */
int forward_job(struct scaler *scaler, struct job *job, struct err *err);
