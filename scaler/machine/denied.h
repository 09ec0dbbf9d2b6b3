/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The functions' roles allow tagging and terminating only what carries the stack's tag. EC2 takes
 * the tags from a machine soon after its end, and from then on answers UnauthorizedOperation where
 * InvalidInstanceID.NotFound would be expected. Machines of others, whose runners may be named as
 * ours are, get the same answer.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html
 */

#include "aws/aws.h"
#include "base/err.h"
#include "scaler.h"

/* Whether a call on INSTANCE, whose result R is, was denied since EC2 does not know the instance,
 * it has ended, or no scaler launched it: DENIED_FOR_GOOD, and there is nothing to do. Else R, with
 * ERR as it was; or negative if EC2, which is asked only after a denial, cannot say. */
#define DENIED_FOR_GOOD 1
int denied_explain(
        struct scaler *scaler, struct aws *aws, const char *instance, int r, struct err *err);
