/* SPDX-License-Identifier: MIT */

/*
 * What follows from an agent's report. Each gives the metrics of the stage that its machine has
 * reached. When the machine ends before a job started, the job is given back at once, unless the
 * image is to blame: then the event of the machine's end, or the job's watch, launches again. When
 * the agent failed, people are told. Idle machines are the business of idle_machines.c, which takes
 * nothing but the machine's name from the report.
 */

#include "handle_report.h"

#include <stdio.h>
#include <string.h>

#include "exchange/report.h"
#include "give_back.h"
#include "machine/notifications.h"
#include "machine/report_metrics.h"
#include "trusted_report.h"

/* GitHub assigns a waiting job to a listening runner at once, and a job that another runner dropped
 * after a minute. */
#define LISTENED_ENOUGH_MS (60 * MSEC_PER_SEC)

/* From a machine's last report to EC2's event of its end. */
#define CLEAN_KEPT_MS (15 * 60 * MSEC_PER_SEC)

/* Whether no job has started on the machine. */
static bool was_idle(const struct report *report)
{
        return report->times[REPORT_TIME_JOB_STARTED] == 0;
}

/* Whether the runner listened so long without a job that none can be waiting: the job was
 * cancelled, or another runner took it. */
static bool listened_in_vain(const struct report *report)
{
        int64_t since = report->times[REPORT_TIME_LISTENING];

        return was_idle(report) && since > 0 &&
               report->times[REPORT_TIME_FINISHED] - since >= LISTENED_ENOUGH_MS;
}

/* Another machine would boot the same image, whose runner GitHub refuses: there is no hurry. */
static bool needs_new_image(const struct report *report)
{
        return report->exit_code == REPORT_EXIT_VERSION_REFUSED;
}

/* The machine ends, and not because its job has ended. */
static int handle_early_end(struct scaler *scaler, const struct report *report, struct err *err)
{
        bool in_vain = listened_in_vain(report);
        bool given_back = false;
        int r = 0;

        if (report->job.id > 0 && was_idle(report) && !in_vain && !needs_new_image(report))
                r = give_back_job(
                        scaler, &report->job, report->spec, &report->before, &given_back, err);
        if (r < 0 || report->stage != REPORT_FAILED)
                return r;
        return in_vain ? tell_no_job_came(scaler, report, err)
                       : tell_agent_failed(scaler, report, given_back, err);
}

/* A report may come again at any time, and this process handles an early end once. Another process
 * may do it again: that leads to the same launch by its name, and to the same notification, so
 * nothing happens twice. */
static int handle_early_end_once(
        struct scaler *scaler, const struct report *report, int64_t expires_ms, struct err *err)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        int64_t life_ms = expires_ms - clock_wall_ms(scaler->clock);
        _cleanup_free_ char *key =
                mem_format("%s %s", report->instance_id, report_stage_name(report->stage));
        int r;

        if (recent_has(&scaler->reported, key, now_ms))
                return 0;
        r = handle_early_end(scaler, report, err);
        if (r == 0)
                recent_note(&scaler->reported, key, now_ms + life_ms);
        return r;
}

/* -- ends that are as they should be -- */

/* A job that failed may have been lost with its machine. */
static bool is_clean(const struct report *report)
{
        return report->stage == REPORT_FINISHED && report->hand_over_deleted && report->result &&
               strcmp(report->result, "Succeeded") == 0;
}

bool report_was_clean(const struct scaler *scaler, const char *id)
{
        return recent_has(&scaler->clean, id, clock_monotonic_ms(scaler->clock));
}

/* -- all of them -- */

int handle_report(
        struct scaler *scaler, const cJSON *event, char idle[static EC2_ID_SIZE], struct err *err)
{
        _cleanup_(report_release) struct report report = {0};
        int64_t expires_ms;
        int r = trusted_report_read(scaler, event, &report, &expires_ms, err);

        if (r < 0)
                return err_prefix(err, r, "agent's report");
        if (r == REPORT_REFUSED)
                return 0;
        log_info(&scaler->log, "agent reports", LOG_TEXT("stage", report_stage_name(report.stage)),
                LOG_TEXT("instance", report.instance_id), LOG_TEXT("reason", report.reason),
                LOG_NUMBER("job", report.job.id), LOG_TEXT("repository", report.job.repository),
                LOG_TEXT("result", report.result));
        report_metrics_emit(scaler, &report);
        if (is_clean(&report))
                recent_note(&scaler->clean, report.instance_id,
                        clock_monotonic_ms(scaler->clock) + CLEAN_KEPT_MS);
        if (report.stage == REPORT_FAILED || report.stage == REPORT_INTERRUPTED)
                return handle_early_end_once(scaler, &report, expires_ms, err);
        if (report.stage != REPORT_IDLE)
                return 0;
        (void)snprintf(idle, EC2_ID_SIZE, "%s", report.instance_id);
        return REPORT_OF_IDLE;
}
