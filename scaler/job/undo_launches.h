/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Undoing launches whose jobs can never run: their hand-over was never stored, so no runner can be
 * on these machines, and they may be terminated. What fails here is logged as an error and not
 * tried again: the agent on such a machine powers it off when no hand-over comes.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "registration.h"
#include "scaler.h"

void undo_launches(struct scaler *scaler, struct aws *aws, const struct registration *const *failed,
        size_t n_failed);
