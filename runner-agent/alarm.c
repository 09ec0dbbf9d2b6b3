/* SPDX-License-Identifier: MIT */

/*
 * The limits, of which one at a time applies, and the question to the metadata service whether EC2
 * takes this machine back.
 */

#include "alarm.h"

#include "agent.h"
#include "aws/imds.h"
#include "base/mem.h"

/* EC2 takes the machine at the time of the notice; reports and the clean-up come before. */
#define SPOT_RESERVE_MS (8 * MSEC_PER_SEC)
#define SPOT_TIMEOUT_MS 2000
#define SPOT_FAILURES_TOLD 5

static int on_spot_time(sd_event_source *source, uint64_t usec, void *userdata);

static int64_t grace_ms(const struct agent *agent)
{
        return agent->settings.stop_grace_seconds * MSEC_PER_SEC;
}

/* -- limits ---------------------------------------------------------------------------------- */

static int64_t idle_limit_seconds(const struct agent *agent)
{
        return agent->handover.idle_limit_seconds > 0 ? agent->handover.idle_limit_seconds
                                                      : agent->settings.idle_limit_seconds;
}

static int64_t job_limit_seconds(const struct agent *agent)
{
        return agent->handover.job_limit_seconds > 0 ? agent->handover.job_limit_seconds
                                                     : agent->settings.job_limit_seconds;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        bool listens = agent->times[REPORT_TIME_LISTENING] != 0;
        struct err err;

        (void)source;
        (void)usec;
        err_set(&err, 0, "%s %lld s",
                listens ? "no job within" : "the runner did not listen within",
                (long long)idle_limit_seconds(agent));
        agent->alarm.raised(agent, REPORT_FAILED, err.text, grace_ms(agent));
        return 0;
}

static int on_job_too_long(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        struct err err;

        (void)source;
        (void)usec;
        err_set(&err, 0, "the job took longer than its limit of %lld s",
                (long long)job_limit_seconds(agent));
        agent->alarm.raised(agent, REPORT_FAILED, err.text, grace_ms(agent));
        return 0;
}

static int on_no_end(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;

        (void)source;
        (void)usec;
        agent->alarm.raised(agent, REPORT_FINISHED, NULL, grace_ms(agent));
        return 0;
}

void alarm_start(struct agent *agent, alarm_raised raised)
{
        agent->alarm.raised = raised;
        agent_timer(agent, &agent->alarm.limit, idle_limit_seconds(agent) * MSEC_PER_SEC, on_idle);
}

void alarm_started(struct agent *agent)
{
        on_spot_time(NULL, 0, agent);
}

void alarm_listening(struct agent *agent)
{
        agent_timer(agent, &agent->alarm.limit, idle_limit_seconds(agent) * MSEC_PER_SEC, on_idle);
}

void alarm_job_started(struct agent *agent)
{
        agent_timer(agent, &agent->alarm.limit, job_limit_seconds(agent) * MSEC_PER_SEC,
                on_job_too_long);
}

void alarm_job_finished(struct agent *agent)
{
        agent_timer(agent, &agent->alarm.limit, grace_ms(agent), on_no_end);
}

/* -- spot notices ---------------------------------------------------------------------------- */

static void ask_later(struct agent *agent)
{
        agent_timer(agent, &agent->alarm.spot_timer,
                agent->settings.spot_poll_seconds * MSEC_PER_SEC, on_spot_time);
}

static void tell_notice(struct agent *agent, const struct imds_spot_action *action)
{
        int64_t left = action->time_ms - clock_wall_ms(agent->clock) - SPOT_RESERVE_MS;
        char time[CLOCK_TEXT_SIZE];
        struct err err;

        if (left > grace_ms(agent))
                left = grace_ms(agent);
        err_set(&err, 0, "EC2 takes the spot instance back (%s at %s)", action->action,
                clock_format(action->time_ms, time));
        agent->alarm.raised(agent, REPORT_INTERRUPTED, err.text, left > 0 ? left : 0);
}

static void on_spot(struct http_call *call, void *userdata)
{
        struct agent *agent = userdata;
        struct alarm *alarm = &agent->alarm;
        struct imds_spot_action action;
        int status = call->status;
        struct err err;
        int r = imds_spot_answer(call, &action, &err);

        agent_call_drop(agent, &alarm->spot);
        if (r == 0) {
                tell_notice(agent, &action);
                return;
        }
        alarm->spot_failures = r < 0 ? alarm->spot_failures + 1 : 0;
        if (alarm->spot_failures == SPOT_FAILURES_TOLD)
                log_warning(agent_log(agent), "spot notices cannot be read",
                        LOG_TEXT("error", err.text));
        if (status == 401)
                identify_refresh(agent); /* the token has ended */
        ask_later(agent);
}

static int on_spot_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        struct http_call *call = imds_get(agent->metadata_token, IMDS_PATH_SPOT_ACTION);

        (void)source;
        (void)usec;
        call->timeout_ms = SPOT_TIMEOUT_MS;
        call->try_timeout_ms = SPOT_TIMEOUT_MS;
        call->tries_max = 1;
        agent_call(agent, &agent->alarm.spot, call, on_spot);
        return 0;
}

void alarm_release(struct agent *agent)
{
        agent_call_drop(agent, &agent->alarm.spot);
        agent_timer_stop(&agent->alarm.limit);
        agent_timer_stop(&agent->alarm.spot_timer);
}
