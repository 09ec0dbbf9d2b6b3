/* SPDX-License-Identifier: MIT */

/*
 * The queues of Amazon SQS, and what lies in them. sqs_calls.c answers calls, and sources.c hands
 * messages to functions.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

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
        QUEUE("paced.fifo", "PACED_QUEUE_URL", "admit", "dead-letters.fifo", 180 * SECOND, 1000, 2,
                2 * DAY),
        QUEUE("register.fifo", "REGISTER_QUEUE_URL", "register", "dead-letters.fifo", 360 * SECOND,
                1000, 5, 4 * DAY),
        QUEUE("parked", "PARKED_QUEUE_URL", "watch", "dead-letters", 180 * SECOND, 30, 2, 2 * DAY),
        QUEUE("limited.fifo", "LIMITED_QUEUE_URL", "admit", "dead-letters.fifo", 180 * SECOND, 1000,
                2, 2 * DAY),
        QUEUE("watch", "WATCH_QUEUE_URL", "watch", "dead-letters", 180 * SECOND, 30, 2, 2 * DAY),
        QUEUE("in-progress", "IN_PROGRESS_QUEUE_URL", "in_progress", "dead-letters", 180 * SECOND,
                30, 5, 4 * DAY),
        QUEUE("completed", "COMPLETED_QUEUE_URL", "completed", "dead-letters", 180 * SECOND, 30, 5,
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

bool sqs_is_fifo(const struct queue *queue)
{
        return strstr(queue->name, ".fifo") != NULL;
}

void sqs_init(struct world *world)
{
        struct queues *queues = &world->queues;

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct queue *queue = &queues->items[queues->n++];

                *queue = table[i];
                queue->batch_size = strcmp(queue->name, "limited.fifo") == 0;
                queue->dedups_by_group = sqs_is_fifo(queue) && !strstr(queue->name, "notify");
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

struct queue *sqs_queue_by_arn(struct world *world, const char *arn)
{
        for (size_t i = 0; arn && i < world->queues.n; i++)
                if (strcmp(world->queues.items[i].arn, arn) == 0)
                        return &world->queues.items[i];
        return NULL;
}

/* -- what lies in a queue -- */

void sqs_add(struct world *world, struct queue *queue, struct message *message)
{
        queue->messages =
                mem_resize(queue->messages, queue->n_messages + 1, sizeof(*queue->messages));
        queue->messages[queue->n_messages++] = message;
        message->order = world->queues.next++;
        if (queue->function)
                world_after(world,
                        message->visible_ms - world->now_ms + world_between(world, 20, 300),
                        sqs_poll, queue);
}

void sqs_remove_deleted(struct queue *queue)
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

struct message *sqs_new_message(struct world *world, const char *body)
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
        sqs_add(world, queue, sqs_new_message(world, body));
}

void sqs_retry_letters(struct world *world)
{
        struct queue *kept = sqs_queue(world, "kept-letters");

        for (size_t i = 0; i < kept->n_messages; i++) {
                struct message *letter = kept->messages[i];

                for (size_t j = 0; j < world->queues.n && !letter->deleted; j++) {
                        struct queue *queue = &world->queues.items[j];

                        if (sqs_is_fifo(queue) || sqs_queue_by_arn(world, letter->source) != queue)
                                continue;
                        world_tell(world, "a person retries a letter of %s", queue->name);
                        sqs_put(world, queue, letter->body);
                        letter->deleted = true;
                }
        }
        sqs_remove_deleted(kept);
}
