/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sending to the stack's own queues. The template gives each function the URLs of the queues that
 * it sends to, as environment variables.
 */

#include "aws/sqs.h"
#include "base/err.h"
#include "scaler.h"

/* Sends MESSAGE to the queue whose URL is in environment variable VARIABLE, and sets its queue_url:
 * 0 or negative. */
int queue_send(
        struct scaler *scaler, const char *variable, struct sqs_message *message, struct err *err);

/* Sends up to SQS_BATCH_MAX messages with one call: 0 or negative. On failure some may have been
 * sent. */
int queue_send_many(struct scaler *scaler, const char *variable, struct sqs_message *messages,
        size_t n_messages, struct err *err);

/* Sends a MESSAGE whose queue_url is set already: 0 or negative. */
int queue_send_message(struct scaler *scaler, const struct sqs_message *message, struct err *err);

/* The queue URL in environment variable VARIABLE, borrowed: 0 or -ENOENT. */
int queue_url(const char *variable, const char **ret, struct err *err);

/* Counts the messages of the queue whose URL VARIABLE holds: 0 or negative. */
int queue_count(
        struct scaler *scaler, const char *variable, struct sqs_count *ret, struct err *err);
