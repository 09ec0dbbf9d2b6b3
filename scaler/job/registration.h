/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Registration: gets a JIT runner configuration from GitHub for one launched instance, under the
 * instance's id as its name, and stores it as the instance's hand-over. Many run at the same time.
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
        REGISTRATION_FAILED, /* see err; the launch must be undone */
};

struct registration {
        /* Set by the caller. What is borrowed must live until the state is DONE or FAILED. */
        struct scaler *scaler;
        struct aws *aws;
        struct github *github; /* needed once it is started */
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
        int result;        /* negative when FAILED */
        struct err err;

        /* Private to registration.c. */
        char *parameter; /* name of the SSM parameter */
        char *value;     /* of the SSM parameter; secret */
        bool cleared;    /* what an earlier try had left was deleted: that is done once */
};

/* Starts. GITHUB must hold the token of the installation. */
void registration_start(struct registration *registration);

/* Marks a registration that was never started as failed. */
void registration_fail(struct registration *registration, int result, const struct err *err);

void registration_release(struct registration *registration);
