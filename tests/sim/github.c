/* SPDX-License-Identifier: MIT */

/*
 * GitHub's API as the scaler uses it: tokens, registrations, runners and jobs. It may not know for
 * a while that a runner is busy: then a DELETE is accepted (204) or the runner is not found (404),
 * and the job goes on all the same.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define LIMIT_BUDGET 25

struct runner *runner_find(struct world *world, int64_t id)
{
        size_t from = 0;
        size_t to = world->n_runners;

        while (from < to) {
                size_t middle = (from + to) / 2;

                if (world->runners[middle]->id == id)
                        return world->runners[middle];
                if (world->runners[middle]->id < id)
                        from = middle + 1;
                else
                        to = middle;
        }
        return NULL;
}

static struct runner *find_by_name(struct world *world, const char *name)
{
        for (size_t i = 0; name && i < world->n_runners; i++)
                if (!world->runners[i]->gone && strcmp(world->runners[i]->name, name) == 0)
                        return world->runners[i];
        return NULL;
}

static bool is_seen_busy(const struct world *world, const struct runner *runner)
{
        return runner->job != 0 && world->now_ms >= runner->seen_busy_ms;
}

static cJSON *runner_json(const struct world *world, const struct runner *runner)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *labels;

        json_add_integer(json, "id", runner->id);
        json_add_string(json, "name", runner->name);
        json_add_string(json, "os", "linux");
        json_add_string(json, "status", runner->online ? "online" : "offline");
        json_add_boolean(json, "busy", is_seen_busy(world, runner));
        labels = cJSON_AddArrayToObject(json, "labels");
        (void)labels;
        return json;
}

static void not_found(struct answer *answer)
{
        answer_text(answer, 404, "{\"message\":\"Not Found\"}");
}

/* -- tokens -- */

static void access_token(struct world *world, struct answer *answer)
{
        cJSON *json = cJSON_CreateObject();
        _cleanup_free_ char *token = mem_format(TOKEN_MARK "%" PRId64, world->next_id++);
        char time[CLOCK_TEXT_SIZE];

        json_add_string(json, "token", token);
        json_add_string(json, "expires_at", clock_format(world_wall_ms(world) + HOUR, time));
        answer_json(answer, 201, json);
}

/* -- registrations -- */

static void on_day_old(struct world *world, void *userdata)
{
        struct runner *runner = userdata;

        (void)world;
        if (!runner->online && runner->job == 0)
                runner->gone = true;
}

static struct runner *new_runner(
        struct world *world, const char *repository, const char *name, const cJSON *body)
{
        struct runner *runner = mem_alloc(sizeof(*runner));
        struct buf labels = BUF_INIT(sizeof(runner->labels) - 1);
        const cJSON *label;

        buf_add_string(&labels, " ");
        cJSON_ArrayForEach (label, json_get(body, "labels")) {
                buf_add_format(&labels, "%s ", cJSON_GetStringValue(label));
        }
        runner->id = world->next_id++;
        snprintf(runner->name, sizeof(runner->name), "%s", name);
        snprintf(runner->repository, sizeof(runner->repository), "%s", repository);
        snprintf(runner->labels, sizeof(runner->labels), "%s", buf_string(&labels));
        runner->created_ms = world->now_ms;
        buf_release(&labels);
        world->runners = mem_resize(world->runners, world->n_runners + 1, sizeof(*world->runners));
        world->runners[world->n_runners++] = runner;
        world_after(world, 24 * HOUR, on_day_old, runner);
        return runner;
}

static void generate_jitconfig(
        struct world *world, const char *repository, const cJSON *body, struct answer *answer)
{
        const char *name = json_string(body, "name");
        struct runner *runner;
        cJSON *json;
        char encoded[64];

        if (!name || !json_get(body, "labels")) {
                answer_text(answer, 422, "{\"message\":\"Invalid request\"}");
                return;
        }
        if (find_by_name(world, name)) {
                answer_text(answer, 409,
                        "{\"message\":\"Already exists - A runner with the name already "
                        "exists.\"}");
                return;
        }
        if (fault_strikes(world, FAULT_REFUSE, 5)) {
                static const int statuses[] = {403, 404, 422};

                answer_text(answer, statuses[world_random(world, 3)],
                        "{\"message\":\"Self-hosted runners are disabled\"}");
                return;
        }
        runner = new_runner(world, repository, name, body);
        world_tell(world, "GitHub: runner %" PRId64 " is registered as %s,%s", runner->id, name,
                runner->labels);
        json = cJSON_CreateObject();
        cJSON_AddItemToObject(json, "runner", runner_json(world, runner));
        snprintf(encoded, sizeof(encoded), JIT_MARK "%08" PRIx64, (uint64_t)runner->id);
        json_add_string(json, "encoded_jit_config", encoded);
        answer_json(answer, 201, json);
}

/* -- runners -- */

static void list_runners(struct world *world, const char *path, struct answer *answer)
{
        const char *query = strchr(path, '?');
        _cleanup_free_ char *name = query ? form_value(query + 1, "name") : NULL;
        const struct runner *runner = find_by_name(world, name);
        cJSON *json = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(json, "runners");

        json_add_integer(json, "total_count", runner ? 1 : 0);
        if (runner)
                cJSON_AddItemToArray(list, runner_json(world, runner));
        answer_json(answer, 200, json);
}

static void delete_runner(struct world *world, int64_t id, struct answer *answer)
{
        struct runner *runner = runner_find(world, id);
        struct machine *machine;

        if (!runner || runner->gone) {
                not_found(answer);
                return;
        }
        if (is_seen_busy(world, runner)) {
                answer_text(answer, 422, "{\"message\":\"Bad request - Runner is running a job\"}");
                return;
        }
        machine = machine_find(world, runner->name);
        invariant_deregister(machine, id);
        if (runner->job != 0) {
                bool found = world_chance(world, 50);

                world_tell(world, "GitHub lies: runner %" PRId64 " is %s", id,
                        found ? "deleted, although it is busy" : "not found, although it is busy");
                runner->gone = runner->gone || found;
                answer_text(answer, found ? 204 : 404, "");
                return;
        }
        runner->gone = true;
        world_tell(world, "GitHub: runner %" PRId64 ", %s, is deleted", id, runner->name);
        if (machine && machine->runner == id)
                machine_registration_gone(machine);
        answer_text(answer, 204, "");
}

static void serve_runner(struct world *world, const char *method, int64_t id, struct answer *answer)
{
        const struct runner *runner = runner_find(world, id);

        if (strcmp(method, "DELETE") == 0)
                delete_runner(world, id, answer);
        else if (!runner || runner->gone)
                not_found(answer);
        else
                answer_json(answer, 200, runner_json(world, runner));
}

/* -- jobs -- */

static void get_job(struct world *world, int64_t id, struct answer *answer)
{
        const struct sim_job *job = job_find(world, id);

        if (job)
                answer_json(answer, 200, job_json(job));
        else
                not_found(answer);
}

/* The first hundred of a run. */
static void list_jobs(struct world *world, int64_t run, struct answer *answer)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(json, "jobs");
        int count = 0;

        for (size_t i = 0; i < world->n_jobs; i++) {
                if (world->jobs[i]->run != run || count++ >= 100)
                        continue;
                cJSON_AddItemToArray(list, job_json(world->jobs[i]));
        }
        json_add_integer(json, "total_count", count);
        answer_json(answer, 200, json);
}

/* -- webhooks -- */

static void redeliver(struct world *world, int64_t id, struct answer *answer)
{
        if (deliveries_again(world, id))
                answer_text(answer, 202, "{}");
        else
                not_found(answer);
}

/* Whether the hourly limit of the caller is used up; the answer is then filled. */
static bool is_limited(struct world *world, struct answer *answer)
{
        unsigned *budget = &world->github_budgets[world->caller_is_second];
        int64_t *budget_hour = &world->github_budget_hours[world->caller_is_second];
        int64_t hour = world->now_ms / HOUR;

        if (*budget_hour != hour + 1) {
                *budget_hour = hour + 1;
                *budget = fault_strikes(world, FAULT_LIMIT, 70) ? world_random(world, LIMIT_BUDGET)
                                                                : 1000000;
        }
        if (*budget > 0) {
                (*budget)--;
                return false;
        }
        (void)fault_strikes(world, FAULT_LIMIT, 100);
        answer_text(answer, 403, "{\"message\":\"API rate limit exceeded\"}");
        buf_add_format(&answer->headers, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: %lld\r\n",
                (long long)((world_wall_ms(world) + HOUR - world->now_ms % HOUR) / SECOND + 1));
        return true;
}

/* What is below a repository's actions: PATH is the rest of it. */
static void serve_actions(struct world *world, const char *method, const char *repository,
        const char *path, const cJSON *body, struct answer *answer)
{
        int64_t id;
        int end = 0;

        if (strcmp(path, "/runners/generate-jitconfig") == 0)
                generate_jitconfig(world, repository, body, answer);
        else if (strncmp(path, "/runners?", strlen("/runners?")) == 0)
                list_runners(world, path, answer);
        else if (sscanf(path, "/runners/%" SCNd64, &id) == 1)
                serve_runner(world, method, id, answer);
        else if (sscanf(path, "/jobs/%" SCNd64, &id) == 1)
                get_job(world, id, answer);
        else if (sscanf(path, "/runs/%" SCNd64 "/attempts/1/jobs%n", &id, &end) == 1 && end > 0)
                list_jobs(world, id, answer);
        else
                not_found(answer); /* runs, too: here a lost job is not run again */
}

void github_serve(struct world *world, const char *method, const char *path, const cJSON *body,
        struct answer *answer)
{
        char repository[64];
        int64_t id;
        int end = 0;

        if (apps_has_second(world) && apps_serve(world, path, answer))
                return;
        if (strncmp(path, "/app/installations/", 19) == 0)
                access_token(world, answer);
        else if (strncmp(path, "/app/hook/deliveries?", 21) == 0)
                deliveries_list(world, answer);
        else if (sscanf(path, "/app/hook/deliveries/%" SCNd64, &id) == 1)
                redeliver(world, id, answer);
        else if (is_limited(world, answer))
                return;
        else if (sscanf(path, "/repos/octo-org/%40[^/]/actions%n", repository, &end) == 1 &&
                 end > 0)
                serve_actions(world, method, repository, path + end, body, answer);
        else
                not_found(answer);
}

void github_world_release(struct world *world)
{
        for (size_t i = 0; i < world->n_runners; i++)
                free(world->runners[i]);
        for (size_t i = 0; i < world->n_jobs; i++)
                free(world->jobs[i]);
        free(world->runners);
        free(world->jobs);
}
