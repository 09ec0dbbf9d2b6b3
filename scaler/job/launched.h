/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Launched jobs: from the moment that a job has a machine until its hand-over is stored, the
 * promise is a message in register.fifo. Its message group is the installation of the App that
 * delivers, or all enterprises, so that SQS lets one process at a time register with its budgets
 * (registrars.h). All enterprises have one token.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/ec2.h"
#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* Makes JOB one that has INSTANCE, which looks for its hand-over in BUCKET; NULL: in SSM. ADOPTED:
 * an earlier try launched it, and may have registered it. */
void launched_job(struct job *job, const struct ec2_instance *instance, const char *bucket,
        bool adopted, int64_t launched_ms);

/* Sends JOBS, at most SQS_BATCH_MAX of them, to register.fifo: 0 or negative. */
int launched_send(struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err);

/* A launched job, as its message says it. */
struct launched {
        struct job job;
        struct ec2_instance machine; /* as far as registration needs it */
        bool adopted;
};

/* Reads such a message: 0, or -EBADMSG. Pure. */
int launched_parse(const char *text, size_t size, struct launched *ret, struct err *err);
