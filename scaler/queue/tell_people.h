/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Telling people: a notification goes to notify.fifo, from which `notify` posts it to all channels.
 */

#include "base/err.h"
#include "notify/notification.h"
#include "scaler.h"

/* Queues NOTIFICATION: 0 or negative. SQS drops another one with the same key in the same quarter
 * of an hour. Logs a failure, since most callers go on. */
int tell_people(struct scaler *scaler, const struct notification *notification, struct err *err);
