/* SPDX-License-Identifier: MIT */

/*
 * What comes to the handlers: batches of messages, made or sent by the handler before, and GitHub's
 * deliveries.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sign.h"
#include "world.h"

/* -- letters, notifications, deliveries -- */

static char *make_letter(int64_t id)
{
        switch (world_choose(3)) {
        case 1:
                return world_make_instance(id);
        case 2:
                return mem_string("nonsense");
        default:
                return world_make_queued(id);
        }
}

static char *make_notification(int64_t id)
{
        static const char *const severities[] = {"info", "warning", "error", "odd"};
        cJSON *json = cJSON_CreateObject();
        char title[32];
        cJSON *fact;

        snprintf(title, sizeof(title), "Title %lld", (long long)id);
        json_add_string(json, "severity", world_one_of(severities));
        json_add_string(json, "title", title);
        json_add_string(json, "text", "x");
        json_add_string(json, "url", "https://github.test/1");
        if (world_choose(2) == 1)
                json_add_string(json, "key", world_choose(2) ? title : "key");
        fact = cJSON_CreateObject();
        json_add_string(fact, "name", "Spec");
        json_add_string(fact, "value", "linux");
        cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "facts"), fact);
        return world_finish(json);
}

static char *make_delivery(int64_t id)
{
        static const char *const actions[] = {"queued", "in_progress", "completed", "waiting"};
        const char *action = world_one_of(actions);
        cJSON *body = cJSON_CreateObject();
        cJSON *job = json_add_object(body, "workflow_job");
        cJSON *repository = json_add_object(body, "repository");

        json_add_string(body, "action", action);
        json_add_string(repository, "full_name", world_choose(8) == 1 ? "stranger/r" : "o/r");
        json_add_boolean(repository, "private", !world.is_public);
        switch (world_choose(8)) {
        case 1: /* of a webhook that is no App's */
                break;
        case 2:
                json_add_integer(json_add_object(body, "installation"), "id", 99);
                break;
        default:
                json_add_integer(json_add_object(body, "installation"), "id", 4711);
                break;
        }
        json_add_integer(job, "id", id);
        json_add_integer(job, "run_id", (id - 1) / 4 + 1);
        json_add_integer(job, "run_attempt", 1);
        json_add_string(job, "status", world_choose(8) == 1 ? "waiting" : action);
        json_add_string(job, "created_at", "2026-01-02T03:04:00Z");
        json_add_string(job, "started_at", "2026-01-02T03:04:01Z");
        cJSON_AddItemToArray(
                cJSON_AddArrayToObject(job, "labels"), cJSON_CreateString(world_spec()));
        return world_finish(body);
}

/* -- batches -- */

const struct world_handler world_handlers[WORLD_HANDLERS] = {
        {"queued", world_make_queued, "queued.fifo", {"queued.fifo"}},
        {"register", world_make_launched, "register.fifo", {"register.fifo"}},
        {"watch", world_make_watched, "watch", {"watch", "parked"}},
        {"instance", world_make_instance, "instance", {"instance"}},
        {"in_progress", world_make_in_progress, "in_progress", {"in_progress"}},
        {"completed", world_make_completed, "completed", {"completed"}},
        {"dead_letter", make_letter, "dead", {"dead"}},
        {"notify", make_notification, "notify.fifo", {"notify.fifo"}},
        {"recover", NULL, NULL, {NULL}},
        {"webhook", make_delivery, NULL, {NULL}},
        {"admit", world_make_in_line, "paced.fifo", {"paced.fifo", "limited.fifo"}},
};

static void add_text(cJSON *attributes, const char *name, const char *value)
{
        json_add_string(json_add_object(attributes, name), "stringValue", value);
}

/* Message N, of BODY, as it came from QUEUE. */
static cJSON *make_record(const char *queue, int64_t n, const char *body)
{
        static const char *const receives[] = {"1", "2", "4", "70", "905", "990"};
        _cleanup_free_ char *arn =
                mem_format("arn:aws:sqs:eu-central-1:" WORLD_ACCOUNT ":%s", queue);
        cJSON *record = cJSON_CreateObject();
        cJSON *attributes = json_add_object(record, "attributes");
        char message[24];

        snprintf(message, sizeof(message), "m%lld", (long long)n);
        json_add_string(record, "messageId", message);
        json_add_string(record, "receiptHandle", "receipt");
        json_add_string(record, "body", body);
        json_add_string(record, "eventSourceARN", arn);
        json_add_string(attributes, "ApproximateReceiveCount", world_one_of(receives));
        json_add_string(attributes, "SentTimestamp", "1767323000000");
        json_add_string(attributes, "ApproximateFirstReceiveTimestamp",
                world_choose(2) ? "1767322000000" : "1767323044000");
        if (world_choose(2) == 0 && strcmp(queue, "dead") == 0) {
                cJSON *own = json_add_object(record, "messageAttributes");

                add_text(own, "source", arn);
                add_text(own, "cause", "because");
        }
        return record;
}

/* A delivery of GitHub's, signed by whoever knows the secret, or not. */
static char *make_delivery_event(void)
{
        _cleanup_free_ char *body = make_delivery(1);
        _cleanup_free_ char *header = NULL;
        cJSON *event = cJSON_CreateObject();
        cJSON *headers = json_add_object(event, "headers");
        char signature[65];
        char *text;

        sign_text(world_choose(8) == 1 ? "guessed" : WORLD_WEBHOOK_MARK, body, signature);
        header = mem_format("sha256=%s", signature);
        json_add_string(json_add_object(json_add_object(event, "requestContext"), "http"), "method",
                "POST");
        json_add_string(headers, "x-github-event", world_choose(8) == 1 ? "ping" : "workflow_job");
        json_add_string(headers, "x-github-delivery", "delivery");
        if (world_choose(8) != 1)
                json_add_string(headers, "x-hub-signature-256", header);
        if (world_choose(4) == 1) {
                json_add_string(headers, "x-github-hook-installation-target-type", "integration");
                json_add_string(headers, "x-github-hook-installation-target-id",
                        world_choose(2) ? "23456" : "12345");
        }
        json_add_string(event, "body", body);
        switch (world_choose(16)) {
        case 1:
                json_add_string(event, "httpMethod", "POST");
                break;
        case 2:
                json_add_object(cJSON_GetObjectItem(event, "requestContext"), "elb");
                break;
        default:
                break;
        }
        text = json_print(event);
        cJSON_Delete(event);
        return text;
}

static char *print(cJSON *event)
{
        char *text = json_print(event);

        cJSON_Delete(event);
        return text;
}

char *world_make_event(const struct world_handler *handler, unsigned n_records)
{
        cJSON *event;
        cJSON *records;

        if (!handler->make_body)
                return mem_string("{}");
        if (!handler->queue)
                return make_delivery_event();
        event = cJSON_CreateObject();
        records = cJSON_AddArrayToObject(event, "Records");
        for (unsigned i = 1; i <= n_records; i++) {
                _cleanup_free_ char *body = handler->make_body(i);

                cJSON_AddItemToArray(records, make_record(handler->queue, i, body));
        }
        return print(event);
}

/* -- what follows -- */

static bool reads(const struct world_handler *handler, const char *queue)
{
        for (size_t i = 0; i < ARRAY_SIZE(handler->queues) && handler->queues[i]; i++)
                if (strcmp(handler->queues[i], queue) == 0)
                        return true;
        return false;
}

/* Chooses a message that was sent and returns the handler that reads its queue; NULL: there is
 * none. */
static const struct world_handler *choose_reader(void)
{
        const char *queue;

        if (world.n_sent == 0)
                return NULL;
        queue = world.sent[world_choose((unsigned)world.n_sent)].queue;
        for (size_t i = 0; i < WORLD_HANDLERS; i++)
                if (reads(&world_handlers[i], queue))
                        return &world_handlers[i];
        return NULL;
}

/* Adds the sent messages of QUEUE to a batch, as Lambda delivers them. */
static void add_sent(cJSON *records, const char *queue)
{
        int64_t n = 0;

        for (size_t i = 0; i < world.n_sent && n < 10; i++) {
                const struct world_message *message = &world.sent[i];
                _cleanup_json_ cJSON *job = cJSON_Parse(message->body);

                if (strcmp(message->queue, queue) != 0)
                        continue;
                if (job)
                        world_note_job(job);
                cJSON_AddItemToArray(records, make_record(queue, ++n, message->body));
        }
}

char *world_make_next_event(size_t *ret_handler)
{
        const struct world_handler *handler = world_choose(4) != 1 ? choose_reader() : NULL;
        cJSON *event;

        if (!handler)
                return NULL;
        event = cJSON_CreateObject();
        for (size_t i = 0; i < world.n_sent; i++)
                if (reads(handler, world.sent[i].queue)) {
                        add_sent(cJSON_AddArrayToObject(event, "Records"), world.sent[i].queue);
                        break;
                }
        *ret_handler = (size_t)(handler - world_handlers);
        return print(event);
}

char *world_make_again(const char *event)
{
        cJSON *again = cJSON_Parse(event);
        cJSON *record;

        cJSON_ArrayForEach (record, cJSON_GetObjectItem(again, "Records")) {
                _cleanup_json_ cJSON *job = cJSON_Parse(json_string(record, "body"));
                cJSON *attributes = cJSON_GetObjectItem(record, "attributes");

                cJSON_DeleteItemFromObject(attributes, "ApproximateReceiveCount");
                json_add_string(attributes, "ApproximateReceiveCount", "2");
                if (job)
                        world_note_job(job);
        }
        return print(again);
}
