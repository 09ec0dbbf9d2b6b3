/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Telling people: a notification goes to notify.fifo, from which `notify` posts it to all channels.
 */

#include "base/err.h"
#include "notify/notification.h"
#include "scaler.h"

#define TELL_GROUP_SIZE 200

/* The group of notices of one KIND, SPEC and REASON (both may be NULL). Words with a digit are left
 * out of the reason: ids of jobs and machines, which differ. */
void tell_group(
        char group[static TELL_GROUP_SIZE], const char *kind, const char *spec, const char *reason);

/* Queues NOTIFICATION: 0 or negative. SQS drops another one with the same key in the same quarter
 * of an hour. Logs a failure, since most callers go on. */
int tell_people(struct scaler *scaler, const struct notification *notification, struct err *err);
