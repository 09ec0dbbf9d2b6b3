/* SPDX-License-Identifier: MIT */

/*
 * A second App, in each fifth seed, which registers too. It has budgets and tokens of its own, and
 * every two hours its installation may be suspended, or removed, or be there again.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

/* No number begins so, and the tokens of the first App are numbers. */
#define SECOND_MARK TOKEN_MARK "b"
#define SECOND_INSTALLATION "4712"

enum state { WORKS, SUSPENDED, REMOVED };

bool apps_has_second(const struct world *world)
{
        return !world->is_burst && world->seed % 5 == 1;
}

/* Not from the world's numbers: in other seeds nothing else is drawn. */
static enum state state_of(const struct world *world)
{
        static const enum state states[] = {WORKS, WORKS, WORKS, SUSPENDED, REMOVED};
        uint64_t draw = (world->seed + (uint64_t)(world->now_ms / (2 * HOUR)) * 7919) * 2654435761U;

        return states[draw / 65536 % ARRAY_SIZE(states)];
}

bool apps_is_second(const char *headers)
{
        return strstr(headers, "Bearer " SECOND_MARK) != NULL;
}

static void suspended(struct answer *answer)
{
        answer_text(answer, 403, "{\"message\":\"This installation has been suspended\"}");
}

static void find_installation(struct world *world, struct answer *answer)
{
        enum state state = state_of(world);

        if (state == REMOVED)
                answer_text(answer, 404, "{\"message\":\"Not Found\"}");
        else if (state == SUSPENDED)
                answer_text(answer, 200,
                        "{\"id\":" SECOND_INSTALLATION
                        ",\"suspended_at\":\"2026-01-01T00:00:00Z\"}");
        else
                answer_text(answer, 200, "{\"id\":" SECOND_INSTALLATION "}");
}

static void access_token(struct world *world, struct answer *answer)
{
        cJSON *json;
        _cleanup_free_ char *token = mem_format(SECOND_MARK "%" PRId64, world->next_id++);
        char time[CLOCK_TEXT_SIZE];

        if (state_of(world) == SUSPENDED) {
                suspended(answer);
                return;
        }
        if (state_of(world) == REMOVED) {
                answer_text(answer, 404, "{\"message\":\"Not Found\"}");
                return;
        }
        json = cJSON_CreateObject();
        json_add_string(json, "token", token);
        json_add_string(json, "expires_at", clock_format(world_wall_ms(world) + HOUR, time));
        answer_json(answer, 201, json);
}

bool apps_serve(struct world *world, const char *path, struct answer *answer)
{
        static const char installation[] = "/installation";
        size_t length = strlen(path);

        if (strncmp(path, "/repos/", 7) == 0 && length > strlen(installation) &&
                strcmp(path + length - strlen(installation), installation) == 0)
                find_installation(world, answer);
        else if (strncmp(path, "/app/installations/" SECOND_INSTALLATION "/", 24) == 0)
                access_token(world, answer);
        else if (world->caller_is_second && state_of(world) == SUSPENDED)
                suspended(answer);
        else if (world->caller_is_second && state_of(world) == REMOVED)
                answer_text(answer, 401, "{\"message\":\"Bad credentials\"}");
        return answer->status != 0;
}
