/* SPDX-License-Identifier: MIT */

/*
 * Messages of jobs 1 to 12, at any point of their lives.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* Each may be there, with a value that it has at some point. */
static void add_members(cJSON *job, unsigned n)
{
        static const struct {
                const char *name;
                int64_t value;
        } members[] = {
                {"launch", 1},
                {"relaunches", 2},
                {"relaunches", 6},
                {"tries", 3},
                {"waits", 7},
                {"sends", 3},
                {"stale", 1},
                {"paced", 1},
                {"limited", 1},
                {"missing", 2},
                {"missing", 40},
                {"told_of", 1},
                {"told_of", 14},
                {"offer", 3},
                {"offer", 900},
                {"watches", 1},
                {"watches", 5},
                {"public", 1},
                {"adopted", 1},
                {"asked_ms", WORLD_NOW_MS - 1000},
                {"queued_ms", WORLD_NOW_MS - 60000},
                {"not_before_ms", WORLD_NOW_MS + 3600000},
                {"launched_ms", WORLD_NOW_MS - 1200000},
                {"launched_ms", WORLD_NOW_MS - 180000000},
                {"lost_ms", WORLD_NOW_MS - 600000},
                {"asked", 1},
                {"attempt", 2},
                {"installation", 99},
                {"run_id", 0},
                {"webhook_ms", WORLD_NOW_MS - 30000},
        };

        for (unsigned i = 0; i < n; i++) {
                unsigned at = world_choose(ARRAY_SIZE(members));

                cJSON_DeleteItemFromObjectCaseSensitive(job, members[at].name);
                json_add_integer(job, members[at].name, members[at].value);
        }
}

static cJSON *job_message(int64_t id, const char *action)
{
        cJSON *job = cJSON_CreateObject();
        const char *spec = world_choose(4) == 1 ? world_spec() : world.spec;
        const char *label = strcmp(spec, "gone") != 0 ? spec : world_choose(2) ? "linux" : "none";
        cJSON *labels;
        char url[96];

        world_job_url(id, url);
        json_add_string(job, "action", action);
        json_add_integer(job, "id", id);
        json_add_integer(job, "run_id", (id - 1) / 4 + 1);
        json_add_integer(job, "attempt", 1);
        json_add_integer(job, "installation", 4711);
        json_add_string(job, "repository", (id - 1) / 4 + 1 == world.other_run ? "other/r" : "o/r");
        json_add_string(job, "name", "build");
        json_add_string(job, "url", url);
        json_add_string(job, "spec", spec);
        json_add_string(
                job, "instance_type", strcmp(spec, "ranked") == 0 ? "m7a.large" : "m7i.large");
        if (world.is_public)
                json_add_integer(job, "public", 1);
        labels = cJSON_AddArrayToObject(job, "labels");
        cJSON_AddItemToArray(labels, cJSON_CreateString(label));
        if (world_choose(8) == 1)
                cJSON_AddItemToArray(labels, cJSON_CreateString("run-1"));
        return job;
}

/* Which one: see name_machine(). */
static void add_machine(cJSON *job)
{
        json_add_integer(job, "launched_ms", WORLD_NOW_MS - 500);
        json_add_string(job, "machine_type", "m7i.large");
        json_add_string(job, "account", WORLD_ACCOUNT);
        switch (world_choose(8)) {
        case 1:
                json_add_string(job, "bucket", WORLD_BUCKET);
                break;
        case 2:
                json_add_string(job, "bucket", "another-bucket");
                break;
        default:
                break;
        }
}

/* Each launch of a job has a machine of its own. */
static void name_machine(cJSON *job)
{
        char instance[20];

        if (!json_string(job, "machine_type"))
                return;
        world_machine_id(json_integer(job, "id", 0), json_integer(job, "attempt", 1),
                json_integer(job, "launch", 0), instance);
        json_add_string(job, "instance", instance);
}

void world_note_job(const cJSON *job)
{
        const char *spec = json_string(job, "spec");
        int64_t id = json_integer(job, "id", 0);
        struct world_job *noted = &world.jobs[id >= 1 && id <= WORLD_JOBS ? id : 0];

        noted->refuses_forks =
                json_integer(job, "public", 0) > 0 && spec && strcmp(spec, "ended") != 0;
        noted->is_asked_for =
                json_integer(job, "asked_ms", 0) == 0 &&
                (json_integer(job, "stale", 0) > 0 || json_integer(job, "launch", 0) > 0);
}

char *world_finish(cJSON *json)
{
        _cleanup_free_ char *written = NULL;
        _cleanup_json_ cJSON *job = NULL;
        char *text;

        add_members(json, world_choose(4));
        written = json_print(json);
        cJSON_Delete(json);
        job = cJSON_Parse(written); /* numbers that were added cannot be read */
        name_machine(job);
        world_note_job(job);
        text = json_print(job);
        if (world_choose(32) == 1)
                text[strlen(text) / 2] = '\0';
        return text;
}

char *world_make_queued(int64_t id)
{
        cJSON *job = job_message(id, "queued");

        if (world_choose(8) == 1)
                json_add_string(job, "left_out", world_choose(2) ? "07" : "0x");
        return world_finish(job);
}

char *world_make_launched(int64_t id)
{
        cJSON *job = job_message(id, "launched");

        add_machine(job);
        return world_finish(job);
}

static char *make_ran(int64_t id, const char *action)
{
        static const char *const conclusions[] = {"success", "failure", "cancelled", "skipped"};
        cJSON *job = job_message(id, action);
        char instance[20];

        snprintf(instance, sizeof(instance), "i-%08llx", (unsigned long long)id);
        json_add_integer(job, "queued_ms", 1000);
        json_add_integer(job, "started_ms", 2000);
        json_add_integer(job, "completed_ms", 61000);
        json_add_integer(job, "runner_id", 100 + id);
        json_add_string(job, "runner_name", world_choose(8) == 1 ? "laptop" : instance);
        json_add_string(job, "conclusion", world_one_of(conclusions));
        return world_finish(job);
}

char *world_make_in_progress(int64_t id)
{
        return make_ran(id, "in_progress");
}

char *world_make_completed(int64_t id)
{
        return make_ran(id, "completed");
}

char *world_make_in_line(int64_t id)
{
        static const char *const actions[] = {"paced", "limited", "paced", "other"};

        return world_finish(job_message(id, world_one_of(actions)));
}

/* Makes a message for `watch`, which reads two queues; and, as in a stack without `admit`, one of a
 * line. */
char *world_make_watched(int64_t id)
{
        static const char *const actions[] = {
                "watched", "queued", "paced", "lost", "watched", "lost", "watched", "other"};
        const char *action = world_one_of(actions);
        cJSON *job = job_message(id, action);

        if (strcmp(action, "watched") == 0)
                add_machine(job);
        if (strcmp(action, "lost") == 0) {
                char machines[40];

                snprintf(machines, sizeof(machines), "/i-%08llx/", (unsigned long long)id);
                json_add_string(job, "machines", machines);
        }
        return world_finish(job);
}
