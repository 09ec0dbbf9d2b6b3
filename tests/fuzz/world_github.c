/* SPDX-License-Identifier: MIT */

/*
 * GitHub's API as the scaler uses it.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

static void not_found(struct http_call *call)
{
        world_text(call, 404, "{\"message\":\"Not Found\"}");
}

/* -- Apps -- */

static void give_token(struct http_call *call)
{
        world_text(call, 201,
                "{\"token\":\"" WORLD_TOKEN_MARK "1\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
}

static void find_installation(struct http_call *call)
{
        switch (world_choose(4)) {
        case 1:
                world_text(call, 200, "{\"id\":4712,\"suspended_at\":\"2026-01-01T00:00:00Z\"}");
                break;
        case 2:
                not_found(call);
                break;
        default:
                world_text(call, 200, "{\"id\":4712}");
                break;
        }
}

static void list_deliveries(struct http_call *call)
{
        static const int statuses[] = {202, 503, 400, 0, 429};
        static const char *const times[] = {
                "2026-01-02T03:03:00Z", "2026-01-02T02:00:00Z", "2025-12-01T00:00:00Z", "never"};
        cJSON *list = cJSON_CreateArray();
        unsigned n = world_choose(5);

        for (unsigned i = 0; i < n; i++) {
                cJSON *item = cJSON_CreateObject();
                char guid[16];

                snprintf(guid, sizeof(guid), "guid-%u", world_choose(3));
                json_add_integer(item, "id", 1 + i);
                json_add_string(item, "guid", guid);
                json_add_string(item, "event", world_choose(4) == 1 ? "ping" : "workflow_job");
                json_add_string(item, "action", "queued");
                json_add_string(item, "status", "no");
                json_add_integer(item, "status_code", world_one_of(statuses));
                json_add_string(item, "delivered_at", world_one_of(times));
                cJSON_AddItemToArray(list, item);
        }
        if (world_choose(4) == 1)
                buf_add_string(&call->answer_headers,
                        "link: <https://github.test/app/hook/deliveries?cursor=v1_1>; "
                        "rel=\"next\"\r\n");
        world_json(call, 200, list);
}

/* -- runners -- */

static cJSON *runner_json(int64_t id, const char *name, bool online, bool busy)
{
        cJSON *json = cJSON_CreateObject();

        json_add_integer(json, "id", id);
        json_add_string(json, "name", name);
        json_add_string(json, "os", "linux");
        json_add_string(json, "status", online ? "online" : "offline");
        json_add_boolean(json, "busy", busy);
        cJSON_AddArrayToObject(json, "labels");
        return json;
}

/* A machine's number is its runner's id, and a hundred more. */
static struct world_machine *machine_of(int64_t runner)
{
        char id[20];

        snprintf(id, sizeof(id), "i-%08" PRIx64, runner - 100);
        return runner > 100 && runner < 0x10000 ? world_machine(id) : NULL;
}

static int64_t runner_of(const char *name)
{
        unsigned number = 0;

        (void)sscanf(name, "i-%8x", &number);
        return number < 0x10000 ? 100 + number : 7;
}

static void register_runner(struct http_call *call, const cJSON *body)
{
        const char *name = json_string(body, "name");
        _cleanup_free_ char *jit = NULL;
        cJSON *json;

        CHECK(name && strncmp(name, "i-", 2) == 0);
        CHECK(cJSON_IsArray(json_get(body, "labels")));
        if (world.habits.names > 0 ? world_choose(4) != 1 : world_choose(8) == 1) {
                world_text(call, 409, "{\"message\":\"Already exists - A runner with the name\"}");
                return;
        }
        jit = mem_format(WORLD_JIT_MARK "%s", name + 2);
        json = cJSON_CreateObject();
        cJSON_AddItemToObject(json, "runner", runner_json(runner_of(name), name, false, false));
        json_add_string(json, "encoded_jit_config", jit);
        world_json(call, 201, json);
}

static void list_runners(struct http_call *call, const char *query)
{
        _cleanup_free_ char *from_second = mem_format("&%s", query + 1);
        _cleanup_free_ char *name = world_form_value(from_second, "name");
        cJSON *json = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(json, "runners");
        unsigned kind = world_choose(5);

        if (name && (kind == 1 || kind == 2) && world_machine(name))
                world_machine(name)->has_runner = true;
        json_add_integer(json, "total_count", kind > 0);
        if (name && kind > 0)
                cJSON_AddItemToArray(list,
                        runner_json(runner_of(name), name, kind == 1 || kind == 2, kind == 2));
        world_json(call, 200, json);
}

static void serve_runner(struct http_call *call, int64_t id)
{
        struct world_machine *machine = machine_of(id);
        unsigned kind = world_choose(4);

        if (strcmp(call->method, "DELETE") != 0) {
                world_json(call, 200, runner_json(id, "i-00000001", kind & 1, kind & 2));
        } else if (kind == 1) {
                if (machine)
                        machine->has_runner = true;
                world_text(call, 422, "{\"message\":\"Bad request - Runner is running a job\"}");
        } else {
                if (machine)
                        machine->is_deregistered = true;
                world_text(call, kind == 2 ? 404 : 204, "");
        }
}

/* What an answer says of the calls of the hour. */
static void add_hour(struct http_call *call)
{
        static const struct {
                int limit;
                int left;
                int seconds; /* until it ends */
        } hours[] = {{5000, 4900, 1800}, {5000, 700, 1800}, {5000, 60, 1800}, {5000, 20, 60},
                {5000, 0, 600}, {15000, 14000, -5}, {100, 90, 20}, {5000, 55, 150}};
        unsigned i = (world.habits.hour - 1) % ARRAY_SIZE(hours);

        if (world.habits.hour == 0)
                return;
        buf_add_format(&call->answer_headers,
                "x-ratelimit-limit: %d\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %lld\r\n",
                hours[i].limit, hours[i].left, (long long)(WORLD_NOW_MS / 1000 + hours[i].seconds));
}

/* PATH is what follows a scope. */
static void serve_actions(struct http_call *call, const char *path, const cJSON *body)
{
        int64_t id;

        if (strcmp(path, "/runners/generate-jitconfig") == 0)
                register_runner(call, body);
        else if (strncmp(path, "/runners?", 9) == 0)
                list_runners(call, strchr(path, '?'));
        else if (sscanf(path, "/runners/%" SCNd64, &id) == 1)
                serve_runner(call, id);
        else if (!world_runs(call, path))
                CHECK(!"another call of GitHub");
}

void world_github(struct http_call *call, const cJSON *body)
{
        const char *path = buf_string(&call->url) + strlen(WORLD_API);
        const char *actions = strstr(path, "/actions/");
        size_t size = strlen(path);

        if (strstr(path, "/access_tokens"))
                give_token(call);
        else if (size > 13 && strcmp(path + size - 13, "/installation") == 0)
                find_installation(call);
        else if (strncmp(path, "/app/hook/deliveries?", 21) == 0)
                list_deliveries(call);
        else if (strncmp(path, "/app/hook/deliveries/", 21) == 0)
                world_text(call, 202, "{}");
        else if (actions)
                serve_actions(call, actions + strlen("/actions"), body);
        else
                CHECK(!"another call of GitHub");
        add_hour(call);
}
