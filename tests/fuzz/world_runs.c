/* SPDX-License-Identifier: MIT */

/*
 * Jobs and runs, as GitHub tells of them.
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

/* Of N_STATES: most often the one that is usual. */
static unsigned choose_state(unsigned n_states)
{
        return world.habits.jobs > 0 && world_choose(8) != 1 ? (world.habits.jobs - 1) % n_states
                                                             : world_choose(n_states);
}

/* Whether it waits is what a job's launch depends on. */
static cJSON *job_json(int64_t id)
{
        static const struct {
                const char *status;
                const char *conclusion;
                bool is_over;
        } states[] = {{"queued", NULL, false}, {"in_progress", NULL, true},
                {"completed", "failure", true}, {"completed", "success", true},
                {"completed", "cancelled", true}, {"waiting", NULL, false},
                {"pending", NULL, false}, {"something new", NULL, false}};
        struct world_job *known = &world.jobs[id <= WORLD_JOBS ? id : 0];
        unsigned state = known->state > 0 ? known->state - 1U : choose_state(ARRAY_SIZE(states));
        cJSON *json = cJSON_CreateObject();
        cJSON *steps;
        char runner[20];

        if ((known->is_over || known->was_over) && !states[state].is_over)
                state = 1 + state % 4; /* for ever */
        snprintf(runner, sizeof(runner), "i-%08x", (unsigned)id);
        json_add_integer(json, "id", id);
        json_add_integer(json, "run_id", (id - 1) / 4 + 1);
        json_add_integer(json, "run_attempt", 1);
        json_add_string(json, "name", "build");
        json_add_string(json, "status", states[state].status);
        json_add_string(json, "conclusion", states[state].conclusion);
        json_add_string(
                json, "completed_at", states[state].is_over ? "2026-01-02T03:04:00Z" : NULL);
        json_add_string(json, "runner_name", states[state].is_over ? runner : NULL);
        cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "labels"),
                cJSON_CreateString(world_choose(4) == 1 ? "linux" : world.spec));
        steps = cJSON_AddArrayToObject(json, "steps");
        if (state == 4 && world_choose(2) == 1) {
                cJSON *step = cJSON_CreateObject();

                json_add_string(step, "conclusion", "failure");
                cJSON_AddItemToArray(steps, step);
        }
        known->state = state + 1;
        known->is_over = states[state].is_over;
        known->is_waiting = state == 0;
        known->is_failed = state == 2 || state == 4;
        return json;
}

static void get_job(struct http_call *call, int64_t id)
{
        bool is_known = id >= 1 && id <= WORLD_JOBS && world_choose(8) != 1;

        if (is_known)
                world_json(call, 200, job_json(id));
        else
                not_found(call);
        if (id >= 1 && id <= WORLD_JOBS)
                world.jobs[id].is_unknown = !is_known;
}

static void list_jobs(struct http_call *call, int64_t run)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(json, "jobs");

        for (int64_t id = 4 * (run - 1) + 1; id <= 4 * run && id <= WORLD_JOBS; id++)
                if (id > 0 && world_choose(8) != 1)
                        cJSON_AddItemToArray(list, job_json(id));
        json_add_integer(
                json, "total_count", cJSON_GetArraySize(list) + (world_choose(8) == 1 ? 1000 : 0));
        world_json(call, 200, json);
}

/* Whether the run comes from a fork: for ever. */
static bool choose_fork(int64_t run)
{
        int64_t first = 4 * (run - 1) + 1;
        bool is_fork = world_choose(2) == 1;

        if (run < 1 || first > WORLD_JOBS)
                return is_fork;
        is_fork = world.jobs[first].is_fork || (is_fork && !world.is_own[run]);
        world.is_own[run] = !is_fork;
        return is_fork;
}

static cJSON *run_json(int64_t id)
{
        static const char *const statuses[] = {"completed", "in_progress", "queued"};
        cJSON *json = cJSON_CreateObject();
        int64_t first = 4 * (id - 1) + 1;
        bool is_fork = choose_fork(id);
        bool is_other = world_choose(4) == 1;

        json_add_integer(json, "id", id);
        json_add_string(json, "name", "CI");
        json_add_integer(json, "run_number", 5 + world_choose(3));
        json_add_integer(json, "run_attempt", 1 + is_other);
        world.has_other_attempt |= is_other;
        json_add_integer(json, "workflow_id", 9);
        json_add_string(json, "head_branch", "main");
        json_add_string(json, "event", world_choose(2) ? "pull_request" : "push");
        json_add_string(json, "status", world_one_of(statuses));
        json_add_string(json, "html_url", WORLD_API "/o/r/actions/runs/1");
        json_add_integer(json_add_object(json, "head_repository"), "id", is_fork ? 2 : 1);
        json_add_integer(json_add_object(json, "repository"), "id", 1);
        for (int64_t job = first; is_fork && job < first + 4 && job <= WORLD_JOBS; job++)
                world.jobs[job].is_fork = true;
        return json;
}

static void list_runs(struct http_call *call)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(json, "workflow_runs");
        unsigned n = world_choose(3);

        for (unsigned i = 1; i <= n; i++)
                cJSON_AddItemToArray(list, run_json(i + WORLD_JOBS * (world_choose(2))));
        json_add_integer(json, "total_count", n);
        world_json(call, 200, json);
}

static void run_again(struct http_call *call)
{
        switch (world_choose(8)) {
        case 1:
        case 2:
                world_text(call, 403, "{\"message\":\"This workflow run is already running\"}");
                break;
        case 3:
                not_found(call);
                break;
        default:
                world.n_rerun++;
                world_text(call, 201, "");
                break;
        }
}

bool world_runs(struct http_call *call, const char *path)
{
        int64_t id;
        int end = 0;

        if (strstr(path, "/rerun"))
                run_again(call);
        else if (sscanf(path, "/jobs/%" SCNd64, &id) == 1)
                get_job(call, id);
        else if (sscanf(path, "/runs/%" SCNd64 "/attempts/%*d/jobs%n", &id, &end) == 1 && end > 0)
                list_jobs(call, id);
        else if (sscanf(path, "/runs/%" SCNd64, &id) == 1)
                world_json(call, 200, run_json(id));
        else if (strncmp(path, "/workflows/", 11) == 0)
                list_runs(call);
        else
                return false;
        return true;
}
