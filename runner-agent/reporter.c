/* SPDX-License-Identifier: MIT */

/*
 * The queue of reports, one call at a time.
 */

#include "reporter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "aws/events.h"
#include "base/mem.h"

#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS (15 * MSEC_PER_SEC)
#define RETRY_MOST_AT_END_MS 500

static void send_first(struct agent *agent);

/* The detail of a report, from all that is known now. */
static char *make_detail(const struct agent *agent, enum report_stage stage, const char *reason)
{
        const struct handover *handover = &agent->handover;
        struct report report = {
                /* Everything is borrowed: this report is printed, never released. */
                .stage = stage,
                .prefix = agent->has_handover ? handover->prefix : agent->settings.prefix,
                .instance_id = (char *)agent->identity.instance_id,
                .instance_type = (char *)agent->identity.instance_type,
                .zone = (char *)agent->identity.zone,
                .reason = (char *)reason,
                .spec = handover->spec,
                .scope = handover->scope,
                .runner_id = handover->runner_id,
                .job = handover->job,
                .job_name = agent->job_name,
                .result = agent->result,
                .exit_code = agent->runner_exit_code,
                .before = handover->times,
        };

        memcpy(report.times, agent->times, sizeof(report.times));
        return report_print(&report);
}

static void forget_first(struct reports *reports)
{
        free(reports->waiting[0].detail);
        reports->n_waiting--;
        memmove(&reports->waiting[0], &reports->waiting[1],
                reports->n_waiting * sizeof(reports->waiting[0]));
}

static void end_reports(struct agent *agent)
{
        struct reports *reports = &agent->reports;
        agent_done done = MEM_STEAL(reports->done);
        int r = reports->n_waiting > 0 ? -ETIMEDOUT : 0;

        agent_timer_stop(&reports->timer);
        agent_timer_stop(&reports->limit);
        agent_call_drop(agent, &reports->call);
        for (size_t i = 0; i < reports->n_waiting; i++)
                log_error(agent_log(agent), "report not sent",
                        LOG_TEXT("stage", report_stage_name(reports->waiting[i].stage)),
                        LOG_TEXT("error", reports->err.text));
        done(agent, r, &reports->err);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;

        (void)source;
        (void)usec;
        send_first(agent);
        return 0;
}

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;

        (void)source;
        (void)usec;
        if (!agent->reports.err.text[0])
                err_set(&agent->reports.err, 0, "EventBridge did not answer in time");
        end_reports(agent);
        return 0;
}

static void on_answer(struct http_call *call, void *userdata)
{
        struct agent *agent = userdata;
        struct reports *reports = &agent->reports;
        const char *stage = report_stage_name(reports->waiting[0].stage);
        int64_t most = reports->done ? RETRY_MOST_AT_END_MS : RETRY_MOST_MS;
        int r = events_put_answer(call, &reports->err);

        agent_call_drop(agent, &reports->call);
        if (r < 0) {
                reports->failures++;
                log_debug(agent_log(agent), "report not taken", LOG_TEXT("stage", stage),
                        LOG_TEXT("error", reports->err.text));
                agent_timer(agent, &reports->timer,
                        agent_backoff_ms(reports->failures, RETRY_FIRST_MS, most), on_time);
                return;
        }
        log_debug(agent_log(agent), "reported", LOG_TEXT("stage", stage));
        reports->failures = 0;
        reports->err.text[0] = '\0';
        forget_first(reports);
        if (reports->n_waiting > 0)
                send_first(agent);
        else if (reports->done)
                end_reports(agent);
}

static void send_first(struct agent *agent)
{
        struct reports *reports = &agent->reports;
        struct http_call *call;

        agent_timer_stop(&reports->timer);
        call = events_put(
                agent_aws(agent), REPORT_SOURCE, REPORT_DETAIL_TYPE, reports->waiting[0].detail);
        call->tries_max = 1;
        agent_call(agent, &reports->call, call, on_answer);
}

void reports_send(struct agent *agent, enum report_stage stage, const char *reason)
{
        struct reports *reports = &agent->reports;

        if (!agent_has_aws(agent) || reports->n_waiting == REPORTS_MAX)
                return;
        reports->waiting[reports->n_waiting].stage = stage;
        reports->waiting[reports->n_waiting].detail = make_detail(agent, stage, reason);
        reports->n_waiting++;
        if (!reports->call && !reports->timer)
                send_first(agent);
}

void reports_finish(struct agent *agent, int64_t limit_ms, agent_done done)
{
        struct reports *reports = &agent->reports;

        reports->done = done;
        reports->failures = 0;
        if (reports->n_waiting == 0) {
                end_reports(agent);
                return;
        }
        agent_timer(agent, &reports->limit, limit_ms, on_limit);
        if (!reports->call)
                send_first(agent);
}

void reports_release(struct agent *agent)
{
        struct reports *reports = &agent->reports;

        agent_call_drop(agent, &reports->call);
        agent_timer_stop(&reports->timer);
        agent_timer_stop(&reports->limit);
        while (reports->n_waiting > 0)
                forget_first(reports);
}
