/* SPDX-License-Identifier: MIT */

/*
 * The hand-over as JSON. The scaler (`queued`) writes it for one machine, whose agent reads it.
 * Both follow the same tables of members.
 */

#include "exchange/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"

#define HANDOVER_VERSION 1
#define LIMIT_MAX_SECONDS INT64_C(604800)

#define PREFIX_PARTS_MAX 13
#define PART_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
#define BASE64_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"

struct integer_field {
        const char *path;
        size_t offset;
        int64_t max; /* the least is 0, which an absent member means as well */
};

static const struct integer_field integer_fields[] = {
        {"runner_id", offsetof(struct handover, runner_id), JSON_INTEGER_MAX},
        {"idle_limit_seconds", offsetof(struct handover, idle_limit_seconds), LIMIT_MAX_SECONDS},
        {"job_limit_seconds", offsetof(struct handover, job_limit_seconds), LIMIT_MAX_SECONDS},
        {"times.queued", offsetof(struct handover, times.queued), JSON_INTEGER_MAX},
        {"times.webhook", offsetof(struct handover, times.webhook), JSON_INTEGER_MAX},
        {"times.launched", offsetof(struct handover, times.launched), JSON_INTEGER_MAX},
        {"times.handed_over", offsetof(struct handover, times.handed_over), JSON_INTEGER_MAX},
};

static const struct {
        const char *name;
        size_t offset;
        bool needed;
} string_fields[] = {
        {"jit_config", offsetof(struct handover, jit_config), true},
        {"prefix", offsetof(struct handover, prefix), true},
        {"spec", offsetof(struct handover, spec), true},
        {"scope", offsetof(struct handover, scope), true},
        {"ticket", offsetof(struct handover, ticket), false},
};

static int64_t *integer_at(struct handover *handover, size_t offset)
{
        void *member = (char *)handover + offset;

        return member;
}

static char **string_at(struct handover *handover, size_t offset)
{
        void *member = (char *)handover + offset;

        return member;
}

/* -- the job -- */

void handover_job_release(struct handover_job *job)
{
        free(job->repository);
        free(job->name);
        free(job->url);
        free(job->instance_type);
        *job = (struct handover_job){0};
}

cJSON *handover_job_print(const struct handover_job *job)
{
        cJSON *object = cJSON_CreateObject();

        json_add_integer(object, "id", job->id);
        json_add_integer(object, "run_id", job->run_id);
        json_add_integer(object, "attempt", job->attempt);
        json_add_integer(object, "installation", job->installation);
        json_add_integer(object, "launch", job->launch);
        json_add_integer(object, "relaunches", job->relaunches);
        json_add_integer(object, "offer", job->offer);
        json_add_string(object, "repository", job->repository);
        json_add_string(object, "name", job->name);
        json_add_string(object, "url", job->url);
        json_add_string(object, "instance_type", job->instance_type);
        return object;
}

int handover_job_parse(const cJSON *object, struct handover_job *ret, struct err *err)
{
        int64_t id;
        int r;

        if (!cJSON_IsObject(object))
                return err_set(err, -EBADMSG, "job: an object is needed, found %s",
                        json_type_name(object));
        r = json_need_integer(object, "id", &id, err);
        if (r < 0)
                return err_prefix(err, r, "job");
        if (id <= 0)
                return err_set(err, -EBADMSG, "job: id: a number above 0 is needed, found %lld",
                        (long long)id);
        *ret = (struct handover_job){
                .id = id,
                .run_id = json_integer(object, "run_id", 0),
                .attempt = json_integer(object, "attempt", 0),
                .installation = json_integer(object, "installation", 0),
                .launch = json_integer(object, "launch", 0),
                .relaunches = json_integer(object, "relaunches", 0),
                .offer = json_integer(object, "offer", 0),
                .repository = mem_string(json_string(object, "repository")),
                .name = mem_string(json_string(object, "name")),
                .url = mem_string(json_string(object, "url")),
                .instance_type = mem_string(json_string(object, "instance_type")),
        };
        return 0;
}

/* -- the whole -- */

void handover_release(struct handover *handover)
{
        mem_free_secret(handover->jit_config);
        free(handover->prefix);
        free(handover->spec);
        free(handover->scope);
        free(handover->ticket);
        handover_job_release(&handover->job);
        *handover = (struct handover){0};
}

bool handover_is_prefix(const char *text)
{
        unsigned parts = 0;

        if (strlen(text) > HANDOVER_PREFIX_MAX || strncasecmp(text, "/aws", 4) == 0 ||
                strncasecmp(text, "/ssm", 4) == 0)
                return false;
        while (*text == '/') {
                size_t length = strspn(text + 1, PART_CHARACTERS);

                if (length == 0)
                        return false;
                text += 1 + length;
                parts++;
        }
        return *text == '\0' && parts >= 1 && parts <= PREFIX_PARTS_MAX;
}

char *handover_parameter(const char *prefix, const char *instance)
{
        return mem_format("%s/runners/%s", prefix, instance);
}

char *handover_print(const struct handover *handover)
{
        struct handover *fields = (struct handover *)handover; /* only read here */
        _cleanup_json_secret_ cJSON *document = cJSON_CreateObject();
        cJSON *times;

        json_add_integer(document, "version", HANDOVER_VERSION);
        for (size_t i = 0; i < ARRAY_SIZE(string_fields); i++)
                json_add_string(document, string_fields[i].name,
                        *string_at(fields, string_fields[i].offset));
        cJSON_AddItemToObject(document, "job", handover_job_print(&handover->job));
        times = json_add_object(document, "times");
        for (size_t i = 0; i < ARRAY_SIZE(integer_fields); i++) {
                const struct integer_field *field = &integer_fields[i];
                const char *name = strrchr(field->path, '.');

                json_add_integer(name ? times : document, name ? name + 1 : field->path,
                        *integer_at(fields, field->offset));
        }
        return json_print(document);
}

static int parse_strings(const cJSON *document, struct handover *handover, struct err *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(string_fields); i++) {
                const char *text = json_string(document, string_fields[i].name);
                int r = 0;

                if (string_fields[i].needed)
                        r = json_need_string(document, string_fields[i].name, &text, err);
                if (r < 0)
                        return r;
                *string_at(handover, string_fields[i].offset) = mem_string(text);
        }
        if (handover->jit_config[strspn(handover->jit_config, BASE64_CHARACTERS)] != '\0')
                return err_set(err, -EBADMSG, "jit_config: base64 is needed, found something else");
        return 0;
}

static int parse_integers(const cJSON *document, struct handover *handover, struct err *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(integer_fields); i++) {
                const struct integer_field *field = &integer_fields[i];
                int64_t *integer = integer_at(handover, field->offset);
                int r;

                if (!json_get(document, field->path))
                        continue;
                r = json_need_integer(document, field->path, integer, err);
                if (r < 0)
                        return r;
                if (*integer < 0 || *integer > field->max)
                        return err_set(err, -EBADMSG, "%s: 0 to %lld is needed, found %lld",
                                field->path, (long long)field->max, (long long)*integer);
        }
        return 0;
}

static int parse_document(const cJSON *document, struct handover *handover, struct err *err)
{
        int64_t version;
        int r;

        if (!cJSON_IsObject(document))
                return err_set(
                        err, -EBADMSG, "an object is needed, found %s", json_type_name(document));
        r = json_need_integer(document, "version", &version, err);
        if (r < 0)
                return r;
        if (version != HANDOVER_VERSION)
                return err_set(err, -EBADMSG,
                        "version: %d is needed, found %lld: "
                        "scaler and image are of different releases",
                        HANDOVER_VERSION, (long long)version);
        r = parse_strings(document, handover, err);
        if (r < 0)
                return r;
        r = parse_integers(document, handover, err);
        if (r < 0)
                return r;
        return handover_job_parse(json_get(document, "job"), &handover->job, err);
}

int handover_parse(const char *text, size_t size, struct handover *ret, struct err *err)
{
        _cleanup_json_secret_ cJSON *document = NULL;
        _cleanup_(handover_release) struct handover handover = {0};
        int r;

        r = json_parse(text, size, "the hand-over", &document, err);
        if (r < 0)
                return r;
        r = parse_document(document, &handover, err);
        if (r < 0)
                return err_prefix(err, r, "the hand-over");
        *ret = handover;
        handover = (struct handover){0};
        return 0;
}
