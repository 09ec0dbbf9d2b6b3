/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Machines that hang before their runner listens.
 */

#include <stddef.h>

#include "aws/ec2.h"
#include "sweep.h"

/* Marks a machine that hangs: when its runner was deregistered, in seconds since 1970. 0: that is
 * about to be done; negative: it does not hang after all. */
#define HANGS_TAG "scale-agent:hangs-since"

/* Deregisters the runners that GitHub shows as offline, and marks their machines. MACHINES have no
 * job, a hand-over that nobody has used, and no mark or the mark 0. */
void sweep_hanging(
        struct sweep *sweep, const struct ec2_instance *const *machines, size_t n_machines);
