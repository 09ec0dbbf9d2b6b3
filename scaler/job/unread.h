/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Hand-overs that nobody read. The agent deletes its parameter as soon as its runner listens, so
 * one that outlives its machine belongs to a machine that ended before its runner listened.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "base/err.h"
#include "config/config.h"
#include "scaler.h"

/* Looks for the parameters of INSTANCES, which have ended. For each that is there, the job is given
 * back, people are told, and the parameter is deleted. 0 or negative. */
int unread_handovers(struct scaler *scaler, struct aws *aws, const struct config *config,
        const char *const *instances, size_t n_instances, struct err *err);
