/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Limits of machines: how many may live at the same time, in all, of a spec, and for a repository.
 * EC2 is asked which do. What a process allowed a moment ago, and EC2 does not show yet, it counts
 * as well. Processes do not know of each other: the limit can be passed by what all of them but one
 * launch at the same moment.
 */

#include <stdbool.h>
#include <stdint.h>

#include "aws/aws.h"
#include "config/config.h"
#include "job.h"
#include "scaler.h"
#include "setback.h"

enum limit {
        LIMIT_NONE,
        LIMIT_ALL,
        LIMIT_SPEC,
        LIMIT_REPOSITORY,
        LIMIT_LINE, /* there is room, and others wait for it */
};

/* Whether there is a limit on machines of SPEC. */
bool limits_concern(const struct config *config, const struct config_spec *spec);

/* Counts the machines that live, unless that was done within the last KEPT_MS: 0, or negative with
 * the reason. */
int limits_count(struct scaler *scaler, struct aws *aws, const struct config *config,
        int64_t kept_ms, struct setback *ret_setback);

/* How many more machines of SPEC can be launched for REPOSITORY, as counted last, and which limit
 * says so. */
int64_t limits_room(const struct scaler *scaler, const struct config *config,
        const struct config_spec *spec, const char *repository, enum limit *ret_limit);

/* How many machines of SPEC (NULL: of any) live for REPOSITORY, as counted last. */
int64_t limits_living(const struct scaler *scaler, const char *spec, const char *repository);

/* JOB will get a machine, which counts from now on. */
void limits_grant(struct scaler *scaler, const struct job *job);
/* EC2 has launched it, and shows it soon. */
void limits_launched(struct scaler *scaler, const struct job *job);
/* It did not get it, or needs another one: no launch of JOB counts but for what EC2 shows. */
void limits_revoke(struct scaler *scaler, const struct job *job);

#define LIMIT_TEXT_SIZE 256

/* For people, what LIMIT says of machines of SPEC for REPOSITORY. */
void limits_explain(enum limit limit, const struct config *config, const struct config_spec *spec,
        const char *repository, char text[static LIMIT_TEXT_SIZE]);
