/* SPDX-License-Identifier: MIT */

/*
 * Reads a job from GitHub's delivery, and writes and reads it as the queue message between the
 * functions. job_members.c has the members that both hold.
 */

#include "job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "github/github.h"

static const char *const action_names[] = {
        [JOB_QUEUED] = "queued",
        [JOB_PACED] = "paced",
        [JOB_LAUNCHED] = "launched",
        [JOB_WATCHED] = "watched",
        [JOB_LIMITED] = "limited",
        [JOB_IN_PROGRESS] = "in_progress",
        [JOB_COMPLETED] = "completed",
        [JOB_LOST] = "lost",
        [JOB_OTHER] = "other",
};

static enum job_action action_parse(const char *name)
{
        size_t i = 0;

        while (i < JOB_OTHER && strcmp(name, action_names[i]) != 0)
                i++;
        return (enum job_action)i;
}

void job_release(struct job *job)
{
        for (size_t i = 0; i < job->n_labels; i++)
                free(job->labels[i]);
        free(job->labels);
        free(job->held);
        free(job->repository);
        free(job->name);
        free(job->url);
        free(job->delivery);
        free(job->runner_name);
        free(job->conclusion);
        free(job->spec);
        free(job->instance_type);
        free(job->left_out);
        free(job->instance);
        free(job->machine_type);
        free(job->account);
        free(job->bucket);
        free(job->machines);
        *job = (struct job){0};
}

/* An absent or null time is 0. GitHub sends started_at before anything has started. */
static int read_time(const cJSON *body, const char *path, int64_t *ret, struct err *err)
{
        const char *text = json_string(body, path);

        if (text && clock_parse(text, ret) < 0)
                return err_set(err, -EBADMSG,
                        "%s: a time such as 2026-01-02T03:04:05Z is needed, found \"%.40s\"", path,
                        text);
        return 0;
}

static int read_delivery(const cJSON *body, struct job *job, struct err *err)
{
        const char *action;
        const char *status;
        int r;

        r = json_need_string(body, "action", &action, err);
        if (r == 0)
                r = job_read_members(body, true, job, err);
        if (r == 0)
                r = read_time(body, "workflow_job.created_at", &job->queued_ms, err);
        if (r == 0)
                r = read_time(body, "workflow_job.started_at", &job->started_ms, err);
        if (r == 0)
                r = read_time(body, "workflow_job.completed_at", &job->completed_ms, err);
        if (r < 0)
                return r;
        job->action = action_parse(action);
        job->is_public = !json_boolean(body, "repository.private", true);
        status = json_string(body, "workflow_job.status");
        if (job->action == JOB_QUEUED && status && strcmp(status, "queued") != 0)
                job->held = mem_string(status);
        if (job->attempt == 0)
                job->attempt = 1;
        return 0;
}

int job_from_delivery(const cJSON *body, struct job *ret, struct err *err)
{
        struct job job = {0};
        int r = read_delivery(body, &job, err);

        if (r < 0) {
                job_release(&job);
                return r;
        }
        *ret = job;
        return 0;
}

char *job_print(const struct job *job)
{
        _cleanup_json_ cJSON *object = cJSON_CreateObject();

        json_add_string(object, "action", action_names[job->action]);
        job_print_members(job, object);
        return json_print(object);
}

int job_parse(const char *text, size_t size, struct job *ret, struct err *err)
{
        _cleanup_json_ cJSON *object = NULL;
        struct job job = {0};
        const char *action;
        int r;

        r = json_parse(text, size, "the job's message", &object, err);
        if (r < 0)
                return r;
        r = json_need_string(object, "action", &action, err);
        if (r == 0)
                r = job_read_members(object, false, &job, err);
        if (r < 0) {
                job_release(&job);
                return err_prefix(err, r, "the job's message");
        }
        job.action = action_parse(action);
        *ret = job;
        return 0;
}

struct handover_job job_for_handover(const struct job *job)
{
        return (struct handover_job){
                .id = job->id,
                .run_id = job->run_id,
                .attempt = job->attempt,
                .installation = job->installation,
                .launch = job->launch,
                .relaunches = job->relaunches,
                .offer = job->offer,
                .repository = job->repository,
                .name = job->name,
                .url = job->url,
                .instance_type = job->instance_type,
        };
}

void job_scope(
        const struct job *job, const struct config_spec *spec, char scope[static GITHUB_SCOPE_SIZE])
{
        if (spec->enterprise)
                snprintf(scope, GITHUB_SCOPE_SIZE, "enterprises/%s", spec->enterprise);
        else if (spec->organization)
                snprintf(scope, GITHUB_SCOPE_SIZE, "orgs/%s", spec->organization);
        else
                snprintf(scope, GITHUB_SCOPE_SIZE, "repos/%s", job->repository);
}
