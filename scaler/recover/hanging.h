/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Machines that hang before their runner listens.
 */

#include <stddef.h>

#include "aws/ec2.h"
#include "sweep.h"

/* The mark: when its runner was deregistered, in seconds since 1970. 0: it is about to be; less: it
 * does not hang after all. */
#define HANGS_TAG "scale-agent:hangs-since"

/* Of MACHINES, which have no job, no mark but perhaps the 0, and a hand-over that nobody has used,
 * deregisters the runners that GitHub shows as offline, and marks the machines. */
void sweep_hanging(
        struct sweep *sweep, const struct ec2_instance *const *machines, size_t n_machines);
