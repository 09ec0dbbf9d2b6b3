/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Telling people: a notification goes to notify.fifo, and `notify` shows it in every channel.
 */

#include "base/err.h"
#include "notify/notification.h"
#include "scaler.h"

/* Queues NOTIFICATION: 0 or negative. SQS drops a second one of the same key within the same
 * quarter of an hour. A failure is logged here, since most callers go on without it. */
int tell_people(struct scaler *scaler, const struct notification *notification, struct err *err);
