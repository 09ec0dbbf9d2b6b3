/* SPDX-License-Identifier: MIT */

/*
 * How a machine's life ends: the outcome is reported while the parameter is deleted, if a job has
 * started; then the machine is powered off, and the program exits.
 */

#include <systemd/sd-daemon.h>

#include "life.h"

/* Neither EventBridge nor SSM may keep a machine alive for longer than this. */
#define LIMIT_MS (5 * MSEC_PER_SEC)

static void on_powered_off(void *userdata, int result, const struct err *err)
{
        struct life *life = userdata;

        if (result < 0) {
                log_error(agent_log(life->agent), "cannot shut down, systemd will power off",
                        LOG_TEXT("error", err->text));
                life->exit_code = LIFE_EXIT_FAILED;
        }
        sd_event_exit(agent_event(life->agent), life->exit_code);
}

static void power_off(struct life *life)
{
        struct agent *agent = life->agent;

        sd_notify(0, "STATUS=Shutting down");
        if (agent->is_identified && agent->shuts_down) {
                log_info(agent_log(agent), "shutting down");
                power_off_start(&life->power_off, on_powered_off, life);
                return;
        }
        if (agent->is_identified)
                log_info(agent_log(agent), "not shutting down, as was asked for");
        sd_event_exit(agent_event(agent), life->exit_code);
}

static void on_finished(void *userdata, int result, const struct err *err)
{
        struct life *life = userdata;

        (void)result;
        (void)err;
        if (--life->n_ending == 0)
                power_off(life);
}

static void log_outcome(struct agent *agent, enum report_stage outcome, const char *reason)
{
        const char *stage = report_stage_name(outcome);

        if (outcome == REPORT_FAILED)
                log_error(agent_log(agent), "failed", LOG_TEXT("stage", stage),
                        LOG_TEXT("error", reason));
        else
                log_info(agent_log(agent), stage, LOG_TEXT("stage", stage),
                        LOG_TEXT("reason", reason), LOG_TEXT("result", agent->result));
}

void life_end(struct life *life, enum report_stage outcome, const char *reason)
{
        if (life->stage >= LIFE_END)
                return;
        life->stage = LIFE_END;
        sd_notify(0, "STOPPING=1\nSTATUS=Reporting and cleaning up");
        alarm_release(&life->alarm);
        life_no_longer_idle(life);
        receive_release(&life->receive);
        agent_time(life->agent, REPORT_TIME_FINISHED);
        log_outcome(life->agent, outcome, reason);
        life->exit_code = outcome == REPORT_FAILED ? LIFE_EXIT_FAILED : LIFE_EXIT_DONE;
        if (!life->agent->is_identified)
                life->exit_code = LIFE_EXIT_NO_EC2;
        if (!life->was_reported)
                reporter_send(&life->reporter, outcome, reason);
        life->n_ending = 2;
        reporter_finish(&life->reporter, LIMIT_MS, on_finished, life);
        clean_up_finish(&life->clean_up, LIMIT_MS, on_finished, life);
}
