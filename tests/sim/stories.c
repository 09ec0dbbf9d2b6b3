/* SPDX-License-Identifier: MIT */

/*
 * Lives of one machine without any fault, and without a scaler that does anything for it: what the
 * model of the agent calls, one line each. tests/flow/test_4_agent_model.py has the agent itself
 * live them, and compares.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

#define STORY_MS (30 * MINUTE)

struct story {
        const char *name;
        void (*on_listening)(struct machine *machine);
        bool unregistered; /* GitHub accepts no runner */
};

/* -- what the agent calls -- */

/* The names of the members of OBJECT, with commas. */
static void print_names(const char *what, const cJSON *object)
{
        const char *comma = "";
        const cJSON *member;

        printf(" %s=", what);
        cJSON_ArrayForEach (member, object) {
                printf("%s%s", comma, member->string);
                comma = ",";
        }
}

void story_call(const struct machine *machine, const char *call, const cJSON *detail)
{
        if (!machine->world->shows_calls)
                return;
        printf("%s", call);
        if (detail) {
                printf(" %s", json_string(detail, "stage"));
                print_names("detail", detail);
                print_names("times", json_get(detail, "times"));
        }
        printf("\n");
}

/* -- the machine, its registration and its hand-over, as the scaler would make them -- */

static char *register_machine(struct world *world, const struct machine *machine)
{
        struct answer answer = {.headers = BUF_INIT(1024), .body = BUF_INIT(64 * 1024)};
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        _cleanup_json_ cJSON *json = NULL;
        char *jit = NULL;

        json_add_string(body, "name", machine->id);
        cJSON_AddItemToArray(
                cJSON_AddArrayToObject(body, "labels"), cJSON_CreateString("self-hosted"));
        github_serve(world, "POST", "/repos/" REPOSITORY "/actions/runners/generate-jitconfig",
                body, &answer);
        if (json_parse(buf_string(&answer.body), answer.body.size, "", &json, NULL) == 0)
                jit = mem_string(json_string(json, "encoded_jit_config"));
        buf_release(&answer.headers);
        buf_release(&answer.body);
        return jit;
}

static void hand_over(struct world *world, const struct machine *machine, bool unregistered)
{
        static const char *const times[] = {"queued", "webhook", "launched", "handed_over"};
        _cleanup_free_ char *jit = unregistered ? NULL : register_machine(world, machine);
        _cleanup_json_ cJSON *json = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;
        char name[64];
        cJSON *part;

        json_add_integer(json, "version", 1);
        json_add_string(json, "jit_config", unregistered ? "refused" : jit);
        json_add_integer(json, "runner_id", 7);
        json_add_string(json, "prefix", PREFIX);
        json_add_string(json, "spec", "linux");
        json_add_string(json, "scope", "repos/" REPOSITORY);
        json_add_string(json, "ticket", "of nobody");
        json_add_integer(json_add_object(json, "job"), "id", 7);
        part = json_add_object(json, "times");
        for (size_t i = 0; i < ARRAY_SIZE(times); i++)
                json_add_integer(part, times[i], (int64_t)i + 1);
        text = json_print(json);
        snprintf(name, sizeof(name), PREFIX "/runners/%s", machine->id);
        ssm_set(world, name, text);
}

/* -- what befalls it -- */

static void start_job(struct machine *machine)
{
        struct world *world = machine->world;

        job_add(world, 24 * HOUR, " self-hosted ");
        world->jobs[0]->duration_ms = 5 * MINUTE;
        machine_job_started(machine, world->jobs[0]->id);
}

static void start_job_and_take_back(struct machine *machine)
{
        start_job(machine);
        world_after(machine->world, MINUTE, machine_spot_warning, machine);
}

/* As `instance` does once the machine has reported that it idles. */
static void deregister(struct world *world, void *userdata)
{
        const struct machine *machine = userdata;
        char name[64];

        snprintf(name, sizeof(name), PREFIX "/runners/%s", machine->id);
        ssm_delete(world, name);
}

static void idle(struct machine *machine)
{
        world_after(machine->world, 300 * SECOND + 2 * MINUTE, deregister, machine);
}

static const struct story stories[] = {
        {"job", start_job, false},
        {"idle", idle, false},
        {"spot", start_job_and_take_back, false},
        {"refused", NULL, true},
};

int story_tell(const char *name)
{
        struct world world;

        for (size_t i = 0; i < ARRAY_SIZE(stories); i++) {
                struct machine *machine;

                if (strcmp(stories[i].name, name) != 0)
                        continue;
                world_init(&world, 1, false, 0);
                world.shows_calls = true;
                machine = machine_new(&world);
                snprintf(machine->type, sizeof(machine->type), "m7i.large");
                hand_over(&world, machine, stories[i].unregistered);
                machine_launched(machine);
                while (machine->stage < MACHINE_LISTENING && world.now_ms < HOUR)
                        world_run(&world, world.now_ms + SECOND);
                if (machine->stage == MACHINE_LISTENING)
                        stories[i].on_listening(machine);
                world_run(&world, world.now_ms + STORY_MS);
                world_release(&world);
                return 0;
        }
        fprintf(stderr, "no story is called %s\n", name);
        return 2;
}
