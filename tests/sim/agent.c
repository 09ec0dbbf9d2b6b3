/* SPDX-License-Identifier: MIT */

/*
 * The agent and the runner on a machine as a model, from boot to power off.
 */

#include <stdlib.h>
#include <string.h>

#include "world.h"

/* runner-agent's settings. */
#define PARAMETER_LIMIT_MS (4200 * SECOND)
#define ASK_MS (2 * SECOND)
#define REPORT_LIMIT_MS MINUTE
#define IDLE_POLL_MS (30 * SECOND)
#define IDLE_REPEAT_MS (5 * MINUTE)
#define IDLE_GRACE_MS (90 * SECOND)
#define JOB_LIMIT_MS (6 * HOUR)

/* -- the end -- */

static void on_runner_lost(struct world *world, void *userdata)
{
        job_end(world, userdata, "failure");
}

void machine_job_lost(struct machine *machine)
{
        struct world *world = machine->world;

        world_after(world, world_between(world, 5, 15) * MINUTE, on_runner_lost,
                job_find(world, machine->job));
}

/* Whoever had a job deletes its parameter now at the latest. */
static void clean_up_and_power_off(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        if (machine->stage == MACHINE_ENDING && machine->started_ms > 0 &&
                !machine->has_deleted_parameter && !fault_is_down(world, FAULT_SSM))
                machine_delete_parameter(machine);
        machine_power_off(world, machine);
}

/* The agent's last stage: what is reported has a minute to get through. STAGE is NULL where the end
 * was reported before. */
static void shut_down(struct machine *machine, const char *stage, const char *reason)
{
        struct world *world = machine->world;
        struct runner *runner = machine->runner ? runner_find(world, machine->runner) : NULL;

        if (machine->stage == MACHINE_ENDING || machine->stage == MACHINE_ENDED)
                return;
        machine->stage = MACHINE_ENDING;
        if (runner)
                runner->online = false;
        if (stage)
                machine_report(machine, stage, reason);
        world_after(world, machine->reports > 0 ? REPORT_LIMIT_MS : world_between(world, 500, 3000),
                clean_up_and_power_off, machine);
}

/* -- the runner -- */

bool machine_takes(const struct machine *machine, int64_t runner)
{
        return machine->stage == MACHINE_LISTENING && machine->runner == runner;
}

static void finish_job(struct machine *machine, const char *conclusion)
{
        struct world *world = machine->world;

        machine->finished_ms = world->now_ms;
        machine->result = strcmp(conclusion, "success") == 0 ? "Succeeded" : "Canceled";
        job_end(world, job_find(world, machine->job), conclusion);
        machine->stage = MACHINE_STARTING; /* no job runs any more */
        shut_down(machine, "finished", NULL);
}

static void on_job_finished(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        (void)world;
        if (machine_works(machine))
                finish_job(machine, "success");
}

void machine_job_started(struct machine *machine, int64_t job)
{
        struct world *world = machine->world;

        machine->stage = MACHINE_RUNNING;
        machine->job = job;
        machine->started_ms = world->now_ms;
        machine_report(machine, "job_started", NULL);
        world_after(world, job_find(world, job)->duration_ms, on_job_finished, machine);
}

void machine_job_cancelled(struct machine *machine)
{
        if (machine_works(machine))
                finish_job(machine, "cancelled");
}

static void on_listener_ended(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        (void)world;
        if (machine->stage == MACHINE_LISTENING)
                shut_down(machine, "failed", "the runner ended without a job");
}

void machine_registration_gone(struct machine *machine)
{
        world_after(machine->world, world_between(machine->world, 1, 30) * SECOND,
                on_listener_ended, machine);
}

static void on_dropped(struct world *world, void *userdata)
{
        struct machine *machine = userdata;
        struct runner *runner = runner_find(world, machine->runner);

        if (machine->stage != MACHINE_LISTENING || runner->job != 0)
                return;
        world_tell(world, "GitHub drops the registration of %s", machine->id);
        runner->gone = true;
        machine_registration_gone(machine);
}

/* It listens, so there is no worker. */
static void on_grace_over(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        (void)world;
        if (machine->stage == MACHINE_LISTENING)
                shut_down(machine, "failed", "no job within the idle limit");
}

static void report_idle(struct machine *machine)
{
        machine->idle_reported_ms = machine->world->now_ms;
        jobs_hurry(machine->world);
        if (!machine->idle_waits)
                machine_report(machine, "idle", "no job within the idle limit");
}

static void look_for_parameter(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        if (machine->stage != MACHINE_LISTENING)
                return;
        story_call(machine, "GetParameter", NULL);
        if (!fault_is_down(world, FAULT_SSM) && !handover_get(world, machine->id)) {
                world_tell(world, "%s is deregistered", machine->id);
                world_after(world, IDLE_GRACE_MS, on_grace_over, machine);
                return;
        }
        if (world->now_ms - machine->idle_ms >= JOB_LIMIT_MS) {
                on_grace_over(world, machine);
                return;
        }
        if (world->now_ms - machine->idle_reported_ms >= IDLE_REPEAT_MS)
                report_idle(machine);
        world_after(world, world_between(world, IDLE_POLL_MS / 2, IDLE_POLL_MS), look_for_parameter,
                machine);
}

static void on_idle_limit(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        if (machine->stage != MACHINE_LISTENING)
                return;
        machine->idle_ms = world->now_ms;
        report_idle(machine);
        world_after(world, world_between(world, IDLE_POLL_MS / 2, IDLE_POLL_MS), look_for_parameter,
                machine);
}

static void listen(struct world *world, void *userdata)
{
        struct machine *machine = userdata;
        const char *jit = json_string(machine->handover, "jit_config");
        struct runner *runner;

        if (machine->stage != MACHINE_STARTING)
                return;
        if (fault_is_down(world, FAULT_GITHUB)) {
                world_after(world, world_between(world, 5, 30) * SECOND, listen, machine);
                return;
        }
        machine->runner = jit && strncmp(jit, JIT_MARK, strlen(JIT_MARK)) == 0
                                  ? strtoll(jit + strlen(JIT_MARK), NULL, 16)
                                  : 0;
        runner = runner_find(world, machine->runner);
        if (!runner || runner->gone || strcmp(runner->name, machine->id) != 0) {
                shut_down(machine, "failed", "the runner's registration is not accepted");
                return;
        }
        machine->stage = MACHINE_LISTENING;
        machine->listening_ms = world->now_ms;
        runner->online = true;
        machine_report(machine, "ready", NULL);
        jobs_assign_later(world, world_between(world, 100, 1500));
        if (fault_strikes(world, FAULT_DROPPED, 20))
                world_after(
                        world, world_between(world, 2 * MINUTE, 6 * MINUTE), on_dropped, machine);
        world_after(world, json_integer(machine->handover, "idle_limit_seconds", 300) * SECOND,
                on_idle_limit, machine);
}

/* -- before the runner -- */

static void receive(struct world *world, void *userdata)
{
        struct machine *machine = userdata;
        const char *value;

        if (machine->stage != MACHINE_WAITING)
                return;
        story_call(machine, "GetParameter", NULL);
        value = fault_is_down(world, FAULT_SSM) ? NULL : handover_get(world, machine->id);
        if (value && json_parse(value, strlen(value), "", &machine->handover, NULL) == 0) {
                world_tell(world, "%s has its hand-over", machine->id);
                machine->stage = MACHINE_STARTING;
                world_after(world, world_between(world, 1500, 8000), listen, machine);
        } else if (world->now_ms > machine->parameter_limit_ms) {
                shut_down(machine, "failed", "no hand-over within its limit");
        } else {
                world_after(world, ASK_MS, receive, machine);
        }
}

void agent_booted(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        if (machine->stage != MACHINE_BOOTING)
                return;
        machine->stage = MACHINE_WAITING;
        machine->parameter_limit_ms = world->now_ms + PARAMETER_LIMIT_MS;
        receive(world, machine);
}

/* -- EC2 takes the machine back -- */

/* The agent has stopped the runner, before EC2 takes the machine: the job is cancelled, or GitHub
 * never hears of its end. */
static void on_interrupted(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        if (!machine_works(machine))
                return;
        if (world_chance(world, 70))
                job_end(world, job_find(world, machine->job), "cancelled");
        else
                machine_job_lost(machine);
        machine->stage = MACHINE_STARTING; /* no job runs any more */
        shut_down(machine, NULL, NULL);
}

void agent_interrupted(struct machine *machine)
{
        struct world *world = machine->world;

        if (machine_works(machine)) {
                machine_report(machine, "interrupted", "EC2 takes the instance back");
                world_after(world, world_between(world, 1, 110) * SECOND, on_interrupted, machine);
        }
        if (machine->stage < MACHINE_RUNNING && machine->stage != MACHINE_BOOTING)
                shut_down(machine, NULL, NULL);
}
