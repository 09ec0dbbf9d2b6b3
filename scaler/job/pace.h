/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The pace at which runners are registered: never faster than GitHub and SSM allow. SQS gives the
 * jobs of one installation to one process at a time (launched.h), so what is kept here, in a warm
 * process, is known to whoever needs it.
 */

#include <stdint.h>

#include "base/budget.h"
#include "http/http_call.h"
#include "scaler.h"
#include "setback.h"

/* Of GitHub's points, what a GET costs, and any other method. */
#define PACE_POINTS_GET 1
#define PACE_POINTS_POST 5

/* Jitconfigs a minute that GitHub allows an installation. */
#define PACE_PER_MINUTE 180

/* GitHub's budget of INSTALLATION. */
struct budget *pace_of_github(struct scaler *scaler, int64_t installation);

/* To be called with the answer to each call that a registration makes to GitHub. SETBACK: what it
 * means; NULL: it was accepted. */
void pace_note_github(struct scaler *scaler, int64_t installation, const struct http_call *call,
        const struct setback *setback);

/* Milliseconds until the next PutParameter may be made. It is spent. */
int64_t pace_next_parameter(struct scaler *scaler);
/* SSM has throttled one. */
void pace_note_throttled(struct scaler *scaler);
