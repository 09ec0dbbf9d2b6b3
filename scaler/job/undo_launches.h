/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Undoing the launches whose registration failed: the runner is deregistered, the parameter
 * deleted, the instance terminated. What fails here is logged as an error and not tried again: the
 * agent on such an instance powers it off when no hand-over comes.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "registration.h"
#include "scaler.h"

void undo_launches(struct scaler *scaler, struct aws *aws, const struct registration *const *failed,
        size_t n_failed);
