/* SPDX-License-Identifier: MIT */

/*
 * Amazon SQS, and the event source mappings that hand its messages to functions. Standard queues
 * deliver at least once; FIFO queues lock a message group while one of its messages is in flight,
 * and drop a deduplication id for five minutes, even after the message was deleted.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define DEDUP_MS (5 * MINUTE)
#define BATCH_SIZE 10
#define DAY (24 * HOUR)

/* As scaler/template.yaml says. */
#define QUEUE(name_, variable_, function_, dead_, hidden, receives, functions_, retention) \
        {                                                                                  \
                .name = (name_), .variable = (variable_), .function = (function_),         \
                .dead = (dead_), .hidden_ms = (hidden), .max_receives = (receives),        \
                .concurrency = (functions_), .retention_ms = (retention),                  \
        }

static const struct queue table[] = {
        QUEUE("queued.fifo", "QUEUED_QUEUE_URL", "queued", "dead-letters.fifo", 360 * SECOND, 4, 5,
                DAY),
        QUEUE("parked", "PARKED_QUEUE_URL", "watch", "dead-letters", 180 * SECOND, 30, 2, 2 * DAY),
        QUEUE("watch", "WATCH_QUEUE_URL", "watch", "dead-letters", 180 * SECOND, 30, 2, 2 * DAY),
        QUEUE("in-progress", "IN_PROGRESS_QUEUE_URL", "in_progress", "dead-letters", 180 * SECOND,
                4, 5, 4 * DAY),
        QUEUE("completed", "COMPLETED_QUEUE_URL", "completed", "dead-letters", 180 * SECOND, 4, 5,
                4 * DAY),
        QUEUE("instance", NULL, "instance", "dead-letters", 180 * SECOND, 30, 5, 4 * DAY),
        QUEUE("dead-letters", "DEAD_LETTER_QUEUE_URL", "dead_letter", NULL, 180 * SECOND, 0, 2,
                14 * DAY),
        QUEUE("dead-letters.fifo", NULL, "dead_letter", NULL, 180 * SECOND, 0, 2, 14 * DAY),
        QUEUE("kept-letters", "KEPT_QUEUE_URL", NULL, NULL, 30 * SECOND, 0, 0, 14 * DAY),
        QUEUE("notify.fifo", "NOTIFY_QUEUE_URL", "notify", "notify-dead-letters.fifo", 180 * SECOND,
                30, 2, DAY),
        QUEUE("notify-dead-letters.fifo", NULL, NULL, NULL, 30 * SECOND, 0, 0, 14 * DAY),
};

static void poll(struct world *world, void *userdata);

static bool is_fifo(const struct queue *queue)
{
        return strstr(queue->name, ".fifo") != NULL;
}

void sqs_init(struct world *world)
{
        struct queues *queues = &world->queues;

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct queue *queue = &queues->items[queues->n++];

                *queue = table[i];
                snprintf(queue->url, sizeof(queue->url),
                        "https://sqs." REGION ".amazonaws.com/" ACCOUNT "/scale-agent-%s",
                        queue->name);
                snprintf(queue->arn, sizeof(queue->arn),
                        "arn:aws:sqs:" REGION ":" ACCOUNT ":scale-agent-%s", queue->name);
                if (queue->variable)
                        setenv(queue->variable, queue->url, 1);
        }
}

static void free_message(struct message *message)
{
        free(message->body);
        free(message->group);
        free(message->source);
        free(message->cause);
        free(message);
}

void sqs_release(struct world *world)
{
        for (size_t i = 0; i < world->queues.n; i++) {
                struct queue *queue = &world->queues.items[i];

                for (size_t j = 0; j < queue->n_messages; j++)
                        free_message(queue->messages[j]);
                for (size_t j = 0; j < queue->n_dedups; j++)
                        free(queue->dedups[j].key);
                free(queue->messages);
                free(queue->dedups);
        }
}

struct queue *sqs_queue(struct world *world, const char *name)
{
        for (size_t i = 0; i < world->queues.n; i++)
                if (strcmp(world->queues.items[i].name, name) == 0)
                        return &world->queues.items[i];
        abort();
}

static struct queue *queue_by_url(struct world *world, const char *url)
{
        for (size_t i = 0; url && i < world->queues.n; i++)
                if (strcmp(world->queues.items[i].url, url) == 0)
                        return &world->queues.items[i];
        return NULL;
}

static struct queue *queue_by_arn(struct world *world, const char *arn)
{
        for (size_t i = 0; arn && i < world->queues.n; i++)
                if (strcmp(world->queues.items[i].arn, arn) == 0)
                        return &world->queues.items[i];
        return NULL;
}

/* -- what lies in a queue -- */

static void add(struct world *world, struct queue *queue, struct message *message)
{
        queue->messages =
                mem_resize(queue->messages, queue->n_messages + 1, sizeof(*queue->messages));
        queue->messages[queue->n_messages++] = message;
        message->order = world->queues.next++;
        if (queue->function)
                world_after(world,
                        message->visible_ms - world->now_ms + world_between(world, 20, 300), poll,
                        queue);
}

static void remove_deleted(struct queue *queue)
{
        size_t kept = 0;

        for (size_t i = 0; i < queue->n_messages; i++) {
                if (queue->messages[i]->deleted && !queue->messages[i]->in_flight)
                        free_message(queue->messages[i]);
                else
                        queue->messages[kept++] = queue->messages[i];
        }
        queue->n_messages = kept;
}

/* Whether KEY was sent within five minutes; remembers it if not. */
static bool is_repeated(struct world *world, struct queue *queue, const char *group, const char *id)
{
        _cleanup_free_ char *key = strcmp(queue->name, "queued.fifo") == 0
                                           ? mem_format("%s/%s", group, id)
                                           : mem_string(id);

        for (size_t i = 0; i < queue->n_dedups; i++)
                if (strcmp(queue->dedups[i].key, key) == 0 &&
                        queue->dedups[i].until_ms > world->now_ms)
                        return true;
        queue->dedups = mem_resize(queue->dedups, queue->n_dedups + 1, sizeof(*queue->dedups));
        queue->dedups[queue->n_dedups++] = (struct dedup){MEM_STEAL(key), world->now_ms + DEDUP_MS};
        return false;
}

static struct message *new_message(struct world *world, const char *body)
{
        struct message *message = mem_alloc(sizeof(*message));

        snprintf(
                message->id, sizeof(message->id), "m-%llu", (unsigned long long)world->queues.next);
        message->body = mem_string(body);
        message->sent_ms = world->now_ms;
        message->visible_ms = world->now_ms;
        return message;
}

void sqs_put(struct world *world, struct queue *queue, const char *body)
{
        add(world, queue, new_message(world, body));
}

void sqs_retry_letters(struct world *world)
{
        struct queue *kept = sqs_queue(world, "kept-letters");

        for (size_t i = 0; i < kept->n_messages; i++) {
                struct message *letter = kept->messages[i];

                for (size_t j = 0; j < world->queues.n && !letter->deleted; j++) {
                        struct queue *queue = &world->queues.items[j];

                        if (is_fifo(queue) || queue_by_arn(world, letter->source) != queue)
                                continue;
                        world_tell(world, "a person retries a letter of %s", queue->name);
                        sqs_put(world, queue, letter->body);
                        letter->deleted = true;
                }
        }
        remove_deleted(kept);
}

/* -- calls -- */

/* Takes what SendMessage or an entry of SendMessageBatch holds: NULL, or the code of a refusal. */
static const char *send_one(struct world *world, struct queue *queue, const cJSON *entry)
{
        const char *body = json_string(entry, "MessageBody");
        const char *group = json_string(entry, "MessageGroupId");
        const char *id = json_string(entry, "MessageDeduplicationId");
        int64_t delay = json_integer(entry, "DelaySeconds", 0);
        struct message *message;

        if (!body || (is_fifo(queue) && (!group || !id)))
                return "MissingParameter";
        if (delay < 0 || delay > 900 || (is_fifo(queue) && delay > 0))
                return "InvalidParameterValue";
        world_tell(world, "SQS: to %s, delay %lld s, id %s: %.200s", queue->name, (long long)delay,
                id ? id : "-", body);
        if (is_fifo(queue) && is_repeated(world, queue, group, id)) {
                world_tell(world, "SQS: dropped as a repetition: %s", id);
                return NULL;
        }
        message = new_message(world, body);
        message->group = mem_string(group);
        message->source = mem_string(json_string(entry, "MessageAttributes.source.StringValue"));
        message->cause = mem_string(json_string(entry, "MessageAttributes.cause.StringValue"));
        message->visible_ms += delay * SECOND;
        add(world, queue, message);
        if (strcmp(queue->name, "kept-letters") == 0 && queue_by_arn(world, message->source))
                queue_by_arn(world, message->source)->letters++;
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

static void change_visibility(struct world *world, const cJSON *body, struct answer *answer)
{
        struct queue *queue = queue_by_url(world, json_string(body, "QueueUrl"));
        const char *receipt = json_string(body, "ReceiptHandle");
        int64_t seconds = json_integer(body, "VisibilityTimeout", 0);

        for (size_t i = 0; queue && receipt && i < queue->n_messages; i++) {
                struct message *message = queue->messages[i];

                if (message->receipt != strtoull(receipt, NULL, 10) || message->deleted)
                        continue;
                if (message->visible_ms <= world->now_ms)
                        break; /* no longer in flight */
                message->visible_ms = world->now_ms + seconds * SECOND;
                world_tell(world, "SQS: %s of %s is hidden for %lld s", message->id, queue->name,
                        (long long)seconds);
                world_after(world, seconds * SECOND + 50, poll, queue);
                answer_text(answer, 200, "{}");
                return;
        }
        answer_aws_error(answer, 400, "MessageNotInflight");
}

void sqs_serve(struct world *world, const char *action, const cJSON *body, struct answer *answer)
{
        if (strcmp(action, "SendMessage") == 0)
                send_message(world, body, answer);
        else if (strcmp(action, "SendMessageBatch") == 0)
                send_batch(world, body, answer);
        else if (strcmp(action, "ChangeMessageVisibility") == 0)
                change_visibility(world, body, answer);
        else
                answer_aws_error(answer, 400, "InvalidAction");
}

/* -- event source mappings -- */

struct batch_under_way {
        struct queue *queue;
        struct message *messages[BATCH_SIZE];
        uint64_t receipts[BATCH_SIZE];
        size_t n;
};

static bool is_locked(const struct world *world, const struct queue *queue,
        const struct message *message, const struct batch_under_way *batch)
{
        if (!is_fifo(queue) || !message->group)
                return false;
        for (size_t i = 0; i < queue->n_messages; i++) {
                const struct message *other = queue->messages[i];
                bool in_batch = false;

                if (other == message || other->deleted || !other->group ||
                        strcmp(other->group, message->group) != 0)
                        continue;
                for (size_t j = 0; j < batch->n; j++)
                        in_batch = in_batch || batch->messages[j] == other;
                if (!in_batch &&
                        (other->order < message->order ||
                                (other->receives > 0 && other->visible_ms > world->now_ms)))
                        return true;
        }
        return false;
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
        moved = new_message(world, message->body);
        moved->group = mem_string(message->group);
        moved->from = queue->arn;
        message->deleted = true;
        add(world, dead, moved);
        return true;
}

static cJSON *attribute(const char *text)
{
        cJSON *object = cJSON_CreateObject();

        json_add_string(object, "stringValue", text);
        json_add_string(object, "dataType", "String");
        return object;
}

static cJSON *record_of(const struct queue *queue, const struct message *message)
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
        struct message *twin = new_message(world, message->body);

        memcpy(twin->id, message->id, sizeof(twin->id));
        twin->source = mem_string(message->source);
        twin->cause = mem_string(message->cause);
        twin->from = message->from;
        twin->visible_ms += world_between(world, 0, world_chance(world, 30) ? 10 * MINUTE : 2000);
        world_tell(world, "SQS: %s of %s will come twice", message->id, queue->name);
        add(world, queue, twin);
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
        remove_deleted(queue);
        world_after(world, 20, poll, queue);
}

static void take(struct world *world, struct batch_under_way *batch, struct message *message)
{
        struct queue *queue = batch->queue;

        if (!is_fifo(queue) && fault_strikes(world, FAULT_DOUBLE, 8))
                double_message(world, queue, message);
        message->receives++;
        message->receipt = ++world->queues.next;
        message->visible_ms = world->now_ms + queue->hidden_ms;
        message->in_flight = true;
        batch->receipts[batch->n] = message->receipt;
        batch->messages[batch->n++] = message;
        world_after(world, queue->hidden_ms + 50, poll, queue);
}

static void poll(struct world *world, void *userdata)
{
        struct queue *queue = userdata;
        _cleanup_free_ struct batch_under_way *batch = mem_alloc(sizeof(*batch));
        size_t most = world_chance(world, 70) ? BATCH_SIZE : 1 + world_random(world, BATCH_SIZE);
        _cleanup_json_ cJSON *event = NULL;
        _cleanup_free_ char *text = NULL;
        cJSON *records;

        if (queue->running >= queue->concurrency)
                return; /* batch_done() polls again */
        if (fault_is_down(world, FAULT_SQS)) {
                world_after(world, world_between(world, 5, 30) * SECOND, poll, queue);
                return;
        }
        batch->queue = queue;
        for (size_t i = 0; i < queue->n_messages && batch->n < most; i++) {
                struct message *message = queue->messages[i];

                if (message->deleted || message->in_flight || message->visible_ms > world->now_ms ||
                        is_locked(world, queue, message, batch) || redrive(world, queue, message))
                        continue;
                take(world, batch, message);
        }
        remove_deleted(queue);
        if (batch->n == 0)
                return;
        event = cJSON_CreateObject();
        records = cJSON_AddArrayToObject(event, "Records");
        for (size_t i = 0; i < batch->n; i++)
                cJSON_AddItemToArray(records, record_of(queue, batch->messages[i]));
        text = json_print(event);
        queue->running++;
        world_after(world, 20, poll, queue);
        lambda_invoke(world, queue->function, text, batch_done, MEM_STEAL(batch));
}
