/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which jobs run, by EC2's tags: any of our machines may have taken a job, since equal jobs swap
 * machines. It costs no call to GitHub.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "aws/ec2.h"
#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* Finds the machines that run JOBS, or have run them, with one call. 0 or negative. */
int running_find(struct scaler *scaler, struct aws *aws, struct job *const *jobs, size_t n_jobs,
        struct ec2_instances *ret, struct err *err);
/* The one of JOB among them, or NULL. */
const struct ec2_instance *running_machine(
        const struct ec2_instances *found, const struct job *job);
