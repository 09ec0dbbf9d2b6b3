/* SPDX-License-Identifier: MIT */

/*
 * A queue of reports: all that wait are sent with one call, and those that EventBridge did not take
 * stay in the queue.
 */

#include "reporter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/events.h"
#include "base/mem.h"

#define HOLD_MS 1000
#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS (15 * MSEC_PER_SEC)
#define RETRY_MOST_AT_END_MS 500

static void send_waiting(struct reporter *reporter);

/* The detail of a report, from all that is known now. */
static char *make_detail(const struct agent *agent, enum report_stage stage, const char *reason)
{
        const struct handover *handover = &agent->handover;
        struct report report = {
                /* Everything is borrowed: this report is printed and never released. */
                .stage = stage,
                .prefix = agent->has_handover ? handover->prefix : agent->settings.prefix,
                .instance_id = (char *)agent->identity.instance_id,
                .instance_type = (char *)agent->identity.instance_type,
                .zone = (char *)agent->identity.zone,
                .reason = (char *)reason,
                .ticket = handover->ticket,
                .spec = handover->spec,
                .scope = handover->scope,
                .runner_id = handover->runner_id,
                .hand_over_deleted = agent->has_deleted_parameter,
                .job = handover->job,
                .job_name = agent->job_name,
                .result = agent->result,
                .exit_code = agent->runner_exit_code,
                .before = handover->times,
        };

        memcpy(report.times, agent->times, sizeof(report.times));
        return report_print(&report);
}

static void forget(struct reporter *reporter, size_t i)
{
        free(reporter->waiting[i].detail);
        reporter->n_waiting--;
        memmove(&reporter->waiting[i], &reporter->waiting[i + 1],
                (reporter->n_waiting - i) * sizeof(reporter->waiting[0]));
}

/* Gives up what is under way, or waits for its time. */
static void stop(struct reporter *reporter)
{
        agent_call_drop(reporter->agent, &reporter->call);
        reporter->n_under_way = 0;
        agent_timer_stop(&reporter->timer);
        agent_timer_stop(&reporter->hold);
}

static void end_reporter(struct reporter *reporter)
{
        agent_done done = MEM_STEAL(reporter->done);
        int r = reporter->n_waiting > 0 ? -ETIMEDOUT : 0;

        stop(reporter);
        agent_timer_stop(&reporter->limit);
        for (size_t i = 0; i < reporter->n_waiting; i++)
                log_error(agent_log(reporter->agent), "report not sent",
                        LOG_TEXT("stage", report_stage_name(reporter->waiting[i].stage)),
                        LOG_TEXT("error", reporter->err.text));
        done(reporter->userdata, r, &reporter->err);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        send_waiting(userdata);
        return 0;
}

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct reporter *reporter = userdata;

        (void)source;
        (void)usec;
        if (!reporter->err.text[0])
                err_set(&reporter->err, 0, "EventBridge did not answer in time");
        end_reporter(reporter);
        return 0;
}

static void send_later(struct reporter *reporter)
{
        int64_t most = reporter->done ? RETRY_MOST_AT_END_MS : RETRY_MOST_MS;
        int64_t delay = agent_backoff_ms(++reporter->failures, RETRY_FIRST_MS, most);

        log_debug(agent_log(reporter->agent), "report not taken",
                LOG_TEXT("stage", report_stage_name(reporter->waiting[0].stage)),
                LOG_TEXT("error", reporter->err.text));
        agent_timer(reporter->agent, &reporter->timer, delay, on_time, reporter);
}

/* Forgets the report at I, which EventBridge has taken. */
static void take(struct reporter *reporter, size_t i)
{
        enum report_stage stage = reporter->waiting[i].stage;

        log_debug(agent_log(reporter->agent), "reported",
                LOG_TEXT("stage", report_stage_name(stage)));
        forget(reporter, i);
        if (reporter->taken)
                reporter->taken(reporter->taken_userdata, stage);
}

static void on_answer(struct http_call *call, void *userdata)
{
        struct reporter *reporter = userdata;
        bool taken[REPORT_STAGES];
        size_t n = reporter->n_under_way;
        int r = events_put_answer(call, taken, n, &reporter->err);

        agent_call_drop(reporter->agent, &reporter->call);
        reporter->n_under_way = 0;
        for (size_t i = 0, at = 0; i < n; i++)
                if (taken[i])
                        take(reporter, at);
                else
                        at++;
        if (r != 0) {
                send_later(reporter);
                return;
        }
        reporter->failures = 0;
        reporter->err.text[0] = '\0';
        if (reporter->n_waiting > 0)
                send_waiting(reporter);
        else if (reporter->done)
                end_reporter(reporter);
}

static void send_waiting(struct reporter *reporter)
{
        const char *details[REPORT_STAGES];
        struct http_call *call;

        for (size_t i = 0; i < reporter->n_waiting; i++)
                details[i] = reporter->waiting[i].detail;
        call = events_put(agent_aws(reporter->agent), REPORT_SOURCE, REPORT_DETAIL_TYPE, details,
                reporter->n_waiting);
        stop(reporter);
        reporter->n_under_way = reporter->n_waiting;
        call->tries_max = 1;
        agent_call(reporter->agent, &reporter->call, call, on_answer, reporter);
}

static void send_soon(struct reporter *reporter, enum report_stage stage)
{
        if (reporter->call || reporter->timer)
                return; /* on_answer() or on_time() goes on */
        if (stage == REPORT_READY)
                agent_timer(reporter->agent, &reporter->hold, HOLD_MS, on_time, reporter);
        else
                send_waiting(reporter);
}

void reporter_send(struct reporter *reporter, enum report_stage stage, const char *reason)
{
        size_t last = reporter->n_waiting;

        if (!agent_has_aws(reporter->agent))
                return;
        for (size_t i = 0; i < last; i++)
                if (reporter->waiting[i].stage == stage)
                        return;
        reporter->waiting[last].stage = stage;
        reporter->waiting[last].detail = make_detail(reporter->agent, stage, reason);
        reporter->n_waiting++;
        send_soon(reporter, stage);
}

void reporter_forget(struct reporter *reporter, enum report_stage stage)
{
        size_t i = 0;

        while (i < reporter->n_waiting && reporter->waiting[i].stage != stage)
                i++;
        if (i == reporter->n_waiting)
                return;
        forget(reporter, i);
        if (reporter->call && i >= reporter->n_under_way)
                return;
        /* Ends the call that carried this report, or the pause before its next try. */
        stop(reporter);
        if (reporter->n_waiting > 0)
                send_waiting(reporter);
}

void reporter_finish(struct reporter *reporter, int64_t limit_ms, agent_done done, void *userdata)
{
        reporter->done = done;
        reporter->userdata = userdata;
        reporter->failures = 0;
        if (reporter->n_waiting == 0) {
                end_reporter(reporter);
                return;
        }
        agent_timer(reporter->agent, &reporter->limit, limit_ms, on_limit, reporter);
        if (!reporter->call)
                send_waiting(reporter);
}

void reporter_release(struct reporter *reporter)
{
        stop(reporter);
        agent_timer_stop(&reporter->limit);
        while (reporter->n_waiting > 0)
                forget(reporter, 0);
}
