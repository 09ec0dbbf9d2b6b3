/* SPDX-License-Identifier: MIT */

/*
 * Receives messages, and deletes or hides what was received.
 */

#include "aws/sqs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/answer.h"
#include "base/json.h"
#include "base/mem.h"

#define RECEIVE_MAX 10
/* Ten messages of 1 MiB, escaped. */
#define RECEIVE_ANSWER_MAX (32UL * 1024 * 1024)

struct http_call *sqs_receive_messages(
        struct aws *aws, const char *queue_url, unsigned hidden_seconds)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        struct http_call *call;

        json_add_string(body, "QueueUrl", queue_url);
        json_add_integer(body, "MaxNumberOfMessages", RECEIVE_MAX);
        json_add_integer(body, "VisibilityTimeout", hidden_seconds);
        /* Without a wait SQS asks only some of its servers, and finds few messages or none. */
        json_add_integer(body, "WaitTimeSeconds", 1);
        cJSON_AddItemToArray(
                cJSON_AddArrayToObject(body, "MessageAttributeNames"), cJSON_CreateString("All"));
        cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "MessageSystemAttributeNames"),
                cJSON_CreateString("SentTimestamp"));
        call = aws_object_call(aws, AWS_SQS, "ReceiveMessage", body);
        call->answer_limit = RECEIVE_ANSWER_MAX;
        return call;
}

void sqs_received_list_release(struct sqs_received_list *list)
{
        for (size_t i = 0; i < list->count; i++) {
                struct sqs_received *message = &list->items[i];

                free(message->id);
                free(message->receipt);
                free(message->body);
                free(message->source);
                free(message->group);
                free(message->cause);
        }
        free(list->items);
        *list = (struct sqs_received_list){0};
}

/* SQS gives it as a string of milliseconds. */
static int64_t read_sent(const cJSON *message)
{
        const char *text = json_string(message, "Attributes.SentTimestamp");
        int64_t sent_ms = text ? strtoll(text, NULL, 10) : 0;

        return sent_ms > 0 ? sent_ms : 0;
}

static int add_received(struct sqs_received_list *list, const cJSON *message, struct err *err)
{
        const char *id;
        const char *receipt;
        const char *body = json_string(message, "Body");
        int r;

        if (list->count == RECEIVE_MAX)
                return err_set(err, -EBADMSG, "more than %d messages", RECEIVE_MAX);
        r = json_need_string(message, "MessageId", &id, err);
        if (r < 0)
                return r;
        r = json_need_string(message, "ReceiptHandle", &receipt, err);
        if (r < 0)
                return r;
        if (!body)
                return err_set(err, -EBADMSG, "Body: a string is needed, found %s",
                        json_type_name(json_get(message, "Body")));
        list->items = mem_resize(list->items, list->count + 1, sizeof(*list->items));
        list->items[list->count++] = (struct sqs_received){
                .id = mem_string(id),
                .receipt = mem_string(receipt),
                .body = mem_string(body),
                .source = mem_string(json_string(message, "MessageAttributes.source.StringValue")),
                .group = mem_string(json_string(message, "MessageAttributes.group.StringValue")),
                .cause = mem_string(json_string(message, "MessageAttributes.cause.StringValue")),
                .sent_ms = read_sent(message),
        };
        return 0;
}

int sqs_receive_messages_answer(
        const struct http_call *call, struct sqs_received_list *ret, struct err *err)
{
        _cleanup_(sqs_received_list_release) struct sqs_received_list list = {0};
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *messages;
        const cJSON *message;
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        messages = json_get(answer, "Messages");
        if (messages && !cJSON_IsArray(messages) && !cJSON_IsNull(messages))
                return err_set(err, -EBADMSG,
                        "ReceiveMessage: Messages: a list is needed, found %s",
                        json_type_name(messages));
        cJSON_ArrayForEach (message, messages) {
                r = add_received(&list, message, err);
                if (r < 0)
                        return err_prefix(err, r, "ReceiveMessage: message %zu", list.count);
        }
        *ret = list;
        list = (struct sqs_received_list){0};
        return 0;
}

/* -- deleting and hiding -- */

struct http_call *sqs_delete_message(struct aws *aws, const char *queue_url, const char *receipt)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "QueueUrl", queue_url);
        json_add_string(body, "ReceiptHandle", receipt);
        return aws_object_call(aws, AWS_SQS, "DeleteMessage", body);
}

int sqs_delete_message_answer(const struct http_call *call, struct err *err)
{
        return aws_accepted(call, err);
}

struct http_call *sqs_hide_message(
        struct aws *aws, const char *queue_url, const char *receipt, unsigned seconds)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "QueueUrl", queue_url);
        json_add_string(body, "ReceiptHandle", receipt);
        json_add_integer(body, "VisibilityTimeout", seconds);
        return aws_object_call(aws, AWS_SQS, "ChangeMessageVisibility", body);
}

int sqs_hide_message_answer(const struct http_call *call, struct err *err)
{
        return aws_accepted(call, err);
}

struct http_call *sqs_hide_messages(struct aws *aws, const char *queue_url,
        const struct sqs_hidden *messages, size_t n_messages)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        cJSON *entries;

        json_add_string(body, "QueueUrl", queue_url);
        entries = cJSON_AddArrayToObject(body, "Entries");
        for (size_t i = 0; i < n_messages && i < SQS_BATCH_MAX; i++) {
                cJSON *entry = cJSON_CreateObject();
                char id[8];

                snprintf(id, sizeof(id), "%zu", i);
                json_add_string(entry, "Id", id);
                json_add_string(entry, "ReceiptHandle", messages[i].receipt);
                json_add_integer(entry, "VisibilityTimeout", messages[i].seconds);
                cJSON_AddItemToArray(entries, entry);
        }
        return aws_object_call(aws, AWS_SQS, "ChangeMessageVisibilityBatch", body);
}

int sqs_hide_messages_answer(const struct http_call *call, struct sqs_hidden *messages,
        size_t n_messages, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *done;
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        cJSON_ArrayForEach (done, json_get(answer, "Successful")) {
                const char *id = json_string(done, "Id");
                size_t i = id ? strtoul(id, NULL, 10) : n_messages;

                if (i < n_messages)
                        messages[i].done = true;
        }
        return 0;
}
