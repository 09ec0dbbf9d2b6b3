/* SPDX-License-Identifier: MIT */

/*
 * A table says which metric each report makes, and from which two moments.
 */

#include "report_metrics.h"

#include <stddef.h>

#define BEFORE(member) offsetof(struct report, before.member)
#define AT(moment) (offsetof(struct report, times) + sizeof(int64_t) * (moment))

static const struct {
        enum report_stage stage;
        const char *name;
        size_t from;
        size_t to;
} durations[] = {
        {REPORT_READY, "LaunchedToAgent", BEFORE(launched), AT(REPORT_TIME_AGENT)},
        {REPORT_READY, "KernelToAgent", AT(REPORT_TIME_KERNEL), AT(REPORT_TIME_AGENT)},
        {REPORT_READY, "AgentToListening", AT(REPORT_TIME_AGENT), AT(REPORT_TIME_LISTENING)},
        {REPORT_READY, "WebhookToListening", BEFORE(webhook), AT(REPORT_TIME_LISTENING)},
        {REPORT_JOB_STARTED, "ListeningToJob", AT(REPORT_TIME_LISTENING),
                AT(REPORT_TIME_JOB_STARTED)},
        {REPORT_JOB_STARTED, "TimeToStart", BEFORE(webhook), AT(REPORT_TIME_JOB_STARTED)},
        {REPORT_FINISHED, "JobTime", AT(REPORT_TIME_JOB_STARTED), AT(REPORT_TIME_JOB_FINISHED)},
        {REPORT_FINISHED, "MachineTime", BEFORE(launched), AT(REPORT_TIME_FINISHED)},
        {REPORT_FAILED, "MachineTime", BEFORE(launched), AT(REPORT_TIME_FINISHED)},
};

static const char *const counts[REPORT_STAGES] = {
        [REPORT_READY] = "RunnerReady",
        [REPORT_IDLE] = "RunnerIdle",
        [REPORT_JOB_STARTED] = "JobStarted",
        [REPORT_FINISHED] = "RunnerFinished",
        [REPORT_FAILED] = "RunnerFailed",
        [REPORT_INTERRUPTED] = "RunnerInterrupted",
};

static int64_t moment(const struct report *report, size_t offset)
{
        return *(const int64_t *)((const char *)report + offset);
}

void report_metrics_emit(struct scaler *scaler, const struct report *report)
{
        struct metric metrics[1 + ARRAY_SIZE(durations)];
        const struct log_field properties[] = {
                LOG_TEXT("instance", report->instance_id),
                LOG_TEXT("type", report->instance_type),
                LOG_TEXT("zone", report->zone),
                LOG_NUMBER("job", report->job.id),
                LOG_TEXT("repository", report->job.repository),
        };
        size_t n = 0;

        metrics[n++] = (struct metric){counts[report->stage], METRIC_COUNT, 1};
        for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
                int64_t from = moment(report, durations[i].from);
                int64_t to = moment(report, durations[i].to);

                /* The clocks of machine and Lambda differ a little: none is negative. */
                if (durations[i].stage == report->stage && from > 0 && to > 0)
                        metrics[n++] = (struct metric){
                                durations[i].name, METRIC_MILLISECONDS, to > from ? to - from : 0};
        }
        scaler_emit_metrics(scaler, report->spec, metrics, n, properties, ARRAY_SIZE(properties));
}
