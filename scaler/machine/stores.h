/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The stores of hand-overs that a stack has: SSM always, and S3 where the stack has a bucket. New
 * machines use the one that the configuration says; those that are there say by a tag which is
 * theirs. So both are looked at after the configuration was changed.
 */

#include <stdbool.h>

#include "aws/aws.h"
#include "aws/ec2.h"
#include "base/err.h"
#include "config/config.h"
#include "exchange/store.h"

/* Where the bucket is: "s3://BUCKET/arn:aws:ec2:REGION:ACCOUNT:instance"; not set: there is none.
 */
#define STORES_VARIABLE "HAND_OVERS"

struct stores {
        struct store ssm;
        struct store s3; /* `kind` is NULL where there is no bucket */
};

void stores_init(struct stores *stores, const struct config *config, struct aws *aws);
void stores_release(struct stores *stores);

/* The store of a machine, by its tags. */
const struct store *stores_of(const struct stores *stores, const struct ec2_instance *machine);
/* The store of a machine, by the bucket that its tag names; NULL: SSM. */
const struct store *stores_with(const struct stores *stores, const char *bucket);

/* Whether machines can be launched: 0, or -ENOENT where the configuration wants a bucket that the
 * stack does not have. */
int stores_check(const struct config *config, struct err *err);

/* The bucket in which the hand-overs of new machines wait, or NULL; the caller frees. */
char *stores_bucket(const struct config *config);
/* The bucket in which the hand-over of MACHINE waits, or NULL; the caller frees. A machine keeps to
 * what it was launched with, whatever the configuration says now. One that EC2 shows without tags
 * was launched just now. */
char *stores_bucket_of(const struct config *config, const struct ec2_instance *machine);

/* Whether hand-overs can be put there: BUCKET is the stack's, or NULL, which is SSM. */
bool stores_have(const char *bucket);

/* Opens the store of a machine of ACCOUNT, to put its hand-over there. */
void stores_open(struct store *ret, const struct config *config, struct aws *aws,
        const char *account, const char *bucket);
