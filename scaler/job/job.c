/* SPDX-License-Identifier: MIT */

/*
 * Reads a job from GitHub's delivery, and writes and reads it as the queue message between the
 * functions. Both hold the same members under different names, so a table says where each is.
 */

#include "job.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "github/github.h"

/* Bytes of a job's name, which is for people: a matrix makes long ones. A parameter holds 8 KB, and
 * the name is in the hand-over beside GitHub's JIT configuration. */
#define NAME_LIMIT 256

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

struct integer_member {
        size_t offset;
        const char *in_delivery; /* NULL: not there */
        const char *in_message;
        bool needed;
};

static const struct integer_member integers[] = {
        {offsetof(struct job, id), "workflow_job.id", "id", true},
        {offsetof(struct job, run_id), "workflow_job.run_id", "run_id", true},
        {offsetof(struct job, attempt), "workflow_job.run_attempt", "attempt", false},
        {offsetof(struct job, installation), "installation.id", "installation", false},
        {offsetof(struct job, runner_id), "workflow_job.runner_id", "runner_id", false},
        {offsetof(struct job, is_public), NULL, "public", false},
        {offsetof(struct job, queued_ms), NULL, "queued_ms", false},
        {offsetof(struct job, started_ms), NULL, "started_ms", false},
        {offsetof(struct job, completed_ms), NULL, "completed_ms", false},
        {offsetof(struct job, webhook_ms), NULL, "webhook_ms", false},
        {offsetof(struct job, tries), NULL, "tries", false},
        {offsetof(struct job, waits), NULL, "waits", false},
        {offsetof(struct job, paced), NULL, "paced", false},
        {offsetof(struct job, limited), NULL, "limited", false},
        {offsetof(struct job, asked_ms), NULL, "asked_ms", false},
        {offsetof(struct job, told_of), NULL, "told_of", false},
        {offsetof(struct job, offer), NULL, "offer", false},
        {offsetof(struct job, launch), NULL, "launch", false},
        {offsetof(struct job, relaunches), NULL, "relaunches", false},
        {offsetof(struct job, missing), NULL, "missing", false},
        {offsetof(struct job, sends), NULL, "sends", false},
        {offsetof(struct job, stale), NULL, "stale", false},
        {offsetof(struct job, not_before_ms), NULL, "not_before_ms", false},
        {offsetof(struct job, watches), NULL, "watches", false},
        {offsetof(struct job, launched_ms), NULL, "launched_ms", false},
        {offsetof(struct job, adopted), NULL, "adopted", false},
        {offsetof(struct job, lost_ms), NULL, "lost_ms", false},
        {offsetof(struct job, asked), NULL, "asked", false},
};

struct string_member {
        size_t offset;
        const char *in_delivery;
        const char *in_message;
        bool needed;
        size_t limit; /* of a text for people, of which longer ones are cut; 0: it is not that */
};

static const struct string_member strings[] = {
        {offsetof(struct job, repository), "repository.full_name", "repository", true, 0},
        {offsetof(struct job, name), "workflow_job.name", "name", false, NAME_LIMIT},
        {offsetof(struct job, url), "workflow_job.html_url", "url", false, 0},
        {offsetof(struct job, runner_name), "workflow_job.runner_name", "runner_name", false, 0},
        {offsetof(struct job, conclusion), "workflow_job.conclusion", "conclusion", false, 0},
        {offsetof(struct job, delivery), NULL, "delivery", false, 0},
        {offsetof(struct job, spec), NULL, "spec", false, 0},
        {offsetof(struct job, instance_type), NULL, "instance_type", false, 0},
        {offsetof(struct job, left_out), NULL, "left_out", false, 0},
        {offsetof(struct job, instance), NULL, "instance", false, 0},
        {offsetof(struct job, machine_type), NULL, "machine_type", false, 0},
        {offsetof(struct job, account), NULL, "account", false, 0},
        {offsetof(struct job, bucket), NULL, "bucket", false, 0},
        {offsetof(struct job, machines), NULL, "machines", false, 0},
};

static int64_t *integer_at(const struct job *job, size_t offset)
{
        return (int64_t *)((char *)job + offset);
}

static char **string_at(const struct job *job, size_t offset)
{
        return (char **)((char *)job + offset);
}

/* No number is negative, and a needed one is not 0. */
static int read_integer(
        const cJSON *object, const char *path, bool needed, int64_t *ret, struct err *err)
{
        const cJSON *value = json_get(object, path);
        int64_t number;
        int r;

        if (!needed && (!value || cJSON_IsNull(value)))
                return 0;
        r = json_need_integer(object, path, &number, err);
        if (r < 0)
                return r;
        if (number < needed)
                return err_set(err, -EBADMSG, "%s: a number from %d on is needed, found %lld", path,
                        needed, (long long)number);
        *ret = number;
        return 0;
}

/* A control character takes six bytes in JSON, and thirteen where that is in a ticket in the
 * hand-over. */
static void bound_text(char *text, size_t limit)
{
        if (strlen(text) > limit)
                text[utf8_fit(text, limit)] = '\0';
        for (; *text; text++)
                if (iscntrl((unsigned char)*text))
                        *text = ' ';
}

/* GitHub writes "no runner" as null or as an empty string. */
static int read_string(const cJSON *object, const char *path, const struct string_member *member,
        char **ret, struct err *err)
{
        const cJSON *value = json_get(object, path);
        const char *text;
        int r;

        if (!member->needed && (!value || cJSON_IsNull(value) ||
                                       (cJSON_IsString(value) && value->valuestring[0] == '\0')))
                return 0;
        r = json_need_string(object, path, &text, err);
        if (r < 0)
                return r;
        *ret = mem_string(text);
        if (member->limit > 0)
                bound_text(*ret, member->limit);
        return 0;
}

static int read_labels(const cJSON *labels, struct job *job, struct err *err)
{
        const cJSON *label;

        if (!cJSON_IsArray(labels))
                return err_set(err, -EBADMSG, "labels: a list is needed, found %s",
                        json_type_name(labels));
        if (cJSON_GetArraySize(labels) > GITHUB_LABELS_MAX)
                return err_set(err, -EBADMSG, "labels: at most %d are allowed, found %d",
                        GITHUB_LABELS_MAX, cJSON_GetArraySize(labels));
        cJSON_ArrayForEach (label, labels) {
                if (!cJSON_IsString(label))
                        return err_set(err, -EBADMSG, "labels[%zu]: a string is needed, found %s",
                                job->n_labels, json_type_name(label));
                job->labels = mem_resize(job->labels, job->n_labels + 1, sizeof(char *));
                job->labels[job->n_labels++] = mem_string(label->valuestring);
        }
        return 0;
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

static int read_members(const cJSON *object, bool delivery, struct job *job, struct err *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(integers); i++) {
                const char *path = delivery ? integers[i].in_delivery : integers[i].in_message;

                if (path)
                        r = read_integer(object, path, integers[i].needed,
                                integer_at(job, integers[i].offset), err);
        }
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(strings); i++) {
                const char *path = delivery ? strings[i].in_delivery : strings[i].in_message;

                if (path)
                        r = read_string(
                                object, path, &strings[i], string_at(job, strings[i].offset), err);
        }
        if (r == 0)
                r = read_labels(
                        json_get(object, delivery ? "workflow_job.labels" : "labels"), job, err);
        return r;
}

static int read_delivery(const cJSON *body, struct job *job, struct err *err)
{
        const char *action;
        const char *status;
        int r;

        r = json_need_string(body, "action", &action, err);
        if (r == 0)
                r = read_members(body, true, job, err);
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
        cJSON *labels;

        json_add_string(object, "action", action_names[job->action]);
        for (size_t i = 0; i < ARRAY_SIZE(integers); i++)
                if (*integer_at(job, integers[i].offset) != 0)
                        json_add_integer(object, integers[i].in_message,
                                *integer_at(job, integers[i].offset));
        for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
                json_add_string(object, strings[i].in_message, *string_at(job, strings[i].offset));
        labels = cJSON_AddArrayToObject(object, "labels");
        for (size_t i = 0; i < job->n_labels; i++)
                cJSON_AddItemToArray(labels, cJSON_CreateString(job->labels[i]));
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
                r = read_members(object, false, &job, err);
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
