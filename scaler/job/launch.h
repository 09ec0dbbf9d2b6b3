/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Launching: one RunInstances for all jobs of a batch that want the same, and on refusal the next
 * offer. The offers are the ladder of types, each over the spec's subnets, as spot; and then all of
 * them again on demand where the spec allows it.
 */

#include <stddef.h>
#include <stdint.h>

#include "aws/ec2.h"
#include "base/err.h"
#include "config/config.h"
#include "github/github.h"
#include "job.h"
#include "ladder.h"
#include "scaler.h"

enum launch_outcome {
        LAUNCH_UNDER_WAY,
        LAUNCH_DONE,        /* an instance for every job */
        LAUNCH_NO_CAPACITY, /* no offer has any left */
        LAUNCH_QUOTA,       /* the account's limit is reached */
        LAUNCH_THROTTLED,   /* EC2 does not answer, or wants to be asked less often */
        LAUNCH_NO_TIME,     /* the event's time is nearly over: go on from `offer` */
        LAUNCH_FAILED,      /* EC2 refused for good: see err */
};

struct launch {
        /* Set by the caller. Everything must live until the outcome is known. */
        struct scaler *scaler;
        struct aws *aws;
        const struct config *config;
        const struct config_spec *spec;
        const char *instance_type;
        char scope[GITHUB_SCOPE_SIZE];
        int64_t installation;
        const struct job **jobs; /* borrowed */
        size_t n_jobs;
        size_t offer; /* where to begin; moves on */
        /* Called for each instance, with the index of the job that it is for. */
        void (*launched)(struct launch *launch, const struct ec2_instance *instance, size_t job);
        void *userdata;

        /* Results. */
        enum launch_outcome outcome;
        size_t n_launched; /* the first so many jobs have an instance */
        bool was_asked;    /* EC2 was; false when every offer was known to have no capacity */
        struct err err;    /* what EC2 said last */

        /* Private to launch.c. */
        struct ladder_rung rungs[LADDER_MAX];
        size_t n_rungs;
        unsigned salt; /* makes another client token */
};

/* "no capacity", "quota reached", … for people. */
const char *launch_outcome_name(enum launch_outcome outcome);

/* Begins; the network is driven by the caller (http_finish). The outcome may be known at once. */
void launch_start(struct launch *launch);
