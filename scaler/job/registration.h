/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Registration: gets a JIT runner configuration from GitHub for one launched instance, under the
 * instance's id as its name, and stores it as the instance's hand-over. Many run at the same time.
 * Doing it twice is normal: the second time finds what the first did, and leaves it.
 */

#include <stdint.h>

#include "aws/ec2.h"
#include "base/err.h"
#include "config/config.h"
#include "exchange/store.h"
#include "github/github.h"
#include "job.h"
#include "scaler.h"
#include "setback.h"

enum registration_state {
        REGISTRATION_WAITING, /* for its installation's token */
        REGISTRATION_UNDER_WAY,
        REGISTRATION_DONE,   /* the machine has its hand-over, from now or before */
        REGISTRATION_FAILED, /* see setback */
};

struct registration {
        /* Set by the caller. What is borrowed must live until the state is DONE or FAILED. */
        struct scaler *scaler;
        struct aws *aws;
        struct github *github; /* must be set before the start */
        const struct config *config;
        const struct config_spec *spec;
        const struct job *job;
        char scope[GITHUB_SCOPE_SIZE];
        int64_t installation;
        int64_t budget;               /* whose budget its calls spend: see pace.h */
        bool is_paid;                 /* the first jitconfig was spent as this was begun */
        struct ec2_instance instance; /* without its tags */
        const char *ticket_keys;      /* see ticket.h */
        bool adopted;                 /* an earlier try may have registered it, or has */
        int64_t launched_ms;          /* wall clock */

        /* Results. */
        enum registration_state state;
        int64_t runner_id;      /* 0: unknown, or nothing was registered */
        bool stored;            /* the parameter was written now, not before */
        struct setback setback; /* when FAILED */

        /* Private to registration_way.c and registration_steps.c. */
        struct store store; /* where the hand-over is put */
        char *value;        /* of the hand-over; secret */
        int step;           /* enum step */
        unsigned mints;     /* JIT configurations asked for: each step of the way may come twice */
        unsigned stores;
        unsigned throttled; /* stores that SSM throttled */
};

/* For token_requests_await(): starts the registration USERDATA, or fails it where there is no
 * token. */
void registration_ready(void *userdata, const struct setback *setback);

void registration_release(struct registration *registration);
