/* SPDX-License-Identifier: MIT */

/*
 * EventBridge, and what comes through it: EC2's events, agents' reports, and forged ones.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define REPORT_AGAIN_MS (10 * SECOND)

struct report_sent {
        struct machine *machine;
        cJSON *detail;       /* owned */
        bool ends_job_start; /* of job_started: then the parameter goes */
        bool is_idle;
};

/* -- EventBridge -- */

static char *envelope(struct world *world, const char *source, const char *type, cJSON *detail)
{
        _cleanup_json_ cJSON *event = cJSON_CreateObject();
        char time[CLOCK_TEXT_SIZE];

        json_add_string(event, "time", clock_format(world_wall_ms(world), time));
        json_add_string(event, "source", source);
        json_add_string(event, "detail-type", type);
        json_add_string(event, "account", ACCOUNT);
        json_add_string(event, "region", REGION);
        cJSON_AddItemToObject(event, "detail", detail);
        return json_print(event);
}

static void on_event(struct world *world, void *userdata)
{
        _cleanup_free_ char *body = userdata;

        sqs_put(world, sqs_queue(world, "instance"), body);
}

/* EC2's own events: late or lost while EventBridge is down. */
void events_tell_ec2(struct world *world, const char *type, cJSON *detail)
{
        int64_t delay = world_between(world, 200, 3000);

        if (fault_is_down(world, FAULT_EVENTS)) {
                delay += world->outages[FAULT_EVENTS].until_ms - world->now_ms;
                if (fault_strikes(world, FAULT_UNHEARD, 30)) {
                        world_tell(world, "EventBridge loses an event");
                        cJSON_Delete(detail);
                        return;
                }
        }
        world_after(world, delay, on_event, envelope(world, "aws.ec2", type, detail));
}

/* -- reports -- */

void machine_delete_parameter(struct machine *machine)
{
        story_call(machine, "DeleteParameter", NULL);
        handover_delete(machine->world, machine->id);
        machine->has_deleted_parameter = true;
}

static void delete_parameter(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        if (machine->stage == MACHINE_ENDED)
                return;
        if (fault_is_down(world, FAULT_SSM)) {
                world_after(world, REPORT_AGAIN_MS, delete_parameter, machine);
                return;
        }
        machine_delete_parameter(machine);
}

/* The agent does not send what is no longer true. */
static bool is_untrue(const struct report_sent *report)
{
        return report->is_idle && report->machine->stage != MACHINE_LISTENING;
}

static void take_report(struct world *world, struct report_sent *report)
{
        struct machine *machine = report->machine;
        char *body;

        story_call(machine, "PutEvents", report->detail);
        body = envelope(world, "scale-agent.runner", "Runner Report", MEM_STEAL(report->detail));
        if (fault_strikes(world, FAULT_REPLAY, 15))
                world_after(
                        world, world_between(world, 0, 40 * MINUTE), on_event, mem_string(body));
        world_after(world, world_between(world, 200, 2000), on_event, body);
        if (report->ends_job_start)
                delete_parameter(world, machine);
}

static void send_report(struct world *world, void *userdata)
{
        struct report_sent *report = userdata;
        struct machine *machine = report->machine;

        if (machine->stage != MACHINE_ENDED && !is_untrue(report) &&
                fault_is_down(world, FAULT_EVENTS)) {
                world_after(world, REPORT_AGAIN_MS, send_report, report);
                return;
        }
        if (machine->stage != MACHINE_ENDED) {
                machine->reports--;
                if (report->is_idle)
                        machine->idle_waits = false;
                if (!is_untrue(report))
                        take_report(world, report);
        }
        cJSON_Delete(report->detail);
        free(report);
}

static void add_times(const struct machine *machine, cJSON *detail)
{
        const struct world *world = machine->world;
        int64_t start = world_wall_ms(world) - world->now_ms;
        cJSON *times = json_add_object(detail, "times");
        const cJSON *before;

        cJSON_ArrayForEach (before, json_get(machine->handover, "times")) {
                cJSON_AddItemToObject(times, before->string, cJSON_Duplicate(before, true));
        }
        json_add_integer(times, "agent", start + machine->launched_ms);
        if (machine->listening_ms)
                json_add_integer(times, "listening", start + machine->listening_ms);
        if (machine->started_ms)
                json_add_integer(times, "job_started", start + machine->started_ms);
        if (machine->finished_ms)
                json_add_integer(times, "job_finished", start + machine->finished_ms);
        if (machine->stage == MACHINE_ENDING)
                json_add_integer(times, "finished", world_wall_ms(world));
}

void machine_report(struct machine *machine, const char *stage, const char *reason)
{
        static const char *const kept[] = {"prefix", "spec", "scope", "runner_id", "job", "ticket"};
        struct report_sent *sent = mem_alloc(sizeof(*sent));
        cJSON *detail = cJSON_CreateObject();

        sent->is_idle = strcmp(stage, "idle") == 0;
        machine->idle_waits = machine->idle_waits || sent->is_idle;
        json_add_integer(detail, "version", 1);
        json_add_string(detail, "stage", stage);
        json_add_string(detail, "instance_id", machine->id);
        json_add_string(detail, "instance_type", machine->type);
        json_add_string(detail, "reason", reason);
        json_add_string(detail, "result", machine->result);
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                const cJSON *value = json_get(machine->handover, kept[i]);

                if (value)
                        cJSON_AddItemToObject(detail, kept[i], cJSON_Duplicate(value, true));
        }
        if (!json_get(detail, "prefix"))
                json_add_string(detail, "prefix", PREFIX);
        if (machine->has_deleted_parameter)
                json_add_boolean(detail, "hand_over_deleted", true);
        add_times(machine, detail);
        world_tell(machine->world, "%s reports %s %s", machine->id, stage, reason ? reason : "");
        sent->machine = machine;
        sent->detail = detail;
        sent->ends_job_start = strcmp(stage, "job_started") == 0;
        machine->reports++;
        send_report(machine->world, sent);
}

/* -- forgery -- */

/* What a machine was not launched for; so no message may say it. */
static cJSON *forged_job(struct world *world)
{
        cJSON *job = cJSON_CreateObject();

        json_add_integer(job, "id", world->jobs[world_random(world, (uint32_t)world->n_jobs)]->id);
        json_add_integer(job, "run_id", 1);
        json_add_integer(job, "attempt", 1);
        json_add_integer(job, "installation", INSTALLATION);
        json_add_integer(job, "relaunches", -1);
        json_add_string(job, "repository", REPOSITORY);
        json_add_string(job, "name", "forged");
        json_add_string(job, "url", FORGED_LINK);
        json_add_string(
                job, "instance_type", world_chance(world, 50) ? "m7i.large" : "p5.48xlarge");
        return job;
}

/* None, one that nobody signed, or the machine's own. */
static void add_some_ticket(struct machine *machine, cJSON *detail)
{
        const char *own = json_string(machine->handover, "ticket");
        int64_t kind = world_between(machine->world, 0, 2);

        if (kind == 1)
                json_add_string(detail, "ticket",
                        "1.00000000.{\"url\":\"" FORGED_LINK "\"}."
                        "0000000000000000000000000000000000000000000000000000000000000000");
        else if (kind == 2)
                json_add_string(detail, "ticket", own);
}

/* What whoever may put events in the account, or is root on a machine, can say. */
void machine_forgery(struct world *world, void *userdata)
{
        static const char *const stages[] = {
                "failed", "failed", "idle", "idle", "finished", "forged"};
        struct machine *machine = userdata;
        cJSON *detail = cJSON_CreateObject();
        cJSON *times = json_add_object(detail, "times");

        json_add_integer(detail, "version", 1);
        json_add_string(detail, "stage", stages[world_random(world, ARRAY_SIZE(stages))]);
        json_add_string(detail, "prefix", PREFIX);
        json_add_string(detail, "instance_id", machine->id);
        json_add_string(detail, "spec", "linux");
        json_add_string(detail, "scope", "repos/" REPOSITORY);
        json_add_string(detail, "reason", "forged");
        json_add_string(detail, "result", "Succeeded");
        json_add_boolean(detail, "hand_over_deleted", true);
        cJSON_AddItemToObject(detail, "job", forged_job(world));
        json_add_integer(times, "agent", 1);
        add_some_ticket(machine, detail);
        world_tell(world, "somebody forges a report of %s", machine->id);
        on_event(world, envelope(world, "scale-agent.runner", "Runner Report", detail));
}

/* -- the clock -- */

static void on_swept(struct world *world, void *userdata, const char *answer)
{
        (void)world;
        (void)userdata;
        (void)answer;
}

/* A rule of EventBridge: while that is down, it does not start. Once all is quiet, most of its
 * sweeps are left out, for the sake of the simulation's speed. */
static void on_clock(struct world *world, void *userdata)
{
        (void)userdata;
        if (!fault_is_down(world, FAULT_EVENTS))
                lambda_invoke(
                        world, "recover", "{\"detail-type\":\"Scheduled Event\"}", on_swept, NULL);
        world_after(world,
                world->now_ms < world->faults_until_ms + 2 * HOUR ? 10 * MINUTE : 3 * HOUR,
                on_clock, NULL);
}

void events_start_clock(struct world *world)
{
        world_after(world, world_between(world, 0, 10 * MINUTE), on_clock, NULL);
}
