/* SPDX-License-Identifier: MIT */

/*
 * SQS: messages are taken, or not, one by one.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* -- SQS -- */

static void send_one(struct http_call *call, const cJSON *body)
{
        CHECK(json_string(body, "QueueUrl") && json_string(body, "MessageBody"));
        world_note_message(json_string(body, "QueueUrl"), json_string(body, "MessageBody"));
        world_text(call, 200, "{\"MessageId\":\"m\"}");
}

/* Answers for each of ENTRIES, of which SQS may refuse some. */
static void answer_entries(
        struct http_call *call, const cJSON *body, void (*take)(const char *, const cJSON *))
{
        const char *queue = json_string(body, "QueueUrl");
        cJSON *answer = cJSON_CreateObject();
        cJSON *successful = cJSON_AddArrayToObject(answer, "Successful");
        cJSON *failed = cJSON_AddArrayToObject(answer, "Failed");
        const cJSON *entry;

        CHECK(queue && cJSON_GetArraySize(json_get(body, "Entries")) <= 10);
        cJSON_ArrayForEach (entry, json_get(body, "Entries")) {
                bool fails = world_choose(16) == 1;
                cJSON *item = cJSON_CreateObject();

                json_add_string(item, "Id", json_string(entry, "Id"));
                if (fails)
                        json_add_string(item, "Code", "InternalError");
                else if (take)
                        take(queue, entry);
                cJSON_AddItemToArray(fails ? failed : successful, item);
        }
        world_json(call, 200, answer);
}

static void take_message(const char *queue, const cJSON *entry)
{
        CHECK(json_string(entry, "MessageBody"));
        world_note_message(queue, json_string(entry, "MessageBody"));
}

static void count_messages(struct http_call *call)
{
        static const int counts[] = {0, 1, 12, 250};
        int visible = world_one_of(counts);
        int hidden = world_one_of(counts);
        _cleanup_free_ char *text =
                mem_format("{\"Attributes\":{\"ApproximateNumberOfMessages\":\"%d\","
                           "\"ApproximateNumberOfMessagesNotVisible\":\"%d\","
                           "\"ApproximateNumberOfMessagesDelayed\":\"0\"}}",
                        visible, hidden);

        world_text(call, 200, text);
}

void world_sqs(struct http_call *call, const char *action, const cJSON *body)
{
        if (strcmp(action, "SendMessage") == 0)
                send_one(call, body);
        else if (strcmp(action, "SendMessageBatch") == 0)
                answer_entries(call, body, take_message);
        else if (strcmp(action, "ChangeMessageVisibilityBatch") == 0)
                answer_entries(call, body, NULL);
        else if (strcmp(action, "GetQueueAttributes") == 0)
                count_messages(call);
        else if (strcmp(action, "ChangeMessageVisibility") == 0)
                world_text(call, 200, "{}");
        else
                CHECK(!"another call of SQS");
}
