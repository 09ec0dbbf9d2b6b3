/* SPDX-License-Identifier: MIT */

/*
 * The order of the stages, and what follows when one of them fails.
 */

#include "life.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "agent.h"
#include "base/mem.h"
#include "runner_exit.h"
#include "warm_up.h"

/* Neither EventBridge nor SSM keep a machine alive for longer than this. */
#define END_LIMIT_MS (5 * MSEC_PER_SEC)

/* What runner.service needs of the boot may wait for READY=1, in an image of somebody's own. */
#define READY_LATEST_MS 1000

static void enter(struct agent *agent, enum life_stage stage)
{
        static const char *const texts[] = {
                [LIFE_IDENTIFY] = "STATUS=Asking the metadata service who this is",
                [LIFE_RECEIVE] = "STATUS=Asking for the hand-over",
                [LIFE_RUN] = "STATUS=Starting the runner",
                [LIFE_END] = "STOPPING=1\nSTATUS=Reporting and cleaning up",
                [LIFE_POWER_OFF] = "STATUS=Shutting down",
        };

        agent->life.stage = stage;
        sd_notify(0, texts[stage]);
}

/* The rest of the boot waits for this, so that the way to the runner has the processors. */
static void be_ready(struct agent *agent)
{
        agent_timer_stop(&agent->life.ready_timer);
        if (!agent->life.is_ready)
                sd_notify(0, "READY=1");
        agent->life.is_ready = true;
}

static int on_ready_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        be_ready(userdata);
        return 0;
}

/* -- the end --------------------------------------------------------------------------------- */

static void on_powered_off(struct agent *agent, int result, const struct err *err)
{
        struct life *life = &agent->life;

        if (result < 0) {
                log_error(agent_log(agent), "cannot shut down, systemd will power off",
                        LOG_TEXT("error", err->text));
                life->exit_code = LIFE_EXIT_FAILED;
        }
        sd_event_exit(agent_event(agent), life->exit_code);
}

static void power_off(struct agent *agent)
{
        enter(agent, LIFE_POWER_OFF);
        if (agent->is_identified && agent->shuts_down) {
                log_info(agent_log(agent), "shutting down");
                power_off_start(agent, on_powered_off);
                return;
        }
        if (agent->is_identified)
                log_info(agent_log(agent), "not shutting down, as was asked for");
        sd_event_exit(agent_event(agent), agent->life.exit_code);
}

static void on_end_part(struct agent *agent, int result, const struct err *err)
{
        (void)result;
        (void)err;
        if (--agent->life.waiting == 0)
                power_off(agent);
}

static void log_end(struct agent *agent, enum report_stage outcome, const char *reason)
{
        const char *stage = report_stage_name(outcome);

        if (outcome == REPORT_FAILED)
                log_error(agent_log(agent), "failed", LOG_TEXT("stage", stage),
                        LOG_TEXT("error", reason));
        else
                log_info(agent_log(agent), stage, LOG_TEXT("stage", stage),
                        LOG_TEXT("reason", reason), LOG_TEXT("result", agent->result));
}

static void end(struct agent *agent, enum report_stage outcome, const char *reason)
{
        struct life *life = &agent->life;

        if (life->stage >= LIFE_END)
                return;
        enter(agent, LIFE_END);
        alarm_release(agent);
        receive_release(agent);
        agent_time(agent, REPORT_TIME_FINISHED);
        log_end(agent, outcome, reason);
        life->exit_code = outcome == REPORT_FAILED ? LIFE_EXIT_FAILED : LIFE_EXIT_DONE;
        if (!agent->is_identified)
                life->exit_code = LIFE_EXIT_NO_EC2;
        if (!life->was_reported)
                reporter_send(agent, outcome, reason);
        life->waiting = 2;
        reporter_finish(agent, END_LIMIT_MS, on_end_part);
        clean_up_finish(agent, END_LIMIT_MS, on_end_part);
}

/* -- running --------------------------------------------------------------------------------- */

/* The first reason counts. A runner that has done its job has nothing to be stopped for. */
static void stop(struct agent *agent, enum report_stage outcome, const char *reason, int64_t grace)
{
        struct life *life = &agent->life;

        if (reason && !life->was_stopped && !agent->times[REPORT_TIME_JOB_FINISHED]) {
                life->was_stopped = true;
                life->outcome = outcome;
                life->reason = mem_string(reason);
                log_warning(agent_log(agent), "stopping the runner", LOG_TEXT("reason", reason));
                if (outcome == REPORT_INTERRUPTED) {
                        life->was_reported = true; /* now: later may be too late */
                        reporter_send(agent, outcome, reason);
                }
        }
        run_stop(agent, grace);
}

static void on_started(struct agent *agent)
{
        be_ready(agent);
        alarm_started(agent);
}

static void on_listening(struct agent *agent)
{
        sd_notify(0, "STATUS=Waiting for a job");
        alarm_listening(agent);
        reporter_send(agent, REPORT_READY, NULL);
        clean_up_start(agent); /* not before: a machine that dies until now gives its job back */
}

static void on_job_started(struct agent *agent)
{
        sd_notifyf(0, "STATUS=Running job %.100s", agent->job_name);
        /* The runner cannot be started again from here on. */
        mem_free_secret(MEM_STEAL(agent->handover.jit_config));
        alarm_job_started(agent);
        reporter_send(agent, REPORT_JOB_STARTED, NULL);
        clean_up_start(agent);
}

static void on_job_finished(struct agent *agent)
{
        sd_notify(0, "STATUS=The job is done");
        alarm_job_finished(agent);
}

static void on_ended(struct agent *agent, const struct err *err)
{
        struct life *life = &agent->life;
        struct err explanation;

        if (life->was_stopped) {
                end(agent, life->outcome, life->reason);
        } else if (agent->times[REPORT_TIME_JOB_FINISHED]) {
                end(agent, REPORT_FINISHED, NULL);
        } else if (err) {
                end(agent, REPORT_FAILED, err->text);
        } else {
                runner_exit_explain(agent->runner_exit_code, agent->run.signal,
                        agent->times[REPORT_TIME_JOB_STARTED] != 0, agent->progress.last_line,
                        &explanation);
                end(agent, REPORT_FAILED, explanation.text);
        }
}

/* -- the stages before ----------------------------------------------------------------------- */

static void end_without_handover(struct agent *agent, const struct err *err)
{
        struct err explanation = *err;

        if (agent->clock_err.text[0])
                err_prefix(&explanation, 0, "%s", agent->clock_err.text);
        end(agent, REPORT_FAILED, explanation.text);
}

static void on_waiting(struct agent *agent)
{
        be_ready(agent);
        sd_notify(0, "STATUS=Waiting for the hand-over");
}

static void on_received(struct agent *agent, int result, const struct err *err)
{
        static const struct run_events events = {
                .started = on_started,
                .listening = on_listening,
                .job_started = on_job_started,
                .job_finished = on_job_finished,
                .ended = on_ended,
        };
        char job[24];

        if (result < 0) {
                end_without_handover(agent, err);
                return;
        }
        snprintf(job, sizeof(job), "%lld", (long long)agent->handover.job.id);
        agent_log_context(agent, "job", job);
        agent_log_context(agent, "spec", agent->handover.spec);
        agent->life.stage = LIFE_RUN;
        run_start(agent, &events); /* first of all: the job waits for it */
        if (agent->life.stage != LIFE_RUN)
                return;
        alarm_start(agent, stop);
        agent_timer(agent, &agent->life.ready_timer, READY_LATEST_MS, on_ready_time);
        enter(agent, LIFE_RUN);
        log_info(agent_log(agent), "hand-over received",
                LOG_TEXT("repository", agent->handover.job.repository));
}

static void on_identified(struct agent *agent, int result, const struct err *err)
{
        if (result < 0) {
                end(agent, REPORT_FAILED, err->text);
                return;
        }
        receive_start(agent, on_waiting, on_received); /* first of all: it takes the longest */
        enter(agent, LIFE_RECEIVE);
        log_info(agent_log(agent), "identified", LOG_TEXT("type", agent->identity.instance_type),
                LOG_TEXT("zone", agent->identity.zone));
}

void life_start(struct agent *agent)
{
        int64_t uptime_ms = clock_monotonic_ms(agent->clock);

        agent->times[REPORT_TIME_KERNEL] = clock_wall_ms(agent->clock) - uptime_ms;
        agent_time(agent, REPORT_TIME_AGENT);
        enter(agent, LIFE_IDENTIFY);
        identify_start(agent, on_identified);
        warm_up(); /* while the network, or the metadata service, takes its time */
}

void life_signal(struct agent *agent, int number)
{
        struct err err;

        if (agent->life.stage >= LIFE_END)
                return; /* it ends already, within seconds */
        err_set(&err, 0, "the machine is going down, or the agent was told to end (%s)",
                number == SIGTERM ? "SIGTERM" : "SIGINT");
        if (agent->life.stage < LIFE_RUN)
                end(agent, REPORT_INTERRUPTED, err.text);
        else
                stop(agent, REPORT_INTERRUPTED, err.text,
                        agent->life.was_stopped
                                ? 0
                                : agent->settings.stop_grace_seconds * MSEC_PER_SEC);
}

void life_release(struct agent *agent)
{
        agent_timer_stop(&agent->life.ready_timer);
        free(agent->life.reason);
}
