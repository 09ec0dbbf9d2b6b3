/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Handing over: for one launched instance, a JIT runner configuration from GitHub, named as the
 * instance, stored in the instance's SSM parameter. Many of these run at the same time.
 */

#include <stdint.h>

#include "aws/ec2.h"
#include "base/err.h"
#include "config/config.h"
#include "github/github.h"
#include "job.h"
#include "scaler.h"

enum registration_state {
        REGISTRATION_WAITING, /* for its installation's token */
        REGISTRATION_UNDER_WAY,
        REGISTRATION_DONE,
        REGISTRATION_FAILED, /* see err; the instance must be compensated */
};

struct registration {
        /* Set by the caller. Everything must live until the state is DONE or FAILED. */
        struct scaler *scaler;
        struct aws *aws;
        struct github *github; /* set at the latest when it is started */
        const struct config *config;
        const struct config_spec *spec;
        const struct job *job;
        const char *scope;
        int64_t installation;
        struct ec2_instance instance; /* without its tags */
        int64_t launched_ms;          /* wall clock */

        /* Results. */
        enum registration_state state;
        int64_t runner_id; /* 0: nothing was registered */
        int result;        /* of a FAILED one, negative */
        struct err err;

        /* Private to registration.c. */
        char *parameter;
        char *value;     /* secret */
        bool second_try; /* a name or parameter was in the way once */
};

/* Begins; the token of the installation must be kept by GITHUB. */
void registration_start(struct registration *registration);

/* Marks one as failed that never began. */
void registration_fail(struct registration *registration, int result, const struct err *err);

void registration_release(struct registration *registration);
