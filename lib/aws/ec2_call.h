/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/aws: what the calls to EC2 share.
 */

#include <stddef.h>

#include "aws/aws.h"
#include "aws/ec2_instances.h"
#include "base/buf.h"

#define EC2_FORM_MAX (1024UL * 1024)

/* A launch took 1.4 s when it was measured; one that is given up half-way helps nobody. */
#define EC2_LAUNCH_TRY_MS INT64_C(10000)
#define EC2_LAUNCH_MS INT64_C(20000)

/* A call of ACTION with FORM, which is repeated where its error code says so. */
struct http_call *ec2_call(struct aws *aws, const char *action, const struct buf *form);

/* What ec2_call() judges answers with. */
enum http_verdict ec2_judge(const struct http_call *call);

/* TAGS as NAME.1.Key, NAME.1.Value, … */
void ec2_add_tags(struct buf *form, const char *name, const struct ec2_tag *tags, size_t n_tags);

/* TAGS for each of the kinds of resources in KINDS that a launch makes. */
void ec2_add_launch_tags(struct buf *form, const char *const *kinds, size_t n_kinds,
        const struct ec2_tag *tags, size_t n_tags);
