/* SPDX-License-Identifier: MIT */

/*
 * The world's decisions and notes.
 */

#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

struct world world;

void world_forget_messages(void)
{
        for (size_t i = 0; i < world.n_sent; i++) {
                free(world.sent[i].queue);
                free(world.sent[i].body);
        }
        world.n_sent = 0;
}

void world_begin(const uint8_t *bytes, size_t size)
{
        world_forget_messages();
        world = (struct world){.bytes = bytes, .left = size};
}

unsigned world_choose(unsigned n)
{
        unsigned byte;

        if (world.left == 0)
                return 0;
        byte = *world.bytes++;
        world.left--;
        return byte % n;
}

bool world_has_secret(const char *text)
{
        static const char *const marks[] = {WORLD_TOKEN_MARK, WORLD_JIT_MARK, WORLD_KEY_MARK,
                WORLD_CHANNEL_MARK, WORLD_WEBHOOK_MARK, WORLD_AWS_MARK, "PRIVATE KEY"};

        for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
                if (strstr(text, marks[i]))
                        return true;
        return false;
}

/* -- ids -- */

void world_job_url(int64_t id, char url[static 96])
{
        snprintf(url, 96, WORLD_API "/o/r/actions/runs/%lld/job/%lld", (long long)(id - 1) / 4 + 1,
                (long long)id);
}

void world_machine_id(int64_t job, int64_t attempt, int64_t launch, char id[static 20])
{
        int64_t number = launch + 16 * (attempt - 1);

        snprintf(id, 20, "i-%08x", (unsigned)((number & 0x7f) << 8 | (job & 0xff)));
}

unsigned world_job_of(const char *id)
{
        unsigned number = 0;

        if (strlen(id) != 10 || sscanf(id, "i-%8x", &number) != 1 || number > 0x7fff)
                return 0;
        number &= 0xff;
        return number <= WORLD_JOBS ? number : 0;
}

/* -- notes -- */

struct world_machine *world_machine(const char *id)
{
        struct world_machine *machine;

        for (size_t i = 0; i < world.n_machines; i++)
                if (strcmp(world.machines[i].id, id) == 0)
                        return &world.machines[i];
        if (world.n_machines == WORLD_MACHINES || strlen(id) >= sizeof(machine->id))
                return NULL;
        machine = &world.machines[world.n_machines++];
        *machine = (struct world_machine){.type = "m7i.large"};
        snprintf(machine->id, sizeof(machine->id), "%s", id);
        return machine;
}

struct world_machine *world_new_machine(void)
{
        char id[20];

        snprintf(id, sizeof(id), "i-0000f%03zx", world.n_machines);
        return world_machine(id);
}

static void keep_message(const char *queue_url, const char *body)
{
        const char *queue = strrchr(queue_url, '/');

        if (world.n_sent < WORLD_SENT && queue)
                world.sent[world.n_sent++] =
                        (struct world_message){mem_string(queue + 1), mem_string(body)};
}

static void note_job(const cJSON *message, const char *queue)
{
        int64_t id = json_integer(message, "id", 0);
        const char *action = json_string(message, "action");
        const char *instance = json_string(message, "instance");
        struct world_machine *machine = instance ? world_machine(instance) : NULL;

        if (id >= 1 && id <= WORLD_JOBS) {
                world.jobs[id].is_sent = true;
                world.jobs[id].is_dead |= strstr(queue, "dead") != NULL;
                if (action && strcmp(action, "watched") == 0)
                        world.jobs[id].is_followed = true;
        }
        if (machine && strstr(queue, "register"))
                machine->is_sent = true;
}

void world_note_message(const char *queue_url, const char *body)
{
        _cleanup_json_ cJSON *message = cJSON_Parse(body);

        CHECK(!world_has_secret(body));
        if (strstr(queue_url, "notify"))
                world.n_told++;
        else if (strstr(queue_url, "kept"))
                world.n_kept++;
        else if (strstr(queue_url, "dead"))
                world.n_dead++;
        if (message)
                note_job(message, queue_url);
        keep_message(queue_url, body);
}

/* -- answers -- */

void world_text(struct http_call *call, int status, const char *text)
{
        call->status = status;
        buf_clear(&call->answer);
        buf_add_string(&call->answer, text);
}

void world_json(struct http_call *call, int status, cJSON *json)
{
        _cleanup_free_ char *text = json_print(json);

        cJSON_Delete(json);
        world_text(call, status, text);
}
