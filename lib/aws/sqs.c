/* SPDX-License-Identifier: MIT */

/*
 * Sends messages, counts those of a queue, and finds its URL. What is received: sqs_receive.c.
 */

#include "aws/sqs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

#define ATTRIBUTE_MAX 1000

/* -- sending -- */

/* SQS accepts #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 and above.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html */
static bool is_allowed(const char *character, size_t size)
{
        if (size == 1)
                return (unsigned char)*character >= ' ' || strchr("\t\n\r", *character);
        return size != 3 || memcmp(character, "\xef\xbf\xbe", 3) < 0;
}

/* TEXT as the value of an attribute: cut to ATTRIBUTE_MAX between characters, with a question mark
 * for each character for which SQS would refuse the whole message. The caller frees. */
static char *attribute_text(const char *text)
{
        struct buf value = BUF_INIT(ATTRIBUTE_MAX);
        size_t left = strlen(text);

        while (left > 0 && !value.overflow) {
                size_t size = utf8_character(text, left);

                if (size > 0 && is_allowed(text, size))
                        buf_add(&value, text, size);
                else
                        buf_add(&value, "?", 1);
                size += size == 0;
                text += size;
                left -= size;
        }
        return buf_steal(&value);
}

/* SQS has no empty attributes. */
static void add_attribute(cJSON *attributes, const char *name, const char *text)
{
        _cleanup_free_ char *value = NULL;
        cJSON *attribute;

        if (!text || !*text)
                return;
        value = attribute_text(text);
        attribute = json_add_object(attributes, name);
        json_add_string(attribute, "DataType", "String");
        json_add_string(attribute, "StringValue", value);
}

/* Adds what SendMessage and an entry of SendMessageBatch have in common. */
static void add_message(cJSON *body, const struct sqs_message *message)
{
        unsigned delay = message->delay_seconds;
        cJSON *attributes = cJSON_CreateObject();

        json_add_string(body, "MessageBody", message->body);
        json_add_string(body, "MessageGroupId", message->group);
        json_add_string(body, "MessageDeduplicationId", message->deduplication_id);
        if (delay > 0)
                json_add_integer(body, "DelaySeconds",
                        delay < SQS_DELAY_MAX_SECONDS ? delay : SQS_DELAY_MAX_SECONDS);
        add_attribute(attributes, "source", message->source);
        add_attribute(attributes, "group", message->kept_group);
        add_attribute(attributes, "cause", message->cause);
        if (attributes->child)
                cJSON_AddItemToObject(body, "MessageAttributes", attributes);
        else
                cJSON_Delete(attributes);
}

struct http_call *sqs_send_message(struct aws *aws, const struct sqs_message *message)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "QueueUrl", message->queue_url);
        add_message(body, message);
        return aws_object_call(aws, AWS_SQS, "SendMessage", body);
}

struct http_call *sqs_send_messages(
        struct aws *aws, const struct sqs_message *messages, size_t n_messages)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        cJSON *entries;

        json_add_string(body, "QueueUrl", messages[0].queue_url);
        entries = cJSON_AddArrayToObject(body, "Entries");
        for (size_t i = 0; i < n_messages && i < SQS_BATCH_MAX; i++) {
                cJSON *entry = cJSON_CreateObject();
                char id[8];

                snprintf(id, sizeof(id), "%zu", i);
                json_add_string(entry, "Id", id);
                add_message(entry, &messages[i]);
                cJSON_AddItemToArray(entries, entry);
        }
        return aws_object_call(aws, AWS_SQS, "SendMessageBatch", body);
}

/* Reads an answer that must hold a string at PATH. The string belongs to *ret_answer, which the
 * caller gives to cJSON_Delete(), also on failure. */
static int read_string(const struct http_call *call, const char *path, cJSON **ret_answer,
        const char **ret_string, struct err *err)
{
        int r = aws_accepted_json(call, ret_answer, err);

        if (r < 0)
                return r;
        r = json_need_string(*ret_answer, path, ret_string, err);
        return http_call_prefix(call, r, err);
}

int sqs_send_message_answer(const struct http_call *call, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const char *id;

        return read_string(call, "MessageId", &answer, &id, err);
}

int sqs_send_messages_answer(const struct http_call *call, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *failed;
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        failed = cJSON_GetArrayItem(json_get(answer, "Failed"), 0);
        if (failed)
                return err_set(err, -EREMOTEIO, "SQS did not take %d messages, the first with %s",
                        cJSON_GetArraySize(json_get(answer, "Failed")),
                        json_string(failed, "Code") ? json_string(failed, "Code") : "no code");
        return 0;
}

/* -- counting -- */

static const struct {
        const char *name;
        size_t offset;
} counts[] = {
        {"ApproximateNumberOfMessages", offsetof(struct sqs_count, visible)},
        {"ApproximateNumberOfMessagesNotVisible", offsetof(struct sqs_count, in_flight)},
        {"ApproximateNumberOfMessagesDelayed", offsetof(struct sqs_count, delayed)},
};

struct http_call *sqs_count_messages(struct aws *aws, const char *queue_url)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        cJSON *names;

        json_add_string(body, "QueueUrl", queue_url);
        names = cJSON_AddArrayToObject(body, "AttributeNames");
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                cJSON_AddItemToArray(names, cJSON_CreateString(counts[i].name));
        return aws_object_call(aws, AWS_SQS, "GetQueueAttributes", body);
}

/* SQS gives numbers as strings. */
int sqs_count_messages_answer(const struct http_call *call, struct sqs_count *ret, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *attributes;
        struct sqs_count count = {0};
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        attributes = json_get(answer, "Attributes");
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
                const char *text;

                r = json_need_string(attributes, counts[i].name, &text, err);
                if (r < 0)
                        return http_call_prefix(call, r, err);
                *(int64_t *)((char *)&count + counts[i].offset) = strtoll(text, NULL, 10);
        }
        *ret = count;
        return 0;
}

/* -- addresses -- */

struct http_call *sqs_get_queue_url(struct aws *aws, const char *name)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "QueueName", name);
        return aws_object_call(aws, AWS_SQS, "GetQueueUrl", body);
}

int sqs_get_queue_url_answer(const struct http_call *call, char **ret_url, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const char *url;
        int r = read_string(call, "QueueUrl", &answer, &url, err);

        if (r < 0)
                return r;
        *ret_url = mem_string(url);
        return 0;
}
