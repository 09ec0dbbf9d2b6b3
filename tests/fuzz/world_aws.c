/* SPDX-License-Identifier: MIT */

/*
 * SQS, SSM and S3 as the scaler uses them. Messages are taken, or not, one by one. Of parameters
 * there are the configuration, keys, hand-overs and breakers.
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

/* -- hand-overs -- */

/* The number of the batch's own machines, i-00000001 and so on; 0: it is none of them. */
static size_t number_of(const char *name)
{
        const char *id = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
        unsigned number = 0;

        if (strlen(id) != 10 || sscanf(id, "i-%8x", &number) != 1 || number > WORLD_JOBS)
                return 0;
        return number;
}

static bool has_handover(const char *name)
{
        size_t number = number_of(name);

        return number > 0 && world.store[number][0];
}

static char *handover_of(const char *name)
{
        size_t number = number_of(name);

        if (number == 0 || !world.store[number][0])
                return NULL;
        world.jobs[number].is_read = true;
        return world.store[number];
}

/* A hand-over is what its machine may know: the registration is of that machine's name. */
static void store_handover(const char *name, const char *value)
{
        const char *id = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
        _cleanup_json_ cJSON *handover = cJSON_Parse(value);
        const char *jit = json_string(handover, "jit_config");
        int64_t job = json_integer(handover, "job.id", 0);
        size_t number = number_of(name);

        CHECK(jit && strncmp(jit, WORLD_JIT_MARK, strlen(WORLD_JIT_MARK)) == 0);
        CHECK(strcmp(jit + strlen(WORLD_JIT_MARK), id + strlen("i-")) == 0);
        CHECK(!strstr(value, WORLD_TOKEN_MARK) && !strstr(value, WORLD_KEY_MARK));
        if (job >= 1 && job <= WORLD_JOBS)
                world.jobs[job].is_stored = true;
        if (number > 0)
                snprintf(world.store[number], sizeof(world.store[number]), "%s", value);
}

/* -- SSM -- */

/* What is below breakers/. */
static const char *make_breaker(void)
{
        static const char *const breakers[] = {
                "{\"version\":1}",
                "{\"version\":1,\"stopped_since_ms\":1767322000000,"
                "\"stopped_until_ms\":1767323645000}",
                "{\"version\":1,\"stopped_since_ms\":1767322000000,"
                "\"stopped_until_ms\":1767323000000}",
                "{\"version\":1,\"on_demand_until_ms\":1767323945000,\"losses\":{"
                "\"i-000000a1\":1767322945000,\"i-000000a2\":1767322945000}}",
                "{\"version\":1,\"losses\":{\"i-000000a1\":1767322945000,"
                "\"i-000000a2\":1767322945000}}",
                "{\"stopped_since_ms\":9e15,\"stopped_until_ms\":9e15,\"on_demand_until_ms\":9e15}",
                "nonsense",
        };

        return world_one_of(breakers);
}

static cJSON *parameter(const char *name, const char *value)
{
        cJSON *json = cJSON_CreateObject();

        json_add_string(json, "Name", name);
        json_add_string(json, "Value", value);
        json_add_integer(json, "Version", 1 + world_choose(4));
        return json;
}

static const char *value_of(const char *name)
{
        static const struct {
                const char *name;
                const char *value;
        } values[] = {
                {"/p/github/token", WORLD_TOKEN_MARK "0"},
                {"/p/github/enterprise-token", WORLD_TOKEN_MARK "9"},
                {"/p/webhook-secret", WORLD_WEBHOOK_MARK},
                {"/p/teams", "https://channel.test/" WORLD_CHANNEL_MARK "\n"},
                {"/p/slack", "https://channel.test/" WORLD_CHANNEL_MARK "2\n\n"},
        };

        if (strcmp(name, "/p/config") == 0)
                return world.config;
        if (strcmp(name, "/p/ticket-key") == 0)
                return WORLD_KEY;
        if (strstr(name, "private-key"))
                return world.app_key;
        if (strstr(name, "/breakers/"))
                return make_breaker();
        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                if (strcmp(name, values[i].name) == 0)
                        return values[i].value;
        return handover_of(name);
}

static void get_one(struct http_call *call, const cJSON *body)
{
        const char *name = json_string(body, "Name");
        const char *value = name && world_choose(16) != 1 ? value_of(name) : NULL;
        cJSON *json;

        if (!value) {
                world_text(call, 400, "{\"__type\":\"ParameterNotFound\"}");
                return;
        }
        json = cJSON_CreateObject();
        cJSON_AddItemToObject(json, "Parameter", parameter(name, value));
        world_json(call, 200, json);
}

static void get_some(struct http_call *call, const cJSON *body)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *found = cJSON_AddArrayToObject(json, "Parameters");
        cJSON *invalid = cJSON_AddArrayToObject(json, "InvalidParameters");
        const cJSON *item;

        cJSON_ArrayForEach (item, json_get(body, "Names")) {
                const char *name = cJSON_GetStringValue(item);
                const char *value = world_choose(16) != 1 ? value_of(name) : NULL;

                if (value)
                        cJSON_AddItemToArray(found, parameter(name, value));
                else
                        cJSON_AddItemToArray(invalid, cJSON_CreateString(name));
        }
        world_json(call, 200, json);
}

static void add_page(cJSON *json)
{
        if (world_choose(16) == 1)
                json_add_string(json, "NextToken", "next");
}

static void get_breakers(struct http_call *call)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *found = cJSON_AddArrayToObject(json, "Parameters");
        static const char *const names[] = {"/p/breakers/linux", "/p/breakers/fleet"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (world_choose(4) > 0)
                        cJSON_AddItemToArray(found, parameter(names[i], make_breaker()));
        add_page(json);
        world_json(call, 200, json);
}

/* The seconds of a hand-over's last change: long ago, or a moment ago. */
static int64_t modified_seconds(void)
{
        static const int64_t seconds[] = {1767300000, 1767322500, 1767323040, 0};

        return world_one_of(seconds);
}

static void list_handovers(struct http_call *call)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *found = cJSON_AddArrayToObject(json, "Parameters");

        for (size_t i = 1; i <= WORLD_JOBS; i++) {
                char name[64];
                cJSON *item;

                if (!world.store[i][0])
                        continue;
                snprintf(name, sizeof(name), "/p/runners/i-%08zx", i);
                item = parameter(name, "");
                json_add_integer(item, "LastModifiedDate", modified_seconds());
                cJSON_AddItemToArray(found, item);
        }
        add_page(json);
        world_json(call, 200, json);
}

static void put(struct http_call *call, const cJSON *body)
{
        const char *name = json_string(body, "Name");
        const char *value = json_string(body, "Value");

        CHECK(name && value);
        if (strstr(name, "/runners/") && has_handover(name) &&
                !json_boolean(body, "Overwrite", false)) {
                world_text(call, 400, "{\"__type\":\"ParameterAlreadyExists\"}");
                return;
        }
        if (strstr(name, "/runners/"))
                store_handover(name, value);
        else
                CHECK(strstr(name, "ticket-key") || !world_has_secret(value));
        world_text(call, 200, "{\"Version\":1}");
}

void world_ssm(struct http_call *call, const char *action, const cJSON *body)
{
        if (strcmp(action, "GetParameter") == 0)
                get_one(call, body);
        else if (strcmp(action, "GetParameters") == 0)
                get_some(call, body);
        else if (strcmp(action, "GetParametersByPath") == 0)
                get_breakers(call);
        else if (strcmp(action, "DescribeParameters") == 0)
                list_handovers(call);
        else if (strcmp(action, "PutParameter") == 0)
                put(call, body);
        else if (strcmp(action, "DeleteParameters") == 0)
                world_text(call, 200, "{\"DeletedParameters\":[],\"InvalidParameters\":[]}");
        else if (strcmp(action, "DeleteParameter") == 0)
                world_text(call, 200, "{}");
        else
                CHECK(!"another call of SSM");
}

/* -- S3 -- */

static void list_objects(struct http_call *call)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(16UL * 1024);

        buf_add_string(&xml, "<ListBucketResult>");
        for (size_t i = 1; i <= WORLD_JOBS; i++) {
                char time[CLOCK_TEXT_SIZE];

                if (!world.store[i][0])
                        continue;
                buf_add_format(&xml,
                        "<Contents><Key>arn:aws:ec2:eu-central-1:" WORLD_ACCOUNT
                        ":instance/i-%08zx</Key><LastModified>%s</LastModified></Contents>",
                        i, clock_format(modified_seconds() * MSEC_PER_SEC, time));
        }
        if (world_choose(16) == 1)
                buf_add_string(&xml, "<NextContinuationToken>next</NextContinuationToken>");
        buf_add_string(&xml, "</ListBucketResult>");
        world_text(call, 200, buf_string(&xml));
}

void world_s3(struct http_call *call)
{
        const char *url = buf_string(&call->url);

        if (strchr(url, '?')) {
                list_objects(call);
        } else if (strcmp(call->method, "PUT") == 0 && has_handover(url)) {
                world_text(call, 412, "<Error><Code>PreconditionFailed</Code></Error>");
        } else if (strcmp(call->method, "PUT") == 0) {
                store_handover(url, buf_string(&call->body));
                world_text(call, 200, "");
        } else if (strcmp(call->method, "DELETE") == 0) {
                world_text(call, 204, "");
        } else if (has_handover(url)) {
                world_text(call, 200, handover_of(url));
        } else {
                world_text(call, 404, "<Error><Code>NoSuchKey</Code></Error>");
        }
}
