/* SPDX-License-Identifier: MIT */

/*
 * Alongside a job's life: what EventBridge says of machines.
 *
 *      agent's report  becomes metrics; if the machine ends early, its job is given back; if no job
 *                      came to it, its runner is deregistered, upon which it ends. Without a ticket
 *                      of ours it is dropped
 *      spot warning    the machine is tagged, and people are told if it has a job
 *      machine ended   its job is given back if none started on it, or reported as lost if one was
 *                      running; the parameter and the runner's registration are removed. A job that
 *                      was lost since EC2 took the machine back is followed until it may be run
 *                      again. All that only if the agent has not reported that its job succeeded
 *                      and that it deleted its parameter
 *
 * An event for which this fails is delivered again.
 */

#include "instance.h"

#include <stdlib.h>
#include <string.h>

#include "job/breaker.h"
#include "job/ended_machines.h"
#include "job/idle_machines.h"
#include "job/job.h"
#include "job/launch_name.h"
#include "job/loss.h"
#include "machine/notifications.h"

static void machines_release(struct machines *machines)
{
        free(machines->items);
        ec2_instances_release(&machines->described);
}

/* One DescribeInstances for all machines of the batch. */
static int describe_machines(struct machines *machines, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_free_ const char **ids = mem_alloc(machines->count * sizeof(char *));
        int r;

        for (size_t i = 0; i < machines->count; i++)
                ids[i] = machines->items[i].id;
        call = scaler_call(
                machines->scaler, ec2_describe_instances(machines->aws, ids, machines->count));
        r = ec2_describe_instances_answer(call, &machines->described, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < machines->count; i++)
                for (size_t j = 0; j < machines->described.count; j++) {
                        const struct ec2_instance *instance = &machines->described.items[j];

                        if (strcmp(ids[i], instance->id) != 0)
                                continue;
                        machines->items[i].is_known = !ec2_instance_fades(instance);
                        if (launch_is_ours(machines->config, instance))
                                machines->items[i].instance = instance;
                }
        return 0;
}

/* Notes the loss for the circuit breaker of the machine's spec. */
static int note_loss(
        const struct machines *machines, const struct ec2_instance *instance, struct err *err)
{
        const char *name = ec2_instance_tag(instance, "scale-agent:spec");
        const struct config_spec *spec = name ? config_spec_by_name(machines->config, name) : NULL;

        return spec ? breaker_note_loss(machines->scaler, spec, instance->id, err) : 0;
}

static int follow(struct machines *machines, const struct ec2_instance *instance, struct err *err)
{
        _cleanup_(job_release) struct job job = {0};
        int r;

        if (!loss_job_of(instance, &job))
                return 0;
        r = loss_follow(machines->scaler, &job, instance->id, err);
        return r < 0 ? err_prefix(err, r, "instance %s", instance->id) : 0;
}

/* Follows the job also where a warning came before: the end is the only event that every lost
 * machine has. */
static int follow_loss(
        struct machines *machines, const struct ec2_instance *instance, struct err *err)
{
        return loss_is_evident(instance) ? follow(machines, instance, err) : 0;
}

static int handle_spot_warning(
        struct machines *machines, const struct machine *machine, struct err *err)
{
        const struct metric metric = {"SpotWarning", METRIC_COUNT, 1};
        const struct log_field properties[] = {LOG_TEXT("instance", machine->id)};
        int r = loss_note_warning(machines->scaler, machines->aws, machine->instance, err);

        if (r < 0)
                return r;
        scaler_emit_metrics(machines->scaler,
                ec2_instance_tag(machine->instance, "scale-agent:spec"), &metric, 1, properties, 1);
        r = note_loss(machines, machine->instance, err);
        if (r < 0)
                return r;
        if (!ec2_instance_tag(machine->instance, JOB_TAG))
                return 0; /* no job yet: nothing that people would notice is lost */
        /* The machine's end may have been handled before this warning, or be in the same batch.
         * Without the tag that has just been set it did not look like a loss, so follow the job
         * now. */
        if (!ec2_instance_lives(machine->instance))
                r = follow(machines, machine->instance, err);
        if (r < 0)
                return r;
        return tell_job_lost(machines->scaler, machine->instance,
                "EC2 takes its spot instance back",
                loss_may_rerun(machines->config, machine->instance), err);
}

/* EC2 takes an ended machine's tags away, forgets it after an hour, and an event may come later
 * than that: whether it was of this stack shows by its parameter. */
static bool is_concerned(const struct machine *machine, enum event_kind kind)
{
        return machine->kind == kind &&
               (machine->instance || (kind == EVENT_ENDED && !machine->is_known));
}

/* All machines with events of KIND together. */
static void handle_kind(struct machines *machines, enum event_kind kind,
        void (*handle)(struct scaler *scaler, struct aws *aws, struct runner_machine *items,
                size_t n_items))
{
        _cleanup_free_ struct runner_machine *items = mem_alloc(machines->count * sizeof(*items));
        _cleanup_free_ struct ec2_instance *forgotten =
                mem_alloc(machines->count * sizeof(*forgotten));
        _cleanup_free_ struct record **records = mem_alloc(machines->count * sizeof(*records));
        size_t n = 0;

        for (size_t i = 0; i < machines->count; i++) {
                const struct machine *machine = &machines->items[i];

                if (!is_concerned(machine, kind))
                        continue;
                memcpy(forgotten[n].id, machine->id, sizeof(machine->id));
                records[n] = machine->record;
                items[n].instance = machine->instance ? machine->instance : &forgotten[n];
                n++;
        }
        if (n == 0)
                return;
        handle(machines->scaler, machines->aws, items, n);
        for (size_t i = 0; i < n; i++) {
                if (items[i].result == 0 && kind == EVENT_ENDED)
                        items[i].result = follow_loss(machines, items[i].instance, &items[i].err);
                if (items[i].result < 0)
                        record_fail(machines->scaler, records[i], items[i].result, &items[i].err);
        }
}

static void handle_spot_warnings(struct machines *machines)
{
        for (size_t i = 0; i < machines->count; i++) {
                const struct machine *machine = &machines->items[i];
                struct err err;
                int r;

                if (!machine->instance || machine->kind != EVENT_SPOT_WARNING)
                        continue;
                r = batch_has_time(machines->scaler, &err);
                if (r == 0)
                        r = handle_spot_warning(machines, machine, &err);
                if (r < 0) {
                        err_prefix(&err, r, "instance %s", machine->id);
                        record_fail(machines->scaler, machine->record, r, &err);
                }
        }
}

static void handle_machines(struct machines *machines)
{
        struct err err;
        int r = scaler_aws(machines->scaler, &machines->aws, &err);

        if (r == 0)
                r = describe_machines(machines, &err);
        for (size_t i = 0; r < 0 && i < machines->count; i++)
                record_fail(machines->scaler, machines->items[i].record, r, &err);
        if (r < 0)
                return;
        handle_spot_warnings(machines);
        handle_kind(machines, EVENT_IDLE, handle_idle_machines);
        handle_kind(machines, EVENT_ENDED, handle_ended_machines);
}

void instance_handle(struct scaler *scaler, struct batch *batch)
{
        _cleanup_(machines_release) struct machines machines = {.scaler = scaler};
        struct err err;
        int r = scaler_config(scaler, &machines.config, &err);

        if (r < 0) {
                batch_fail(scaler, batch, r, &err);
                return;
        }
        machines.items = mem_alloc(batch->n_records * sizeof(struct machine));
        batch_each(scaler, batch, instance_read_record, &machines);
        if (machines.count > 0)
                handle_machines(&machines);
}
