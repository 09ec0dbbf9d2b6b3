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

/* Whose budget is spent for runners of an enterprise: that of its token, which is no
 * installation's. */
#define PACE_OF_ENTERPRISE (-1)

/* GitHub's budget of INSTALLATION. That of another App at the same account is another
 * installation. Valid until the next call. */
struct budget *pace_of_github(struct scaler *scaler, int64_t installation);

/* Spends POINTS of it, and a call of the hour. */
void pace_spend_github(struct scaler *scaler, int64_t installation, int64_t points);

/* The calls of the hour that INSTALLATION has left; INT64_MAX before an answer has said so. */
int64_t pace_hour_left(struct scaler *scaler, int64_t installation);

/* To be called with the answer to each call that a registration makes to GitHub. SETBACK: what it
 * means; NULL: it was accepted. */
void pace_note_github(struct scaler *scaler, int64_t installation, const struct http_call *call,
        const struct setback *setback);

/* Reads what GitHub's answer says of the calls that are left of the hour. */
void pace_note_hour(struct scaler *scaler, int64_t installation, const struct http_call *call);
/* How many registrations the hour still allows, by what GitHub said last and what a registrar may
 * have used up since; INT64_MAX if that is not known. *ret_age_ms: how long ago it said so,
 * *ret_ends_ms (wall clock): when the hour ends. */
int64_t pace_hour_room(
        struct scaler *scaler, int64_t installation, int64_t *ret_age_ms, int64_t *ret_ends_ms);
/* Until when (wall clock) GitHub refuses whatever it is asked, since the hour's calls are used up;
 * 0: it does not. */
int64_t pace_used_up_until(struct scaler *scaler, int64_t installation);

/* Milliseconds until the next PutParameter may be made. It is spent. */
int64_t pace_next_parameter(struct scaler *scaler);
/* SSM has throttled one. */
void pace_note_throttled(struct scaler *scaler);
