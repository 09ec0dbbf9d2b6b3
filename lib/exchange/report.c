/* SPDX-License-Identifier: MIT */

/*
 * Reports as JSON. The agent writes one at each stage of a job's life, and the scaler's `instance`
 * reads it. Both follow the same tables of members.
 */

#include "exchange/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define REPORT_VERSION 1

static const char *const stage_names[REPORT_STAGES] = {
        [REPORT_READY] = "ready",
        [REPORT_IDLE] = "idle",
        [REPORT_JOB_STARTED] = "job_started",
        [REPORT_FINISHED] = "finished",
        [REPORT_FAILED] = "failed",
        [REPORT_INTERRUPTED] = "interrupted",
};

struct string_field {
        const char *name;
        size_t offset;
        bool needed;
};

static const struct string_field string_fields[] = {
        {"prefix", offsetof(struct report, prefix), true},
        {"instance_id", offsetof(struct report, instance_id), true},
        {"instance_type", offsetof(struct report, instance_type), false},
        {"zone", offsetof(struct report, zone), false},
        {"reason", offsetof(struct report, reason), false},
        {"ticket", offsetof(struct report, ticket), false},
        {"spec", offsetof(struct report, spec), false},
        {"scope", offsetof(struct report, scope), false},
        {"job_name", offsetof(struct report, job_name), false},
        {"result", offsetof(struct report, result), false},
};

/* Epoch milliseconds; those that are 0 are left out. */
static const struct {
        const char *path;
        size_t offset;
} time_fields[] = {
        {"times.queued", offsetof(struct report, before.queued)},
        {"times.webhook", offsetof(struct report, before.webhook)},
        {"times.launched", offsetof(struct report, before.launched)},
        {"times.handed_over", offsetof(struct report, before.handed_over)},
        {"times.kernel", offsetof(struct report, times[REPORT_TIME_KERNEL])},
        {"times.agent", offsetof(struct report, times[REPORT_TIME_AGENT])},
        {"times.identified", offsetof(struct report, times[REPORT_TIME_IDENTIFIED])},
        {"times.received", offsetof(struct report, times[REPORT_TIME_RECEIVED])},
        {"times.runner_started", offsetof(struct report, times[REPORT_TIME_RUNNER_STARTED])},
        {"times.listening", offsetof(struct report, times[REPORT_TIME_LISTENING])},
        {"times.job_started", offsetof(struct report, times[REPORT_TIME_JOB_STARTED])},
        {"times.job_finished", offsetof(struct report, times[REPORT_TIME_JOB_FINISHED])},
        {"times.finished", offsetof(struct report, times[REPORT_TIME_FINISHED])},
};

static char **string_at(struct report *report, size_t offset)
{
        void *member = (char *)report + offset;

        return member;
}

static int64_t *time_at(struct report *report, size_t offset)
{
        void *member = (char *)report + offset;

        return member;
}

void report_release(struct report *report)
{
        for (size_t i = 0; i < ARRAY_SIZE(string_fields); i++)
                free(*string_at(report, string_fields[i].offset));
        handover_job_release(&report->job);
        *report = (struct report){0};
}

const char *report_stage_name(enum report_stage stage)
{
        return stage_names[stage];
}

char *report_print(const struct report *report)
{
        struct report *fields = (struct report *)report; /* only read here */
        _cleanup_json_ cJSON *detail = cJSON_CreateObject();
        cJSON *times;

        json_add_integer(detail, "version", REPORT_VERSION);
        json_add_string(detail, "stage", report_stage_name(report->stage));
        for (size_t i = 0; i < ARRAY_SIZE(string_fields); i++)
                json_add_string(
                        detail, string_fields[i].name, *string_at(fields, string_fields[i].offset));
        if (report->runner_id > 0)
                json_add_integer(detail, "runner_id", report->runner_id);
        if (report->hand_over_deleted)
                json_add_boolean(detail, "hand_over_deleted", true);
        if (report->exit_code >= 0)
                json_add_integer(detail, "exit_code", report->exit_code);
        if (report->job.id > 0)
                cJSON_AddItemToObject(detail, "job", handover_job_print(&report->job));
        times = json_add_object(detail, "times");
        for (size_t i = 0; i < ARRAY_SIZE(time_fields); i++) {
                int64_t ms = *time_at(fields, time_fields[i].offset);

                if (ms > 0)
                        json_add_integer(times, strchr(time_fields[i].path, '.') + 1, ms);
        }
        return json_print(detail);
}

static int parse_stage(const cJSON *detail, enum report_stage *ret_stage, struct err *err)
{
        const char *name;
        int r = json_need_string(detail, "stage", &name, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < REPORT_STAGES; i++) {
                if (strcmp(name, stage_names[i]) == 0) {
                        *ret_stage = (enum report_stage)i;
                        return 0;
                }
        }
        return err_set(err, -EBADMSG, "stage: no such stage: \"%.40s\"", name);
}

static int parse_strings(const cJSON *detail, struct report *report, struct err *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(string_fields); i++) {
                const struct string_field *field = &string_fields[i];
                const char *text = json_string(detail, field->name);
                int r = 0;

                if (field->needed)
                        r = json_need_string(detail, field->name, &text, err);
                if (r < 0)
                        return r;
                *string_at(report, field->offset) = mem_string(text);
        }
        return 0;
}

static int64_t not_negative(int64_t integer)
{
        return integer > 0 ? integer : 0;
}

static int parse_detail(const cJSON *detail, struct report *report, struct err *err)
{
        int64_t version;
        int r;

        r = json_need_integer(detail, "version", &version, err);
        if (r < 0)
                return r;
        if (version != REPORT_VERSION)
                return err_set(err, -EBADMSG, "version: %d is needed, found %lld", REPORT_VERSION,
                        (long long)version);
        r = parse_stage(detail, &report->stage, err);
        if (r < 0)
                return r;
        r = parse_strings(detail, report, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(time_fields); i++)
                *time_at(report, time_fields[i].offset) =
                        not_negative(json_integer(detail, time_fields[i].path, 0));
        report->runner_id = not_negative(json_integer(detail, "runner_id", 0));
        report->hand_over_deleted = cJSON_IsTrue(json_get(detail, "hand_over_deleted"));
        report->exit_code = json_integer(detail, "exit_code", -1);
        if (!json_get(detail, "job"))
                return 0;
        return handover_job_parse(json_get(detail, "job"), &report->job, err);
}

int report_parse(const cJSON *detail, struct report *ret, struct err *err)
{
        _cleanup_(report_release) struct report report = {0};
        int r;

        if (!cJSON_IsObject(detail))
                return err_set(err, -EBADMSG, "the report: an object is needed, found %s",
                        json_type_name(detail));
        r = parse_detail(detail, &report, err);
        if (r < 0)
                return err_prefix(err, r, "the report");
        *ret = report;
        report = (struct report){0};
        return 0;
}
