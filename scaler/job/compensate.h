/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Taking back what was begun for jobs whose hand-over failed: the runner is deregistered, the
 * parameter deleted, the instance terminated. What cannot be taken back is logged as an error; the
 * agent on such an instance powers it off when no parameter comes.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "registration.h"
#include "scaler.h"

void compensate(struct scaler *scaler, struct aws *aws, const struct registration *const *failed,
        size_t n_failed);
