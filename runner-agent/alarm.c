/* SPDX-License-Identifier: MIT */

/*
 * The limits, one of which applies at a time, and the question to the metadata service whether EC2
 * takes this machine back.
 */

#include "alarm.h"

#include "aws/imds.h"
#include "base/mem.h"

/* EC2 takes the machine at the time that the notice names. Until then the job may run its last
 * steps (`if: always()`), except for this much, which reports and the clean-up need. */
#define SPOT_RESERVE_MS (8 * MSEC_PER_SEC)
#define SPOT_TIMEOUT_MS 2000
#define SPOT_FAILURES_LOGGED 5

/* A runner that updates itself downloads some 200 MB and replaces its files. */
#define UPDATE_LIMIT_SECONDS 600

static int on_spot_time(sd_event_source *source, uint64_t usec, void *userdata);

static int64_t grace_ms(const struct alarm *alarm)
{
        return alarm->agent->settings.stop_grace_seconds * MSEC_PER_SEC;
}

static void raise_alarm(struct alarm *alarm, enum report_stage outcome, const char *reason)
{
        alarm->events->raised(alarm->userdata, outcome, reason, grace_ms(alarm));
}

/* -- limits -- */

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct alarm *alarm = userdata;
        struct err err;

        (void)source;
        (void)usec;
        if (alarm->agent->times[REPORT_TIME_LISTENING]) {
                alarm->events->idle(alarm->userdata);
                return 0;
        }
        err_set(&err, 0, "the runner did not listen within %lld s",
                (long long)agent_idle_limit_seconds(alarm->agent));
        raise_alarm(alarm, REPORT_FAILED, err.text);
        return 0;
}

static int on_update_too_long(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct err err;

        (void)source;
        (void)usec;
        err_set(&err, 0,
                "the runner's update of itself took longer than %d s: "
                "build a new image with the current runner",
                UPDATE_LIMIT_SECONDS);
        raise_alarm(userdata, REPORT_FAILED, err.text);
        return 0;
}

static int on_job_too_long(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct alarm *alarm = userdata;
        struct err err;

        (void)source;
        (void)usec;
        err_set(&err, 0, "the job took longer than its limit of %lld s",
                (long long)agent_job_limit_seconds(alarm->agent));
        raise_alarm(alarm, REPORT_FAILED, err.text);
        return 0;
}

static int on_no_end(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        raise_alarm(userdata, REPORT_FINISHED, NULL);
        return 0;
}

static void set_limit(struct alarm *alarm, int64_t ms, sd_event_time_handler_t handler)
{
        agent_timer(alarm->agent, &alarm->limit, ms, handler, alarm);
}

void alarm_start(struct alarm *alarm, const struct alarm_events *events, void *userdata)
{
        alarm->events = events;
        alarm->userdata = userdata;
        set_limit(alarm, agent_idle_limit_seconds(alarm->agent) * MSEC_PER_SEC, on_idle);
}

void alarm_runner_started(struct alarm *alarm)
{
        on_spot_time(NULL, 0, alarm);
}

void alarm_listening(struct alarm *alarm)
{
        set_limit(alarm, agent_idle_limit_seconds(alarm->agent) * MSEC_PER_SEC, on_idle);
}

void alarm_updating(struct alarm *alarm)
{
        set_limit(alarm, UPDATE_LIMIT_SECONDS * MSEC_PER_SEC, on_update_too_long);
}

void alarm_job_started(struct alarm *alarm)
{
        set_limit(alarm, agent_job_limit_seconds(alarm->agent) * MSEC_PER_SEC, on_job_too_long);
}

void alarm_job_finished(struct alarm *alarm)
{
        set_limit(alarm, grace_ms(alarm), on_no_end);
}

/* -- spot notices -- */

static void ask_later(struct alarm *alarm)
{
        struct agent *agent = alarm->agent;

        agent_timer(agent, &alarm->spot_timer, agent->settings.spot_poll_seconds * MSEC_PER_SEC,
                on_spot_time, alarm);
}

static void on_notice(struct alarm *alarm, const struct imds_spot_action *action)
{
        int64_t left = action->time_ms - clock_wall_ms(alarm->agent->clock) - SPOT_RESERVE_MS;
        char time[CLOCK_TEXT_SIZE];
        struct err err;

        err_set(&err, 0, "EC2 takes the spot instance back (%s at %s)", action->action,
                clock_format(action->time_ms, time));
        alarm->events->raised(alarm->userdata, REPORT_INTERRUPTED, err.text, left > 0 ? left : 0);
}

static void on_spot(struct http_call *call, void *userdata)
{
        struct alarm *alarm = userdata;
        struct imds_spot_action action;
        int status = call->status;
        struct err err;
        int r = imds_spot_answer(call, &action, &err);

        agent_call_drop(alarm->agent, &alarm->spot);
        if (r == 0) {
                on_notice(alarm, &action);
                return;
        }
        alarm->spot_failures = r < 0 ? alarm->spot_failures + 1 : 0;
        if (alarm->spot_failures == SPOT_FAILURES_LOGGED)
                log_warning(agent_log(alarm->agent), "spot notices cannot be read",
                        LOG_TEXT("error", err.text));
        if (status == 401)
                alarm->events->token_expired(alarm->userdata);
        ask_later(alarm);
}

static int on_spot_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct alarm *alarm = userdata;
        struct http_call *call = imds_get(alarm->agent->metadata_token, IMDS_PATH_SPOT_ACTION);

        (void)source;
        (void)usec;
        call->timeout_ms = SPOT_TIMEOUT_MS;
        call->try_timeout_ms = SPOT_TIMEOUT_MS;
        call->tries_max = 1;
        agent_call(alarm->agent, &alarm->spot, call, on_spot, alarm);
        return 0;
}

void alarm_release(struct alarm *alarm)
{
        agent_call_drop(alarm->agent, &alarm->spot);
        agent_timer_stop(&alarm->limit);
        agent_timer_stop(&alarm->spot_timer);
}
