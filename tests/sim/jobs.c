/* SPDX-License-Identifier: MIT */

/*
 * Jobs at GitHub: they wait, are given to any listening runner that has their labels, run, end or
 * are cancelled; and the webhooks that tell of it, which are lost, doubled, reordered and late.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* A job that its runner does not take waits again. */
#define NOT_TAKEN_MS MINUTE

struct sim_job *job_find(struct world *world, int64_t id)
{
        size_t from = 0;
        size_t to = world->n_jobs;

        while (from < to) {
                size_t middle = (from + to) / 2;

                if (world->jobs[middle]->id == id)
                        return world->jobs[middle];
                if (world->jobs[middle]->id < id)
                        from = middle + 1;
                else
                        to = middle;
        }
        return NULL;
}

static void add_time(cJSON *json, const char *name, const struct world *world, int64_t ms)
{
        char text[CLOCK_TEXT_SIZE];

        if (ms > 0)
                json_add_string(
                        json, name, clock_format(world_wall_ms(world) - world->now_ms + ms, text));
        else
                cJSON_AddNullToObject(json, name);
}

static const char *status_of(const struct sim_job *job)
{
        static const char *const names[] = {"queued", "in_progress", "completed"};

        return names[job->state];
}

cJSON *job_json(const struct sim_job *job)
{
        cJSON *json = cJSON_CreateObject();
        _cleanup_free_ char *url =
                mem_format("https://github.test/octo-org/%s/actions/runs/%" PRId64 "/job/%" PRId64,
                        job->repository, job->run, job->id);
        _cleanup_free_ char *rest = mem_string(job->labels);
        char *at = rest;
        char *label;
        cJSON *labels;

        json_add_integer(json, "id", job->id);
        json_add_integer(json, "run_id", job->run);
        json_add_integer(json, "run_attempt", job->attempt);
        json_add_string(json, "name", "build");
        json_add_string(json, "html_url", url);
        json_add_string(json, "status", status_of(job));
        if (job->state == JOB_STATE_ENDED)
                json_add_string(json, "conclusion", job->conclusion);
        else
                cJSON_AddNullToObject(json, "conclusion");
        add_time(json, "created_at", job->world, job->created_ms);
        add_time(json, "started_at", job->world,
                job->started_ms ? job->started_ms : job->created_ms);
        add_time(json, "completed_at", job->world, job->ended_ms);
        labels = cJSON_AddArrayToObject(json, "labels");
        while ((label = strsep(&at, " ")))
                if (*label)
                        cJSON_AddItemToArray(labels, cJSON_CreateString(label));
        if (job->state != JOB_STATE_WAITS && job->runner) {
                json_add_integer(json, "runner_id", job->runner->id);
                json_add_string(json, "runner_name", job->runner->name);
        } else {
                cJSON_AddNullToObject(json, "runner_id");
                cJSON_AddNullToObject(json, "runner_name");
        }
        return json;
}

/* -- the life of a job -- */

void job_end(struct world *world, struct sim_job *job, const char *conclusion)
{
        if (job->state == JOB_STATE_ENDED)
                return;
        world_tell(world, "GitHub: job %" PRId64 " has ended: %s", job->id, conclusion);
        job->state = JOB_STATE_ENDED;
        job->conclusion = conclusion;
        job->ended_ms = world->now_ms;
        if (job->runner) {
                job->runner->gone = true;
                job->runner->online = false;
        }
        job_tell_webhook(world, job, "completed");
}

static void on_taken(struct world *world, void *userdata);

static bool has_labels(const char *runner, const char *job)
{
        _cleanup_free_ char *copy = mem_string(job);
        char *rest = copy;
        char *label;

        while ((label = strsep(&rest, " "))) {
                char padded[64];

                if (!*label)
                        continue;
                snprintf(padded, sizeof(padded), " %s ", label);
                if (!strstr(runner, padded))
                        return false;
        }
        return true;
}

static int64_t busy_lag(struct world *world)
{
        if (fault_strikes(world, FAULT_LIES, 75))
                return world_between(world, 0, world_chance(world, 15) ? 12 * MINUTE : MINUTE);
        return 0;
}

static void assign(struct world *world, struct sim_job *job, struct runner *runner)
{
        world_tell(world, "GitHub: job %" PRId64 " is assigned to runner %" PRId64 ", %s", job->id,
                runner->id, runner->name);
        job->runner = runner;
        runner->job = job->id;
        runner->seen_busy_ms = world->now_ms + busy_lag(world);
        world_after(world, world_between(world, 300, 3000), on_taken, job);
}

/* The runners that listen: the caller frees the list. */
static struct runner **listening(const struct world *world, size_t *ret_n)
{
        struct runner **found = NULL;
        size_t n = 0;

        for (size_t i = 0; i < world->n_runners; i++) {
                struct runner *runner = world->runners[i];

                if (!runner->online || runner->gone || runner->job != 0)
                        continue;
                found = mem_resize(found, n + 1, sizeof(*found));
                found[n++] = runner;
        }
        *ret_n = n;
        return found;
}

void jobs_assign(struct world *world)
{
        size_t n_runners;
        _cleanup_free_ struct runner **runners = listening(world, &n_runners);

        for (size_t i = 0; n_runners > 0 && i < world->n_jobs; i++) {
                struct sim_job *job = world->jobs[i];

                if (job->state != JOB_STATE_WAITS || job->runner ||
                        world->now_ms < job->assignable_ms)
                        continue;
                for (size_t j = 0; j < n_runners && !job->runner; j++) {
                        struct runner *runner = runners[j];

                        if (runner->job == 0 && strcmp(runner->repository, job->repository) == 0 &&
                                has_labels(runner->labels, job->labels))
                                assign(world, job, runner);
                }
        }
}

static void on_assign(struct world *world, void *userdata)
{
        (void)userdata;
        jobs_assign(world);
}

void jobs_assign_later(struct world *world, int64_t delay_ms)
{
        world_after(world, delay_ms, on_assign, NULL);
}

static void on_not_taken(struct world *world, void *userdata)
{
        struct sim_job *job = userdata;

        if (job->state != JOB_STATE_WAITS)
                return;
        world_tell(world, "GitHub: job %" PRId64 " was not taken, and waits again", job->id);
        job->runner->gone = true;
        job->runner = NULL;
        jobs_assign(world);
}

static void on_foreign_end(struct world *world, void *userdata)
{
        job_end(world, userdata, "success");
}

static void on_taken(struct world *world, void *userdata)
{
        struct sim_job *job = userdata;
        struct machine *machine;

        if (job->state != JOB_STATE_WAITS || !job->runner)
                return;
        machine = machine_find(world, job->runner->name);
        if (!job->runner->foreign && (!machine || !machine_takes(machine, job->runner->id))) {
                world_after(world, NOT_TAKEN_MS, on_not_taken, job);
                return;
        }
        job->state = JOB_STATE_RUNS;
        job->ever_ran = true;
        job->started_ms = world->now_ms;
        job_tell_webhook(world, job, "in_progress");
        if (machine)
                machine_job_started(machine, job->id);
        else
                world_after(world, job->duration_ms, on_foreign_end, job);
}

/* A runner that is not ours takes the job. */
static void on_theft(struct world *world, void *userdata)
{
        struct sim_job *job = userdata;
        struct runner *runner;

        if (job->state != JOB_STATE_WAITS || job->runner)
                return;
        runner = mem_alloc(sizeof(*runner));
        runner->id = world->next_id++;
        runner->foreign = true;
        snprintf(runner->name, sizeof(runner->name), "foreign-%" PRId64, runner->id);
        world->runners = mem_resize(world->runners, world->n_runners + 1, sizeof(*world->runners));
        world->runners[world->n_runners++] = runner;
        assign(world, job, runner);
}

static void on_cancel(struct world *world, void *userdata)
{
        struct sim_job *job = userdata;
        struct machine *machine = job->runner ? machine_find(world, job->runner->name) : NULL;

        if (job->state == JOB_STATE_ENDED)
                return;
        world_tell(world, "a person cancels job %" PRId64, job->id);
        job->cancelled = true;
        if (job->state == JOB_STATE_RUNS && machine)
                machine_job_cancelled(machine);
        else
                job_end(world, job, "cancelled");
}

/* Now and then GitHub is so slow that one machine after the other listens in vain. */
static int64_t slowness(struct world *world)
{
        int64_t late_ms = world_between(world, 2 * HOUR, 8 * HOUR);

        if (!world_chance(world, 10))
                return world_between(world, MINUTE, 12 * MINUTE);
        world->n_very_late++;
        world->very_late_ms += late_ms;
        return late_ms;
}

static void on_created(struct world *world, void *userdata)
{
        struct sim_job *job = userdata;

        job->created_ms = world->now_ms;
        job->assignable_ms = world->now_ms;
        world_tell(world, "GitHub: job %" PRId64 " is queued,%s", job->id, job->labels);
        job_tell_webhook(world, job, "queued");
        if (fault_strikes(world, FAULT_CANCEL, 35))
                world_after(world,
                        world_between(world, 0, world_chance(world, 50) ? MINUTE : 20 * MINUTE),
                        on_cancel, job);
        if (fault_strikes(world, FAULT_THEFT, 30))
                world_after(world, world_between(world, 0, 2 * MINUTE), on_theft, job);
        if (fault_strikes(world, FAULT_SLOW, 35)) {
                job->assignable_ms = world->now_ms + slowness(world);
                jobs_assign_later(world, job->assignable_ms - world->now_ms);
        }
        jobs_assign_later(world, world_between(world, 200, 2000));
}

void job_add(struct world *world, int64_t delay_ms, const char *labels)
{
        struct sim_job *job = mem_alloc(sizeof(*job));

        job->world = world;
        job->id = world->next_id++;
        job->run = world->n_jobs > 0 && world->n_repositories < 2 && world_chance(world, 50)
                           ? world->jobs[world->n_jobs - 1]->run
                           : world->next_id++;
        job->attempt = 1;
        job->labels = labels;
        job->repository = limited_repository(world);
        job->state = JOB_STATE_WAITS;
        job->assignable_ms = INT64_MAX; /* not there yet */
        job->duration_ms = world_between(
                world, 10 * SECOND, world_chance(world, 30) ? 30 * MINUTE : 2 * MINUTE);
        world->jobs = mem_resize(world->jobs, world->n_jobs + 1, sizeof(*world->jobs));
        world->jobs[world->n_jobs++] = job;
        world_after(world, delay_ms, on_created, job);
}

/* What waits is assigned now; where nothing does, the next job comes now. */
void jobs_hurry(struct world *world)
{
        bool waits = false;

        for (size_t i = 0; i < world->n_jobs; i++) {
                struct sim_job *job = world->jobs[i];

                if (job->state != JOB_STATE_WAITS || job->assignable_ms == INT64_MAX)
                        continue;
                waits = true;
                if (job->assignable_ms - world->now_ms > HOUR ||
                        !fault_strikes(world, FAULT_SLOW, 60))
                        continue;
                job->assignable_ms = world->now_ms + world_between(world, 0, 3 * SECOND);
                jobs_assign_later(world, job->assignable_ms - world->now_ms);
        }
        if (!waits && fault_strikes(world, FAULT_SLOW, 80))
                job_add(world, world_between(world, 0, SECOND),
                        world->jobs[world_random(world, (uint32_t)world->n_jobs)]->labels);
}
