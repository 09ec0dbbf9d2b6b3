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

#include "handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ec2.h"
#include "base/json.h"
#include "job/breaker.h"
#include "job/ended_machines.h"
#include "job/handle_report.h"
#include "job/idle_machines.h"
#include "job/job.h"
#include "job/launch_name.h"
#include "job/loss.h"
#include "machine/notifications.h"

enum event_kind {
        EVENT_UNKNOWN,
        EVENT_REPORT,
        EVENT_IDLE, /* a report, too */
        EVENT_ENDED,
        EVENT_SPOT_WARNING,
};

static const struct {
        const char *source;
        const char *detail_type;
        enum event_kind kind;
} event_kinds[] = {
        {REPORT_SOURCE, REPORT_DETAIL_TYPE, EVENT_REPORT},
        {"aws.ec2", "EC2 Instance State-change Notification", EVENT_ENDED},
        {"aws.ec2", "EC2 Spot Instance Interruption Warning", EVENT_SPOT_WARNING},
};

struct machine {
        struct record *record;
        enum event_kind kind;
        char id[EC2_ID_SIZE];
        const struct ec2_instance *instance; /* as EC2 describes it; NULL: not of this stack, or
                                                forgotten */
        bool is_known;                       /* EC2 describes it, with its tags */
};

/* The machines that the events of one batch are about. */
struct machines {
        struct scaler *scaler;
        const struct config *config;
        struct aws *aws;
        struct machine *items;
        size_t count;
        struct ec2_instances described;
};

static void machines_release(struct machines *machines)
{
        free(machines->items);
        ec2_instances_release(&machines->described);
}

static enum event_kind kind_of(const cJSON *event)
{
        const char *source = json_string(event, "source");
        const char *detail_type = json_string(event, "detail-type");

        for (size_t i = 0; source && detail_type && i < ARRAY_SIZE(event_kinds); i++)
                if (strcmp(source, event_kinds[i].source) == 0 &&
                        strcmp(detail_type, event_kinds[i].detail_type) == 0)
                        return event_kinds[i].kind;
        return EVENT_UNKNOWN;
}

/* Adds a machine to be looked at: EC2's events come for every instance of the account, and only the
 * tags say which are of this stack. */
static void add_machine(
        struct machines *machines, struct record *record, enum event_kind kind, const char *id)
{
        struct machine *machine = &machines->items[machines->count++];

        *machine = (struct machine){.record = record, .kind = kind};
        memcpy(machine->id, id, strlen(id) + 1);
}

/* EC2 is not asked for a machine that told itself that it would leave nothing. */
static bool needs_nothing(const struct machines *machines, enum event_kind kind, const char *id)
{
        if (kind != EVENT_ENDED || !report_was_clean(machines->scaler, id))
                return false;
        log_info(&machines->scaler->log, "machine ended, and left nothing",
                LOG_TEXT("instance", id));
        return true;
}

static int read_ec2_event(struct machines *machines, struct record *record, enum event_kind kind,
        const cJSON *event, struct err *err)
{
        const char *state = json_string(event, "detail.state");
        const char *id;
        int r = json_need_string(event, "detail.instance-id", &id, err);

        if (r < 0)
                return err_prefix(err, r, "EC2's event");
        if (!ec2_is_instance_id(id))
                return err_set(err, -EBADMSG, "EC2's event: \"%.40s\" is not an instance id", id);
        if ((kind != EVENT_ENDED || (state && strcmp(state, "terminated") == 0)) &&
                !needs_nothing(machines, kind, id))
                add_machine(machines, record, kind, id);
        return 0;
}

/* The agent reports again, if this is still true. */
static bool is_old(const struct scaler *scaler, const cJSON *event)
{
        const char *time = json_string(event, "time");
        int64_t ms;

        return time && clock_parse(time, &ms) == 0 &&
               clock_wall_ms(scaler->clock) - ms > IDLE_REPORT_VALID_MS;
}

static int read_report(
        struct machines *machines, struct record *record, const cJSON *event, struct err *err)
{
        char id[EC2_ID_SIZE];
        int r = handle_report(machines->scaler, event, id, err);

        if (r != REPORT_OF_IDLE)
                return r;
        if (!is_old(machines->scaler, event))
                add_machine(machines, record, EVENT_IDLE, id);
        return 0;
}

static int read_event(struct machines *machines, struct record *record, struct err *err)
{
        _cleanup_json_ cJSON *event = NULL;
        enum event_kind kind;
        int r = json_parse(record->body, strlen(record->body), "the event", &event, err);

        if (r < 0)
                return r;
        kind = kind_of(event);
        if (kind == EVENT_REPORT)
                return read_report(machines, record, event, err);
        if (kind != EVENT_UNKNOWN)
                return read_ec2_event(machines, record, kind, event, err);
        return err_set(err, -EBADMSG, "unknown event: source \"%.80s\", detail-type \"%.80s\"",
                json_string(event, "source") ? json_string(event, "source") : "",
                json_string(event, "detail-type") ? json_string(event, "detail-type") : "");
}

/* An event that cannot be read will not be readable later. */
static int handle_record(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        int r = read_event(userdata, record, err);

        (void)scaler;
        record->final = r == -EBADMSG;
        return r;
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

/* Of the spec's circuit breaker. */
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

/* Whatever came of its warning: the end is the one event that every lost machine has. */
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
        /* Its end may have been handled already, or be in the same batch: without the tag that has
         * just been set, it may have looked like any other. */
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
        batch_each(scaler, batch, handle_record, &machines);
        if (machines.count > 0)
                handle_machines(&machines);
}
