/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to launch.c and launch_ladder.c.
 */

#include "aws/ec2.h"
#include "launch.h"

/* A launch and the hand-over must both fit into what is left of the event's time. */
#define LAUNCH_TIME_NEEDED_MS (20 * MSEC_PER_SEC)
/* The account's bucket for RunInstances refills at two requests a second, so retries succeed. */
#define LAUNCH_THROTTLED_TRIES 6

/* Goes on until the outcome is known. */
void launch_ladder(struct launch *launch);

/* The names of the jobs that have no instance yet, as launch_names_print(); the caller frees. */
char *launch_names_of(const struct launch *launch);

#define LAUNCH_TAGS_MAX 50

/* What a launch is tagged with: what it is for, NAMES, and the spec's own tags. All but the bucket
 * is borrowed, from LAUNCH and NAMES. */
struct launch_tags {
        struct ec2_tag items[LAUNCH_TAGS_MAX];
        size_t count;

        /* Private. */
        char *bucket;
        char installation[24];
        char lifetime[24];
        char name[128];
};

void launch_tags_init(struct launch_tags *tags, const struct launch *launch, const char *names);
void launch_tags_release(struct launch_tags *tags);

/* Tells people that the spec names a subnet that does not exist. */
void launch_tell_no_subnet(struct launch *launch, const char *subnet);

/* Gives each job of the request the instance with its number, where that lives; returns how many
 * there were. OFFER is where they were asked for. */
size_t launch_take(
        struct launch *launch, const struct ec2_instances *instances, const struct offer *offer);
