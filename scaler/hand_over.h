/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Handing over: for one launched instance, a JIT runner configuration from GitHub, named as the
 * instance, stored in the instance's SSM parameter. Many of these run at the same time.
 */

#include <stdint.h>

#include "aws/ec2.h"
#include "config.h"
#include "container.h"
#include "err.h"
#include "github/github.h"
#include "job.h"

enum hand_over_state {
        HAND_OVER_WAITING, /* for its installation's token */
        HAND_OVER_UNDER_WAY,
        HAND_OVER_DONE,
        HAND_OVER_FAILED, /* see err; the instance must be compensated */
};

struct hand_over {
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
        enum hand_over_state state;
        int64_t runner_id; /* 0: nothing was registered */
        int result;        /* of a FAILED one, negative */
        struct err err;

        /* Private to hand_over.c. */
        char *parameter;
        char *value;     /* secret */
        bool second_try; /* a name or parameter was in the way once */
};

/* Begins; the token of the installation must be kept by GITHUB. */
void hand_over_start(struct hand_over *hand_over);

/* Marks one as failed that never began. */
void hand_over_fail(struct hand_over *hand_over, int result, const struct err *err);

void hand_over_release(struct hand_over *hand_over);
