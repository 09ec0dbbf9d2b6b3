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
#include "job.h"
#include "scaler.h"
#include "setback.h"

/* GitHub's points for a GET, and for a call of any other method. */
#define PACE_POINTS_GET 1
#define PACE_POINTS_POST 5

/* Jitconfigs a minute that GitHub allows an installation. */
#define PACE_PER_MINUTE 180

/* Stands for an installation where runners of an enterprise are registered: their budget is the
 * token's. */
#define PACE_OF_ENTERPRISE (-1)

/* The time from a machine's launch to its agent's first question for the hand-over, rounded up. */
#define PACE_BOOT_SECONDS 60
#define PACE_BOOT_MS (PACE_BOOT_SECONDS * MSEC_PER_SEC)

/* Whose budget the registration of JOB spends when the delivering App does it: the job's
 * installation, or PACE_OF_ENTERPRISE. CONFIG may be NULL. */
int64_t pace_registrar(const struct config *config, const struct job *job);

/* How many Apps register; each has limits of its own. 1 while the configuration cannot be read. */
int64_t pace_apps(struct scaler *scaler);

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

/* To be called with the refusal of an installation token: a limit on that limits all calls. */
void pace_note_setback(struct scaler *scaler, int64_t installation, const struct setback *setback);

/* Reads what GitHub's answer says of the calls that are left of the hour. */
void pace_note_hour(struct scaler *scaler, int64_t installation, const struct http_call *call);
/* How many machines that are launched now GitHub's limit of an hour lets us register once they have
 * booted, in the hour that has begun by then: what GitHub said last, less what registrations may
 * have used since. INT64_MAX if GitHub has said nothing. *ret_age_ms: how long ago it said so;
 * *ret_until_ms (wall clock): until when that counts. */
int64_t pace_hour_room(
        struct scaler *scaler, int64_t installation, int64_t *ret_age_ms, int64_t *ret_until_ms);
/* Until when (wall clock) GitHub refuses whatever it is asked, since the hour's calls are used up;
 * 0: it does not. */
int64_t pace_used_up_until(struct scaler *scaler, int64_t installation);

/* Milliseconds until the next PutParameter may be made. It is spent. */
int64_t pace_next_parameter(struct scaler *scaler);
/* SSM has throttled one. */
void pace_note_throttled(struct scaler *scaler);
