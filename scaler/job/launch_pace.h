/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The pace of launches: how many machines may be launched, so that each is registered as it boots.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"
#include "job.h"
#include "scaler.h"

/* How many jobs may be launched now if nobody waits in line; *ret may be negative. 0 or
 * negative. */
int launch_pace_room(struct scaler *scaler, int64_t *ret, struct err *err);
/* How many of the jobs in line may be admitted now: the room above, less the jobs in queued.fifo,
 * which were admitted before or came at the same time. */
int launch_pace_room_for_line(struct scaler *scaler, int64_t *ret, struct err *err);

/* Milliseconds for which GitHub is left alone where JOB is registered: it fails, or a limit is
 * reached. At most ten minutes; 0: it may be asked. */
int64_t launch_pace_pause(
        struct scaler *scaler, const struct config *config, const struct job *job);
/* Milliseconds until GitHub can be expected to register JOB's machine when that has booted; 0: now.
 * ROOM is what is left of launch_pace_room_for_line(). */
int64_t launch_pace_wait_for_github(
        struct scaler *scaler, const struct config *config, const struct job *job, int64_t room);
/* Whether only a fresh answer by GitHub tells whether its hour has room for JOB: the last one is
 * old, or there is none although a limit is near. */
bool launch_pace_needs_hour(
        struct scaler *scaler, const struct config *config, const struct job *job, int64_t room);
/* Milliseconds until EC2 launches N instances more; 0: now. */
int64_t launch_pace_wait_for_ec2(struct scaler *scaler, int64_t n);
/* They are launched. */
void launch_pace_spend(struct scaler *scaler, int64_t n);
