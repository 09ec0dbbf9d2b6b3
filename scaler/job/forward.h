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
/* The same for up to SQS_BATCH_MAX jobs, in one call. */
int forward_jobs(struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err);

enum job_group {
        GROUP_OF_JOB,       /* and the sending is counted */
        GROUP_OF_REGISTRAR, /* the installation of GitHub's App, or the enterprise */
};

/* Sends up to SQS_BATCH_MAX jobs to the FIFO queue whose URL VARIABLE holds: 0 or
 * negative. */
int jobs_send(struct scaler *scaler, const char *variable, struct job *const *jobs, size_t n_jobs,
        enum job_group group, struct err *err);
