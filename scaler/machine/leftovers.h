/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Leftovers: what a machine should have taken with it, and did not. Each function here passes over
 * what is gone already.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "base/err.h"
#include "exchange/store.h"
#include "scaler.h"

/* Deletes the hand-overs of INSTANCES from STORE, ten at the same time: SSM has a call for that. 0
 * or negative. */
int leftovers_delete_handovers(struct scaler *scaler, const struct store *store,
        const char *const *instances, size_t n_instances, struct err *err);

/* Terminates INSTANCES, with one call if EC2 can terminate all of them. 0 or negative. */
int leftovers_terminate(struct scaler *scaler, struct aws *aws, const char *const *instances,
        size_t n_instances, struct err *err);
