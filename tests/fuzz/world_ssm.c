/* SPDX-License-Identifier: MIT */

/*
 * SSM as the scaler uses it: of parameters there are the configuration, keys, hand-overs and
 * breakers.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* -- SSM -- */

/* -- breakers -- */

#define LOSSES_MANY 20

/* As many losses as a breaker keeps, of a moment ago. */
static const char *many_losses(void)
{
        static char text[1024];
        size_t at = (size_t)snprintf(text, sizeof(text), "{\"version\":1,\"losses\":{");

        for (unsigned i = 0; i < LOSSES_MANY; i++)
                at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\"i-000000%02x\":%d%s",
                        i > 0 ? "," : "", 0xa0 + i, 1767322945, "000");
        snprintf(text + at, sizeof(text) - at, "}}");
        return text;
}

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
                "{\"version\":1,\"losses\":{\"i-00000001\":1767322945000}}",
                "many",
        };
        const char *breaker = world.habits.breakers > 0
                                      ? WORLD_HABIT(world.habits.breakers, breakers)
                                      : world_one_of(breakers);

        return strcmp(breaker, "many") == 0 ? many_losses() : breaker;
}

/* -- reading -- */

static bool is_breaker(const char *name)
{
        return strstr(name, "/breakers/") != NULL;
}

/* A breaker's version is what a PutParameter goes on from. */
static cJSON *parameter(const char *name, const char *value)
{
        cJSON *json = cJSON_CreateObject();
        int64_t version = 1 + world_choose(4);

        json_add_string(json, "Name", name);
        json_add_string(json, "Value", value);
        json_add_integer(json, "Version", version);
        if (is_breaker(name))
                world.breaker_version = version;
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
        if (is_breaker(name))
                return make_breaker();
        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                if (strcmp(name, values[i].name) == 0)
                        return values[i].value;
        return world_handover_of(name);
}

static void get_one(struct http_call *call, const cJSON *body)
{
        const char *name = json_string(body, "Name");
        const char *value = name && world_choose(16) != 1 ? value_of(name) : NULL;
        cJSON *json;

        if (name && is_breaker(name))
                world.breaker_version = 0;
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

/* What all functions share: breakers of specs, and limits of GitHub's. */
static void get_shared(struct http_call *call)
{
        static const char *const limits[] = {"{\"apps\":1,\"until_ms\":1767324645000}",
                "{\"apps\":3,\"near_until_ms\":1767323945000}",
                "{\"apps\":2,\"until_ms\":9e15,\"near_until_ms\":9e15}", "nonsense"};
        static const char *const names[] = {"/p/breakers/linux", "/p/breakers/fleet",
                "/p/breakers/_limit.4711", "/p/breakers/_limit.enterprise"};
        cJSON *json = cJSON_CreateObject();
        cJSON *found = cJSON_AddArrayToObject(json, "Parameters");

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                bool is_limit = strchr(names[i], '_') != NULL;

                if (is_limit ? world_choose(4) == 1 : world_choose(4) > 0)
                        cJSON_AddItemToArray(
                                found, parameter(names[i],
                                               is_limit ? world_one_of(limits) : make_breaker()));
        }
        add_page(json);
        world_json(call, 200, json);
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
                json_add_integer(item, "LastModifiedDate", world_modified_seconds());
                cJSON_AddItemToArray(found, item);
        }
        add_page(json);
        world_json(call, 200, json);
}

/* -- writing -- */

static void put_handover(struct http_call *call, const cJSON *body)
{
        const char *name = json_string(body, "Name");

        if (world.habits.store > 0 && world_choose(8) != 1) {
                world_text(call, 400,
                        "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}");
        } else if (world_has_handover(name) && !json_boolean(body, "Overwrite", false)) {
                world_text(call, 400, "{\"__type\":\"ParameterAlreadyExists\"}");
        } else {
                world_store_handover(name, json_string(body, "Value"));
                world_text(call, 200, "{\"Version\":1}");
        }
}

static void put(struct http_call *call, const cJSON *body)
{
        const char *name = json_string(body, "Name");
        const char *value = json_string(body, "Value");
        _cleanup_free_ char *answer = NULL;

        CHECK(name && value);
        if (strstr(name, "/runners/")) {
                put_handover(call, body);
                return;
        }
        CHECK(strstr(name, "ticket-key") || !world_has_secret(value));
        if (is_breaker(name)) /* or another process was first */
                world.breaker_version += world_choose(8) == 1 ? 2 : 1;
        answer = mem_format("{\"Version\":%d}", is_breaker(name) ? (int)world.breaker_version : 1);
        world_text(call, 200, answer);
}

void world_ssm(struct http_call *call, const char *action, const cJSON *body)
{
        if (strcmp(action, "GetParameter") == 0)
                get_one(call, body);
        else if (strcmp(action, "GetParameters") == 0)
                get_some(call, body);
        else if (strcmp(action, "GetParametersByPath") == 0)
                get_shared(call);
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
