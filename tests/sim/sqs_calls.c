/* SPDX-License-Identifier: MIT */

/*
 * The calls of Amazon SQS. FIFO queues drop a deduplication id for five minutes, even after the
 * message was deleted.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define DEDUP_MS (5 * MINUTE)
/* With so many before it, nothing is registered while it boots. */
#define REGISTERED_IN_TIME 180

static struct queue *queue_by_url(struct world *world, const char *url)
{
        for (size_t i = 0; url && i < world->queues.n; i++)
                if (strcmp(world->queues.items[i].url, url) == 0)
                        return &world->queues.items[i];
        return NULL;
}

/* They were noted one after the other. */
static void forget_old(const struct world *world, struct queue *queue)
{
        size_t n = 0;

        while (n < queue->n_dedups && queue->dedups[n].until_ms <= world->now_ms)
                n++;
        queue->n_dedups -= n;
        if (n > 0)
                memmove(queue->dedups, queue->dedups + n, queue->n_dedups * sizeof(*queue->dedups));
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t digest(uint64_t before, const char *text)
{
        for (; *text; text++)
                before = (before ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
        return before;
}

/* Whether ID was sent within five minutes; remembers it if not. */
static bool is_repeated(struct world *world, struct queue *queue, const char *group, const char *id)
{
        uint64_t key = digest(UINT64_C(0xcbf29ce484222325), id);

        if (queue->dedups_by_group)
                key = digest(digest(key, "/"), group);
        forget_old(world, queue);
        for (size_t i = 0; i < queue->n_dedups; i++)
                if (queue->dedups[i].key == key)
                        return true;
        queue->dedups = mem_resize(queue->dedups, queue->n_dedups + 1, sizeof(*queue->dedups));
        queue->dedups[queue->n_dedups++] = (struct dedup){key, world->now_ms + DEDUP_MS};
        return false;
}

/* Takes what SendMessage or an entry of SendMessageBatch holds: NULL, or the code of a refusal. */
static const char *send_one(struct world *world, struct queue *queue, const cJSON *entry)
{
        const char *body = json_string(entry, "MessageBody");
        const char *group = json_string(entry, "MessageGroupId");
        const char *id = json_string(entry, "MessageDeduplicationId");
        int64_t delay = json_integer(entry, "DelaySeconds", 0);
        struct message *message;

        if (!body || (sqs_is_fifo(queue) && (!group || !id)))
                return "MissingParameter";
        if (delay < 0 || delay > 900 || (sqs_is_fifo(queue) && delay > 0))
                return "InvalidParameterValue";
        world_tell(world, "SQS: to %s, delay %lld s, id %s: %.200s", queue->name, (long long)delay,
                id ? id : "-", body);
        if (strcmp(queue->name, "kept-letters") != 0)
                invariant_message(world, queue->name, body);
        if (sqs_is_fifo(queue) && is_repeated(world, queue, group, id)) {
                world_tell(world, "SQS: dropped as a repetition: %s", id);
                return NULL;
        }
        message = sqs_new_message(world, body);
        message->group = mem_string(group);
        message->source = mem_string(json_string(entry, "MessageAttributes.source.StringValue"));
        message->cause = mem_string(json_string(entry, "MessageAttributes.cause.StringValue"));
        message->visible_ms += delay * SECOND;
        sqs_add(world, queue, message);
        if (strcmp(queue->name, "kept-letters") == 0 && sqs_queue_by_arn(world, message->source))
                sqs_queue_by_arn(world, message->source)->letters++;
        return NULL;
}

static void send_message(struct world *world, const cJSON *body, struct answer *answer)
{
        struct queue *queue = queue_by_url(world, json_string(body, "QueueUrl"));
        const char *code = queue ? send_one(world, queue, body) : "QueueDoesNotExist";

        if (code)
                answer_aws_error(answer, 400, code);
        else
                answer_text(answer, 200, "{\"MessageId\":\"m\"}");
}

static void send_batch(struct world *world, const cJSON *body, struct answer *answer)
{
        struct queue *queue = queue_by_url(world, json_string(body, "QueueUrl"));
        cJSON *json = cJSON_CreateObject();
        cJSON *good = cJSON_AddArrayToObject(json, "Successful");
        cJSON *bad = cJSON_AddArrayToObject(json, "Failed");
        const cJSON *entry;

        cJSON_ArrayForEach (entry, json_get(body, "Entries")) {
                cJSON *item = cJSON_CreateObject();
                bool fails = fault_strikes(world, FAULT_ERROR, 3);
                const char *code = !queue  ? "QueueDoesNotExist"
                                   : fails ? "InternalError"
                                           : send_one(world, queue, entry);

                json_add_string(item, "Id", json_string(entry, "Id"));
                json_add_string(item, code ? "Code" : "MessageId", code ? code : "m");
                cJSON_AddItemToArray(code ? bad : good, item);
        }
        answer_json(answer, 200, json);
}

/* Hides a message that is in flight: whether it is. */
static bool hide(struct world *world, struct queue *queue, const char *receipt, int64_t seconds)
{
        for (size_t i = 0; queue && receipt && i < queue->n_messages; i++) {
                struct message *message = queue->messages[i];

                if (message->receipt != strtoull(receipt, NULL, 10) || message->deleted)
                        continue;
                if (message->visible_ms <= world->now_ms)
                        break; /* no longer in flight */
                message->visible_ms = world->now_ms + seconds * SECOND;
                world_tell(world, "SQS: %s of %s is hidden for %lld s", message->id, queue->name,
                        (long long)seconds);
                world_after(world, seconds * SECOND + 50, sqs_poll, queue);
                return true;
        }
        return false;
}

static void change_visibility(struct world *world, const cJSON *body, struct answer *answer)
{
        struct queue *queue = queue_by_url(world, json_string(body, "QueueUrl"));

        if (hide(world, queue, json_string(body, "ReceiptHandle"),
                    json_integer(body, "VisibilityTimeout", 0)))
                answer_text(answer, 200, "{}");
        else
                answer_aws_error(answer, 400, "MessageNotInflight");
}

static void change_visibilities(struct world *world, const cJSON *body, struct answer *answer)
{
        struct queue *queue = queue_by_url(world, json_string(body, "QueueUrl"));
        cJSON *json = cJSON_CreateObject();
        cJSON *good = cJSON_AddArrayToObject(json, "Successful");
        cJSON *bad = cJSON_AddArrayToObject(json, "Failed");
        const cJSON *entry;

        cJSON_ArrayForEach (entry, json_get(body, "Entries")) {
                cJSON *item = cJSON_CreateObject();
                bool done = !fault_strikes(world, FAULT_ERROR, 3) &&
                            hide(world, queue, json_string(entry, "ReceiptHandle"),
                                    json_integer(entry, "VisibilityTimeout", 0));

                json_add_string(item, "Id", json_string(entry, "Id"));
                if (!done)
                        json_add_string(item, "Code", "InternalError");
                cJSON_AddItemToArray(done ? good : bad, item);
        }
        answer_json(answer, 200, json);
}

static void add_count(cJSON *attributes, const char *name, unsigned count)
{
        char text[16];

        snprintf(text, sizeof(text), "%u", count);
        json_add_string(attributes, name, text);
}

/* What other installations wait for: to be registered, and in each second world in a long line. */
static unsigned of_others(struct world *world, const struct queue *queue)
{
        if (queue == sqs_queue(world, "register.fifo"))
                return REGISTERED_IN_TIME;
        return queue == sqs_queue(world, "paced.fifo") && world->seed % 2 == 1
                       ? 10 * REGISTERED_IN_TIME
                       : 0;
}

static void get_attributes(struct world *world, const cJSON *body, struct answer *answer)
{
        const struct queue *queue = queue_by_url(world, json_string(body, "QueueUrl"));
        cJSON *json = cJSON_CreateObject();
        cJSON *attributes = json_add_object(json, "Attributes");
        unsigned visible = 0;
        unsigned in_flight = 0;
        unsigned delayed = 0;

        for (size_t i = 0; queue && i < queue->n_messages; i++) {
                const struct message *message = queue->messages[i];

                if (message->deleted)
                        continue;
                if (message->visible_ms <= world->now_ms)
                        visible++;
                else if (message->receives > 0)
                        in_flight++;
                else
                        delayed++;
        }
        if (fault_is_down(world, FAULT_BURST))
                visible += of_others(world, queue);
        add_count(attributes, "ApproximateNumberOfMessages", visible);
        add_count(attributes, "ApproximateNumberOfMessagesNotVisible", in_flight);
        add_count(attributes, "ApproximateNumberOfMessagesDelayed", delayed);
        answer_json(answer, 200, json);
}

void sqs_serve(struct world *world, const char *action, const cJSON *body, struct answer *answer)
{
        if (strcmp(action, "SendMessage") == 0)
                send_message(world, body, answer);
        else if (strcmp(action, "SendMessageBatch") == 0)
                send_batch(world, body, answer);
        else if (strcmp(action, "ChangeMessageVisibility") == 0)
                change_visibility(world, body, answer);
        else if (strcmp(action, "ChangeMessageVisibilityBatch") == 0)
                change_visibilities(world, body, answer);
        else if (strcmp(action, "GetQueueAttributes") == 0)
                get_attributes(world, body, answer);
        else
                answer_aws_error(answer, 400, "InvalidAction");
}
