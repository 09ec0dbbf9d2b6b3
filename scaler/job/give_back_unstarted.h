/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Part of `instance`: gives back the jobs of machines that ended before their runners listened. An
 * agent deletes its parameter as soon as its runner listens, so the parameter of such a machine is
 * still there.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "base/err.h"
#include "config/config.h"
#include "scaler.h"

/* Looks for the parameters of INSTANCES, which have ended. For each that exists, gives its job
 * back, tells people, and deletes the parameter. 0 or negative. */
int give_back_unstarted(struct scaler *scaler, struct aws *aws, const struct config *config,
        const char *const *instances, size_t n_instances, struct err *err);
