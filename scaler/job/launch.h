/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Launching: one RunInstances for all jobs of a batch that want the same, and when EC2 refuses it,
 * another one for the next offer. Where the spec leaves the choice to EC2, one CreateFleet for spot
 * and, where the spec allows it, one for what is left on demand.
 */

#include <stddef.h>
#include <stdint.h>

#include "aws/ec2.h"
#include "base/err.h"
#include "config/config.h"
#include "github/github.h"
#include "job.h"
#include "offer.h"
#include "pools.h"
#include "scaler.h"

/* The tag with how many seconds a machine may live: then `recover` ends it, whatever it does. All
 * tries of a launch use the same value, since a client token stands for the same parameters. */
#define LAUNCH_LIFETIME_TAG "scale-agent:lifetime"

enum launch_outcome {
        LAUNCH_UNDER_WAY,
        LAUNCH_DONE,        /* an instance for every job */
        LAUNCH_NO_CAPACITY, /* no offer has any */
        LAUNCH_QUOTA,       /* the account's limit is reached */
        LAUNCH_THROTTLED,   /* EC2 throttles: nothing was launched */
        LAUNCH_UNSURE,      /* EC2 did not answer, so it may have launched: look before any other */
        LAUNCH_PAUSED,  /* GitHub could not register its runner now: see setback_pause_until() */
        LAUNCH_STOPPED, /* its spec is, until `stopped_until_ms`: see breaker.h */
        LAUNCH_NO_TIME, /* the event's time is nearly over: go on from `offer` in the next one */
        LAUNCH_FAILED,  /* EC2 refused for good: see err */
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
        const char *repository;  /* that all its jobs are of, or NULL */
        const struct job **jobs; /* borrowed; are put into another order */
        size_t n_jobs;
        size_t offer;             /* index of the first one to try; moves on */
        struct pool_set left_out; /* of a fleet: pools not to ask for; grows */
        bool is_repeated;         /* a job was tried before: what a fleet returns may have ended */
        bool is_redelivered;      /* by the same message: its client tokens may be known */
        bool started;
        /* Called for each instance, with the job that it is for. */
        void (*launched)(
                struct launch *launch, const struct ec2_instance *instance, const struct job *job);
        void *userdata;
        int64_t stopped_until_ms; /* also of one that is paused, if that is known */

        /* Results. */
        enum launch_outcome outcome;
        bool was_asked;    /* false: EC2 was not, since every offer is known to be empty */
        size_t n_launched; /* jobs[0] to jobs[n_launched - 1] have an instance */
        struct err err;    /* EC2's last refusal */

        /* Private. */
        struct offers offers;
        unsigned salt;    /* makes a fresh client token for the same jobs and offer */
        unsigned asks;    /* fleets asked for */
        bool looking;     /* for the instances of its client token */
        bool unknown;     /* EC2 refused an offer with a code that we do not know */
        bool at_quota;    /* of a fleet: this market's limit leaves no room for larger types */
        bool knows_zones; /* of the spec's subnets, as far as EC2 has them */
        void (*go_on)(struct launch *launch); /* once the zones are known */
        int64_t afresh_ms; /* since then, fleets have client tokens that no try before had */
        struct ec2_launched answered; /* while the states of its instances are looked up */
};

/* Whether JOB can join: the tag with the names of all its jobs has room. */
bool launch_has_room(const struct launch *launch, const struct job *job);

/* Starts; the caller drives the network (http_finish). The outcome may be known on return. */
void launch_start(struct launch *launch);

/* The two ways to launch, which launch_start() decides between. */
void launch_ladder(struct launch *launch);
void launch_fleet(struct launch *launch);
