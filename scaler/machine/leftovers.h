/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The second line of cleaning up, used wherever a machine did not, or could not, clean up after
 * itself. All of these are quiet about what is gone already.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "base/err.h"
#include "scaler.h"

/* Deletes the hand-over parameters of INSTANCES, ten a call. 0 or negative. */
int leftovers_delete_parameters(struct scaler *scaler, struct aws *aws, const char *prefix,
        const char *const *instances, size_t n_instances, struct err *err);

/* Terminates INSTANCES, in one call where EC2 knows all of them. 0 or negative. */
int leftovers_terminate(struct scaler *scaler, struct aws *aws, const char *const *instances,
        size_t n_instances, struct err *err);
