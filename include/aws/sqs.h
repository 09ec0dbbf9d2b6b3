/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SQS: sending messages, and taking kept dead letters out of their queue.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws.h"

#define SQS_DELAY_MAX_SECONDS 900

#define SQS_GROUP_MAX 128

struct sqs_message {
        const char *queue_url;
        const char *body;
        unsigned delay_seconds; /* standard queues only */
        const char *group;      /* at most SQS_GROUP_MAX characters; NULL only in standard queues,
                                   which take care that no group delays the others */
        const char *deduplication_id; /* FIFO queues only, else NULL; at most 128 characters */
        /* Attributes of dead letters, or NULL; cut at 1,000 bytes, with a ? for characters that SQS
         * refuses: */
        const char *source;     /* the queue's ARN, */
        const char *kept_group; /* the message group that it had there, */
        const char *cause;      /* and why it failed */
};

struct http_call *sqs_send_message(struct aws *aws, const struct sqs_message *message);
int sqs_send_message_answer(const struct http_call *call, struct err *err);

/* Sends up to SQS_BATCH_MAX messages to one queue, that of the first. */
#define SQS_BATCH_MAX 10
struct http_call *sqs_send_messages(
        struct aws *aws, const struct sqs_message *messages, size_t n_messages);
/* 0, or negative when SQS did not take all of them: the caller sends all again, or fails. */
int sqs_send_messages_answer(const struct http_call *call, struct err *err);

/* Up to ten messages, hidden for HIDDEN_SECONDS; none if none arrives within a second. */
struct http_call *sqs_receive_messages(
        struct aws *aws, const char *queue_url, unsigned hidden_seconds);

struct sqs_received {
        char *id; /* owned, as all of them */
        char *receipt;
        char *body;
        char *source;    /* attribute `source`, or NULL */
        char *group;     /* attribute `group`, or NULL */
        char *cause;     /* attribute `cause`, or NULL */
        int64_t sent_ms; /* when it was sent to the queue; 0: unknown */
};

struct sqs_received_list {
        struct sqs_received *items; /* owned */
        size_t count;
};

void sqs_received_list_release(struct sqs_received_list *list);
int sqs_receive_messages_answer(
        const struct http_call *call, struct sqs_received_list *ret, struct err *err);

struct http_call *sqs_delete_message(struct aws *aws, const char *queue_url, const char *receipt);
int sqs_delete_message_answer(const struct http_call *call, struct err *err);

/* Hides a message that was received for another SECONDS (at most 12 h), counted from now. */
struct http_call *sqs_hide_message(
        struct aws *aws, const char *queue_url, const char *receipt, unsigned seconds);
int sqs_hide_message_answer(const struct http_call *call, struct err *err);

/* Like the call above, for up to SQS_BATCH_MAX messages of one queue. */
struct sqs_hidden {
        const char *receipt;
        unsigned seconds;
        bool done; /* the answer says so */
};

struct http_call *sqs_hide_messages(struct aws *aws, const char *queue_url,
        const struct sqs_hidden *messages, size_t n_messages);
/* 0 or negative. Messages that SQS does not name as done can be tried again. */
int sqs_hide_messages_answer(const struct http_call *call, struct sqs_hidden *messages,
        size_t n_messages, struct err *err);

/* Counts the messages of a queue, as SQS does: approximately. */
struct http_call *sqs_count_messages(struct aws *aws, const char *queue_url);

struct sqs_count {
        int64_t visible;
        int64_t in_flight; /* received, or hidden afterwards */
        int64_t delayed;
};

/* 0 or negative. */
int sqs_count_messages_answer(const struct http_call *call, struct sqs_count *ret, struct err *err);

/* Asks for the URL of the queue NAME in this account and region. */
struct http_call *sqs_get_queue_url(struct aws *aws, const char *name);
/* The URL is the caller's to free. */
int sqs_get_queue_url_answer(const struct http_call *call, char **ret_url, struct err *err);
