/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Equal jobs swap machines. When job B took the machine that was launched for job A, A can have the
 * one that was launched for B, unless job C took that, and so on along the takers. The chain ends
 * with a machine that has no job yet, which A will get, or with a taker that has no machine: then a
 * machine is missing.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "aws/ec2.h"
#include "base/err.h"
#include "config/config.h"
#include "scaler.h"

enum takers_end {
        TAKERS_UNKNOWN,      /* not to be told: too many took one from another */
        TAKERS_FREE_MACHINE, /* there is a machine of the same kind that has no job yet */
        TAKERS_NO_MACHINE,   /* the last one has none, as far as EC2 tells */
};

struct taken {
        const struct ec2_instance *machine; /* set by the caller: it has another job's tag */
        enum takers_end end;
};

/* Finds the end for each of ITEMS, at most SQS_BATCH_MAX, with one call to EC2 for each step of the
 * longest way. 0, or negative: nothing is known. */
int takers_follow(struct scaler *scaler, const struct config *config, struct aws *aws,
        struct taken *items, size_t n_items, struct err *err);
