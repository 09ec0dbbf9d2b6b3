/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Part of `instance`: what machines that have ended leave behind. The parameter of one that is
 * still there says that no job started on it: its job is given back, its runner deregistered, and
 * then the parameter is deleted. A machine that has done its job has deleted its parameter, and
 * GitHub forgets an ephemeral runner with its job, so there is nothing to do. Nor is there where no
 * job came and the runner was deregistered before (idle_machines.h). Any other may have left a
 * runner at GitHub, or lost its job.
 */

#include <stddef.h>

#include "deregister.h"

/* Handles MACHINES, all at the same time. */
void handle_ended_machines(
        struct scaler *scaler, struct aws *aws, struct runner_machine *machines, size_t n_machines);
