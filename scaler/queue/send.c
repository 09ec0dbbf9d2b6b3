/* SPDX-License-Identifier: MIT */

/*
 * Sends a message to one of the stack's queues.
 */

#include "send.h"

#include <errno.h>
#include <stdlib.h>

int queue_url(const char *variable, const char **ret, struct err *err)
{
        const char *url = getenv(variable);

        if (!url || !*url)
                return err_set(err, -ENOENT,
                        "environment variable %s is not set: it must hold a queue's URL", variable);
        *ret = url;
        return 0;
}

int queue_send_message(struct scaler *scaler, const struct sqs_message *message, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct aws *aws;
        int r = scaler_aws(scaler, &aws, err);

        if (r < 0)
                return r;
        call = scaler_call(scaler, sqs_send_message(aws, message));
        return sqs_send_message_answer(call, err);
}

int queue_send(
        struct scaler *scaler, const char *variable, struct sqs_message *message, struct err *err)
{
        int r = queue_url(variable, &message->queue_url, err);

        return r < 0 ? r : queue_send_message(scaler, message, err);
}

int queue_send_many(struct scaler *scaler, const char *variable, struct sqs_message *messages,
        size_t n_messages, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct aws *aws = NULL;
        int r = queue_url(variable, &messages[0].queue_url, err);

        if (r == 0)
                r = scaler_aws(scaler, &aws, err);
        if (r < 0)
                return r;
        call = scaler_call(scaler, sqs_send_messages(aws, messages, n_messages));
        return sqs_send_messages_answer(call, err);
}

int queue_count(struct scaler *scaler, const char *variable, struct sqs_count *ret, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct aws *aws = NULL;
        const char *url = NULL;
        int r = queue_url(variable, &url, err);

        if (r == 0)
                r = scaler_aws(scaler, &aws, err);
        if (r < 0)
                return r;
        call = scaler_call(scaler, sqs_count_messages(aws, url));
        return sqs_count_messages_answer(call, ret, err);
}
