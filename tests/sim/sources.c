/* SPDX-License-Identifier: MIT */

/*
 * Event source mappings: they hand the messages of a queue to its function, and delete those that
 * it did not name as failed. What has been received too often goes to the dead letters. Standard
 * queues deliver at least once; FIFO queues lock a message group while one of its messages is in
 * flight.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define BATCH_SIZE 10

struct batch_under_way {
        struct queue *queue;
        struct message *messages[BATCH_SIZE];
        uint64_t receipts[BATCH_SIZE];
        size_t n;
};

/* Groups of which no message can be taken now. */
struct locked {
        const char **groups;
        size_t n;
};

static void lock(struct locked *locked, const char *group)
{
        if (!group)
                return;
        locked->groups = mem_resize(locked->groups, locked->n + 1, sizeof(*locked->groups));
        locked->groups[locked->n++] = group;
}

static bool is_locked(const struct locked *locked, const char *group)
{
        for (size_t i = 0; group && i < locked->n; i++)
                if (strcmp(locked->groups[i], group) == 0)
                        return true;
        return false;
}

/* Of a group, one message may be in flight. */
static void lock_groups(const struct world *world, const struct queue *queue, struct locked *locked)
{
        for (size_t i = 0; sqs_is_fifo(queue) && i < queue->n_messages; i++) {
                const struct message *message = queue->messages[i];

                if (!message->deleted && message->receives > 0 &&
                        message->visible_ms > world->now_ms && !is_locked(locked, message->group))
                        lock(locked, message->group);
        }
}

/* Past its receives: true when the message has been moved. */
static bool redrive(struct world *world, struct queue *queue, struct message *message)
{
        struct message *moved;
        struct queue *dead;

        if (!queue->dead || message->receives < queue->max_receives)
                return false;
        dead = sqs_queue(world, queue->dead);
        world_tell(world, "SQS: %s of %s has been received too often: to %s", message->id,
                queue->name, dead->name);
        moved = sqs_new_message(world, message->body);
        moved->group = mem_string(message->group);
        moved->from = queue->arn;
        message->deleted = true;
        sqs_add(world, dead, moved);
        return true;
}

static cJSON *attribute(const char *text)
{
        cJSON *object = cJSON_CreateObject();

        json_add_string(object, "stringValue", text);
        json_add_string(object, "dataType", "String");
        return object;
}

static cJSON *record_of(
        const struct world *world, const struct queue *queue, const struct message *message)
{
        cJSON *record = cJSON_CreateObject();
        cJSON *attributes = json_add_object(record, "attributes");
        cJSON *own = json_add_object(record, "messageAttributes");
        char text[32];

        json_add_string(record, "messageId", message->id);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)message->receipt);
        json_add_string(record, "receiptHandle", text);
        json_add_string(record, "body", message->body);
        json_add_string(record, "eventSourceARN", queue->arn);
        snprintf(text, sizeof(text), "%u", message->receives);
        json_add_string(attributes, "ApproximateReceiveCount", text);
        snprintf(text, sizeof(text), "%lld",
                (long long)(world_wall_ms(world) - world->now_ms + message->sent_ms));
        json_add_string(attributes, "SentTimestamp", text);
        json_add_string(attributes, "DeadLetterQueueSourceArn", message->from);
        if (message->source)
                cJSON_AddItemToObject(own, "source", attribute(message->source));
        if (message->cause)
                cJSON_AddItemToObject(own, "cause", attribute(message->cause));
        return record;
}

/* SQS delivers a message of a standard queue a second time. */
static void double_message(struct world *world, struct queue *queue, const struct message *message)
{
        struct message *twin = sqs_new_message(world, message->body);

        memcpy(twin->id, message->id, sizeof(twin->id));
        twin->source = mem_string(message->source);
        twin->cause = mem_string(message->cause);
        twin->from = message->from;
        twin->visible_ms += world_between(world, 0, world_chance(world, 30) ? 10 * MINUTE : 2000);
        world_tell(world, "SQS: %s of %s will come twice", message->id, queue->name);
        sqs_add(world, queue, twin);
}

static bool has_failed(const cJSON *answer, const struct message *message)
{
        const cJSON *failure;

        cJSON_ArrayForEach (failure, json_get(answer, "batchItemFailures")) {
                const char *id = json_string(failure, "itemIdentifier");

                if (id && strcmp(id, message->id) == 0)
                        return true;
        }
        return false;
}

static void batch_done(struct world *world, void *userdata, const char *text)
{
        _cleanup_free_ struct batch_under_way *batch = userdata;
        _cleanup_json_ cJSON *answer = NULL;
        struct queue *queue = batch->queue;
        bool good = text && json_parse(text, strlen(text), "", &answer, NULL) == 0 &&
                    cJSON_IsArray(json_get(answer, "batchItemFailures"));

        queue->running--;
        for (size_t i = 0; i < batch->n; i++) {
                struct message *message = batch->messages[i];

                message->in_flight = false;
                /* Received again meanwhile, its old receipt deletes nothing. */
                if (good && !has_failed(answer, message) &&
                        message->receipt == batch->receipts[i] && !fault_is_down(world, FAULT_SQS))
                        message->deleted = true;
        }
        sqs_remove_deleted(queue);
        world_after(world, 20, sqs_poll, queue);
}

static void take(struct world *world, struct batch_under_way *batch, struct message *message)
{
        struct queue *queue = batch->queue;

        if (!sqs_is_fifo(queue) && fault_strikes(world, FAULT_DOUBLE, 8))
                double_message(world, queue, message);
        message->receives++;
        message->receipt = ++world->queues.next;
        message->visible_ms = world->now_ms + queue->hidden_ms;
        message->in_flight = true;
        batch->receipts[batch->n] = message->receipt;
        batch->messages[batch->n++] = message;
        if (!world->is_burst || batch->n == 1)
                world_after(world, queue->hidden_ms + 50, sqs_poll, queue);
}

/* In order: a message that cannot be taken locks its group for those behind it. */
static void fill(struct world *world, struct batch_under_way *batch, size_t most)
{
        struct queue *queue = batch->queue;
        struct locked locked = {0};

        lock_groups(world, queue, &locked);
        for (size_t i = 0; i < queue->n_messages && batch->n < most; i++) {
                struct message *message = queue->messages[i];

                if (message->deleted || is_locked(&locked, message->group))
                        continue;
                if (message->in_flight || message->visible_ms > world->now_ms) {
                        if (sqs_is_fifo(queue))
                                lock(&locked, message->group);
                } else if (!redrive(world, queue, message)) {
                        take(world, batch, message);
                }
        }
        free(locked.groups);
}

void sqs_poll(struct world *world, void *userdata)
{
        struct queue *queue = userdata;
        _cleanup_free_ struct batch_under_way *batch = mem_alloc(sizeof(*batch));
        uint32_t batch_size = queue->batch_size > 0 ? (uint32_t)queue->batch_size : BATCH_SIZE;
        size_t most = world->is_burst || world_chance(world, 70)
                              ? batch_size
                              : 1 + world_random(world, batch_size);
        _cleanup_json_ cJSON *event = NULL;
        _cleanup_free_ char *text = NULL;
        cJSON *records;

        if (queue->running >= queue->concurrency)
                return; /* batch_done() polls again */
        if (fault_is_down(world, FAULT_SQS)) {
                world_after(world, world_between(world, 5, 30) * SECOND, sqs_poll, queue);
                return;
        }
        batch->queue = queue;
        fill(world, batch, most);
        sqs_remove_deleted(queue);
        if (batch->n == 0)
                return;
        event = cJSON_CreateObject();
        records = cJSON_AddArrayToObject(event, "Records");
        for (size_t i = 0; i < batch->n; i++)
                cJSON_AddItemToArray(records, record_of(world, queue, batch->messages[i]));
        text = json_print(event);
        queue->running++;
        world_after(world, 20, sqs_poll, queue);
        lambda_invoke(world, queue->function, text, batch_done, MEM_STEAL(batch));
}
