/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Part of `instance`: the hand-overs that nobody read. An agent deletes its parameter as soon as
 * its runner listens, so a parameter that outlives its machine means that the machine ended before
 * its runner listened.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "base/err.h"
#include "config/config.h"
#include "scaler.h"

/* Looks for the parameters of INSTANCES, which have ended. For each that exists, gives its job
 * back, tells people, and deletes the parameter. 0 or negative. */
int handle_unread_handovers(struct scaler *scaler, struct aws *aws, const struct config *config,
        const char *const *instances, size_t n_instances, struct err *err);
