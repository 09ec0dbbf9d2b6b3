/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Part of `instance`: what machines that have ended leave behind. The parameter of one that is
 * still there says that no job started on it: its job is given back, its runner deregistered, and
 * then the parameter is deleted. A machine that has done its job has deleted its parameter, and
 * GitHub forgets an ephemeral runner with its job, so there is nothing to do. Any other may have
 * left a runner at GitHub, or lost its job.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "aws/ec2.h"
#include "base/err.h"
#include "scaler.h"

struct ended_machine {
        const struct ec2_instance *instance; /* set by the caller; borrowed */

        int result; /* 0, or negative with the reason in ERR: its event must come again */
        struct err err;
};

/* Handles MACHINES, all at the same time. */
void handle_ended_machines(
        struct scaler *scaler, struct aws *aws, struct ended_machine *machines, size_t n_machines);
