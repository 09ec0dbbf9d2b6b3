/* SPDX-License-Identifier: MIT */

/*
 * The order of the stages. A machine's life begins at the bottom of this file and goes upwards:
 *
 *      life_start()            identify; warm up meanwhile
 *      on_identified()         receive
 *      on_waiting()            no hand-over yet: the rest of the boot goes on
 *      on_received()           run, with the alarm beside it
 *      on_started()            the rest of the boot goes on, if it has not yet
 *      on_listening()          report, within a second
 *      on_updating()           the alarm bounds the update; then the runner starts again
 *      life_idle()             life_idle.c: report; the runner listens until it is deregistered
 *      on_job_started()        report; then on_report_taken() deletes the parameter
 *      on_job_finished()       the alarm bounds the runner's end
 *      on_ended()              life_end.c: report and clean up side by side, then power off
 *
 * A stage that fails leads to the end at once. An alarm or a signal stops the runner, which leads
 * to on_ended().
 */

#include "life.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/mem.h"
#include "warm_up.h"

/* In an image of somebody's own, what runner.service needs of the boot may itself wait for READY=1:
 * it comes after this time at the latest. */
#define READY_LATEST_MS 1000

/* The rest of the boot may also bring the network's driver, on a machine unlike EC2's: READY=1
 * comes after this time at the latest, even without a network. On EC2, the network takes a
 * second. */
#define NETWORK_LATEST_MS 10000

/* The rest of the boot waits for this, so that until then the processors are for the runner. */
static void be_ready(struct life *life)
{
        agent_timer_stop(&life->ready_timer);
        if (!life->is_ready)
                sd_notify(0, "READY=1");
        life->is_ready = true;
}

static int on_ready_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        be_ready(userdata);
        return 0;
}

/* -- running -- */

void life_stop(void *userdata, enum report_stage outcome, const char *reason, int64_t grace_ms)
{
        struct life *life = userdata;
        struct agent *agent = life->agent;

        life_no_longer_idle(life);
        if (reason && !life->was_stopped && !agent->times[REPORT_TIME_JOB_FINISHED]) {
                life->was_stopped = true;
                life->outcome = outcome;
                life->reason = mem_string(reason);
                log_warning(agent_log(agent), "stopping the runner", LOG_TEXT("reason", reason));
                if (outcome == REPORT_INTERRUPTED) {
                        life->was_reported = true; /* now: later may be too late */
                        reporter_send(&life->reporter, outcome, reason);
                }
        }
        run_stop(&life->run, grace_ms);
}

static void on_token_expired(void *userdata)
{
        struct life *life = userdata;

        identify_refresh(&life->identify);
}

static void on_ended(void *userdata, const struct err *why)
{
        struct life *life = userdata;
        struct err explanation = *why;

        life_explain_idle(life, &explanation);
        if (life->was_stopped)
                life_end(life, life->outcome, life->reason);
        else if (life->agent->times[REPORT_TIME_JOB_FINISHED])
                life_end(life, REPORT_FINISHED, NULL);
        else
                life_end(life, REPORT_FAILED, explanation.text);
}

static void on_job_finished(void *userdata)
{
        struct life *life = userdata;

        sd_notify(0, "STATUS=The job is done");
        alarm_job_finished(&life->alarm);
}

static void on_job_started(void *userdata)
{
        struct life *life = userdata;
        struct agent *agent = life->agent;

        sd_notifyf(0, "STATUS=Running job %.100s", agent->job_name);
        mem_free_secret(MEM_STEAL(agent->handover.jit_config)); /* there is no other start now */
        alarm_job_started(&life->alarm);
        life_no_longer_idle(life);
        reporter_send(&life->reporter, REPORT_JOB_STARTED, NULL);
}

static void on_report_taken(void *userdata, enum report_stage stage)
{
        struct life *life = userdata;

        if (stage == REPORT_JOB_STARTED && life->stage < LIFE_END)
                clean_up_start(&life->clean_up); /* not before: see clean_up.h */
}

static void on_updating(void *userdata)
{
        struct life *life = userdata;

        sd_notify(0, "STATUS=The runner updates itself");
        alarm_updating(&life->alarm);
        life_no_longer_idle(life);
}

static void on_listening(void *userdata)
{
        struct life *life = userdata;

        sd_notify(0, "STATUS=Waiting for a job");
        alarm_listening(&life->alarm);
        life_no_longer_idle(life);
        if (life->has_listened)
                return;
        life->has_listened = true;
        reporter_send(&life->reporter, REPORT_READY, NULL);
}

static void on_started(void *userdata)
{
        struct life *life = userdata;

        be_ready(life);
        alarm_runner_started(&life->alarm);
}

/* -- the stages before -- */

static void end_without_handover(struct life *life, const struct err *err)
{
        const struct err *clock_err = &life->agent->clock_err;
        struct err explanation = *err;

        if (clock_err->text[0])
                err_prefix(&explanation, 0, "%s", clock_err->text);
        life_end(life, REPORT_FAILED, explanation.text);
}

static void add_log_context(struct agent *agent)
{
        char job[24];

        snprintf(job, sizeof(job), "%lld", (long long)agent->handover.job.id);
        agent_log_context(agent, "job", job);
        agent_log_context(agent, "spec", agent->handover.spec);
}

static void on_received(void *userdata, int result, const struct err *err)
{
        static const struct run_events run_events = {
                .started = on_started,
                .progress = {on_listening, on_updating, on_job_started, on_job_finished},
                .worker = life_worker,
                .ended = on_ended,
        };
        static const struct alarm_events alarm_events = {
                .raised = life_stop,
                .idle = life_idle,
                .token_expired = on_token_expired,
        };
        struct life *life = userdata;
        struct agent *agent = life->agent;

        if (result < 0) {
                end_without_handover(life, err);
                return;
        }
        add_log_context(agent);
        agent_timer_stop(&life->ready_timer);
        life->stage = LIFE_RUN;
        run_start(&life->run, &run_events, life); /* first of all: the job waits for it */
        if (life->stage != LIFE_RUN)
                return;
        alarm_start(&life->alarm, &alarm_events, life);
        agent_timer(agent, &life->ready_timer, READY_LATEST_MS, on_ready_time, life);
        sd_notify(0, "STATUS=Starting the runner");
        log_info(agent_log(agent), "hand-over received",
                LOG_TEXT("repository", agent->handover.job.repository));
}

static void on_waiting(void *userdata)
{
        be_ready(userdata);
        sd_notify(0, "STATUS=Waiting for the hand-over");
}

static void on_identified(void *userdata, int result, const struct err *err)
{
        struct life *life = userdata;
        struct agent *agent = life->agent;

        if (result < 0) {
                life_end(life, REPORT_FAILED, err->text);
                return;
        }
        /* First of all: it takes the longest. */
        receive_start(&life->receive, on_waiting, on_received, life);
        life->stage = LIFE_RECEIVE;
        sd_notify(0, "STATUS=Asking for the hand-over");
        log_info(agent_log(agent), "identified", LOG_TEXT("type", agent->identity.instance_type),
                LOG_TEXT("zone", agent->identity.zone));
}

void life_start(struct life *life)
{
        struct agent *agent = life->agent;
        int64_t uptime_ms = clock_monotonic_ms(agent->clock);

        agent->times[REPORT_TIME_KERNEL] = clock_wall_ms(agent->clock) - uptime_ms;
        agent_time(agent, REPORT_TIME_AGENT);
        sd_notify(0, "STATUS=Asking the metadata service who this is");
        identify_start(&life->identify, on_identified, life);
        agent_timer(agent, &life->ready_timer, NETWORK_LATEST_MS, on_ready_time, life);
        warm_up(); /* while the network, or the metadata service, is not there yet */
}

void life_signal(struct life *life, int number)
{
        int64_t grace_ms = life->agent->settings.stop_grace_seconds * MSEC_PER_SEC;
        struct err err;

        if (life->stage >= LIFE_END)
                return; /* it ends already, within seconds */
        err_set(&err, 0, "the machine is going down, or the agent was told to end (%s)",
                number == SIGTERM ? "SIGTERM" : "SIGINT");
        if (life->stage < LIFE_RUN)
                life_end(life, REPORT_INTERRUPTED, err.text);
        else
                life_stop(life, REPORT_INTERRUPTED, err.text, life->was_stopped ? 0 : grace_ms);
}

void life_init(struct life *life, struct agent *agent)
{
        *life = (struct life){
                .agent = agent,
                .identify.agent = agent,
                .receive.agent = agent,
                .run.agent = agent,
                .alarm.agent = agent,
                .idle.agent = agent,
                .reporter = {.agent = agent, .taken = on_report_taken, .taken_userdata = life},
                .clean_up.agent = agent,
                .power_off.agent = agent,
        };
}

void life_release(struct life *life)
{
        alarm_release(&life->alarm);
        idle_release(&life->idle);
        run_release(&life->run);
        receive_release(&life->receive);
        reporter_release(&life->reporter);
        clean_up_release(&life->clean_up);
        identify_release(&life->identify);
        power_off_release(&life->power_off);
        agent_timer_stop(&life->ready_timer);
        free(life->reason);
}
