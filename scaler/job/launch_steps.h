/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to the two ways of launching.
 */

#include "aws/ec2.h"
#include "launch.h"

/* A launch and the hand-over must both fit into what is left of the event's time. */
#define LAUNCH_TIME_NEEDED_MS (20 * MSEC_PER_SEC)
/* The account's bucket for RunInstances refills at two requests a second, so retries succeed. */
#define LAUNCH_THROTTLED_TRIES 6

/* A client token whose instances have ended launches nothing: retry with up to 3 fresh ones. */
#define LAUNCH_SALT_MAX 3

/* -- fleets -- */

/* Whether spot is asked for now. */
bool launch_on_spot(const struct launch *launch);
/* This market has nothing left: go on with on-demand, or end with OUTCOME where the spec does not
 * allow that. */
void launch_leave_market(struct launch *launch, enum launch_outcome outcome);
/* The instances of the client token have ended, so that it launches nothing any more. */
void launch_take_new_token(struct launch *launch);
/* Where to go on for the jobs that ANSWER gave no instance. */
void launch_after_errors(struct launch *launch, const struct ec2_launched *answer);
void launch_log_errors(const struct launch *launch, const struct ec2_launched *answer);
/* Where to go on after EC2 refused a fleet altogether. */
void launch_after_refused_fleet(struct launch *launch, const struct aws_error *error);

/* Whether the zones of all subnets are known that exist. */
bool launch_knows_zones(const struct launch *launch);
/* Finds them out, and then calls GO_ON, unless the outcome is known by then. */
void launch_ask_zones(struct launch *launch, void (*go_on)(struct launch *launch));

/* -- what launches share -- */

/* Starts CALL, whose answer goes to DONE with LAUNCH. */
void launch_start_call(struct launch *launch, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata));
/* Starts a call that launches: it is repeated while EC2 throttles, and ends early enough to settle
 * the jobs. */
void launch_start_request(struct launch *launch, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata));
/* After the answer to a request, or to a look for its instances: whether to go on with the next
 * request. R: of the reading of it; below 0, EC2 may have launched. */
bool launch_goes_on(struct launch *launch, int r);
/* Reads the instances that a client token was found to have: whether they are in RET. If not, the
 * outcome is known. */
bool launch_read_found(
        struct launch *launch, const struct http_call *call, struct ec2_instances *ret);

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
 * there were. OFFER is where they were asked for; NULL: their types and subnets say it. */
size_t launch_take(
        struct launch *launch, const struct ec2_instances *instances, const struct offer *offer);
