/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Leftovers: what a machine should have taken with it, and did not. Each function here passes over
 * what is gone already.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "base/err.h"
#include "scaler.h"

/* Deletes the hand-over parameters of INSTANCES, ten with each call. 0 or negative. */
int leftovers_delete_parameters(struct scaler *scaler, struct aws *aws, const char *prefix,
        const char *const *instances, size_t n_instances, struct err *err);

/* Terminates INSTANCES, with one call if EC2 knows all of them. 0 or negative. */
int leftovers_terminate(struct scaler *scaler, struct aws *aws, const char *const *instances,
        size_t n_instances, struct err *err);
