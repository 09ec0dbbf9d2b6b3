/* SPDX-License-Identifier: MIT */

/*
 * GitHub's delivery and the queue message hold the same members of a job under different names, so
 * a table says where each is.
 */

#include "job.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "github/github.h"

/* Bytes of a job's name, which is for people: a matrix makes long ones. A parameter holds 8 KB, and
 * the name is in the hand-over beside GitHub's JIT configuration. */
#define NAME_LIMIT 256

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
        {offsetof(struct job, in_vain), NULL, "in_vain", false},
        {offsetof(struct job, missing), NULL, "missing", false},
        {offsetof(struct job, sends), NULL, "sends", false},
        {offsetof(struct job, stale), NULL, "stale", false},
        {offsetof(struct job, not_before_ms), NULL, "not_before_ms", false},
        {offsetof(struct job, watches), NULL, "watches", false},
        {offsetof(struct job, burst_ends_ms), NULL, "burst_ends_ms", false},
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

int job_read_members(const cJSON *object, bool delivery, struct job *job, struct err *err)
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

void job_print_members(const struct job *job, cJSON *object)
{
        cJSON *labels;

        for (size_t i = 0; i < ARRAY_SIZE(integers); i++)
                if (*integer_at(job, integers[i].offset) != 0)
                        json_add_integer(object, integers[i].in_message,
                                *integer_at(job, integers[i].offset));
        for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
                json_add_string(object, strings[i].in_message, *string_at(job, strings[i].offset));
        labels = cJSON_AddArrayToObject(object, "labels");
        for (size_t i = 0; i < job->n_labels; i++)
                cJSON_AddItemToArray(labels, cJSON_CreateString(job->labels[i]));
}
