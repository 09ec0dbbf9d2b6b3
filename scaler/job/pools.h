/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pools: what one CreateFleet lets EC2 choose from. They are the types of a ladder, each in one
 * subnet of every zone, since a fleet may have no more:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/create-ec2-fleet.html
 *
 * A pool is numbered as its offer on spot is (offer.h), on both markets. What EC2 refused a moment
 * ago is left out. That set travels in the job's message, so that a second try asks for the same.
 */

#include <stdbool.h>
#include <stddef.h>

#include "aws/describe.h"
#include "aws/ec2_fleet.h"
#include "offer.h"

/* 32 rungs, and 100 subnets: the most that a configuration can have. */
#define POOLS_MAX (LADDER_MAX * 100)

struct pool_set {
        unsigned char bits[POOLS_MAX / 8];
};

bool pool_set_has(const struct pool_set *set, size_t pool);

/* The set as text for a message, or NULL if it is empty; the caller frees. Pure. */
char *pool_set_print(const struct pool_set *set);
/* The set that TEXT describes; NULL, or what is no such text, gives the empty set. Pure. */
struct pool_set pool_set_parse(const char *text);

/* Writes the pools of OFFERS to POOLS, where offers_on_demand() of them have room, and returns how
 * many there are. Those of LEFT_OUT are not among them, nor are those of subnets that ZONES lacks.
 * In each zone the first subnet counts that has not been left out altogether. Pure. */
size_t pools_list(const struct offers *offers, const struct ec2_subnets *zones,
        const struct pool_set *left_out, struct ec2_pool *pools);

/* Leaves out INSTANCE_TYPE in SUBNET. "" or NULL stands for all types, or subnets. Capacity is that
 * of a zone: IN_ZONE leaves the type out in all subnets that share the zone of SUBNET. Returns
 * whether that is new. Pure. */
bool pools_leave_out(const struct offers *offers, const struct ec2_subnets *zones,
        const char *instance_type, const char *subnet, bool in_zone, struct pool_set *left_out);

/* Leaves out all types that are as large as INSTANCE_TYPE or larger, in all subnets. Returns
 * whether that is new. Pure. */
bool pools_leave_out_from_size(
        const struct offers *offers, const char *instance_type, struct pool_set *left_out);
