/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The queue of kept letters, read from end to end. SQS hides a message that was received, so that
 * the next call gives others; the letters that stay are made visible again at the end, also after
 * SIGINT and SIGTERM.
 */

#include "aws/sqs.h"
#include "scaler.h"

struct kept_letters {
        struct scaler *scaler;
        struct aws *aws;
        const char *queue_url;

        struct stay {
                char *id;
                char *receipt;
        } * stay; /* letters that were seen and are still in the queue */
        size_t n_stay;
};

/* Does something with a letter: positive once that has left the queue, else 0. */
typedef int (*kept_letter_handler)(const struct sqs_received *letter, void *userdata);

/* Passes each letter to HANDLER, once, however often SQS gives it. 0, -EINTR after a signal, or
 * another negative number when the queue cannot be read. */
int kept_letters_each(
        struct kept_letters *letters, kept_letter_handler handler, void *userdata, struct err *err);

/* Deletes LETTER from the queue: 0 or negative. */
int kept_letters_delete(
        struct kept_letters *letters, const struct sqs_received *letter, struct err *err);
