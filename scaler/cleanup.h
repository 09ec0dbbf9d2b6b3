/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The second line of cleaning up, used wherever a machine did not, or could not, clean up after
 * itself. All of these are quiet about what is gone already.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "container.h"
#include "err.h"

/* Deletes the hand-over parameters of INSTANCES, ten a call. 0 or negative. */
int cleanup_parameters(struct scaler *scaler, struct aws *aws, const char *prefix,
        const char *const *instances, size_t n_instances, struct err *err);

/* Terminates INSTANCES, in one call where EC2 knows all of them. 0 or negative. */
int cleanup_instances(struct scaler *scaler, struct aws *aws, const char *const *instances,
        size_t n_instances, struct err *err);

/* Makes sure that a token of INSTALLATION is kept. 0 or negative. */
int cleanup_token(
        struct scaler *scaler, struct github *github, int64_t installation, struct err *err);

/* Whether NAME looks like an instance id, as all our runners' names do. */
bool cleanup_is_instance(const char *name);
