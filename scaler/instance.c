/* SPDX-License-Identifier: MIT */

/*
 * Alongside a job's life: what EventBridge says of machines.
 *
 *      agent's report  becomes metrics; if the machine ends early, its job is given back
 *      spot warning    people are told if the machine has a job
 *      machine ended   its job is given back if its runner never listened, or reported as lost if
 *                      it was running; the parameter and the runner's registration are removed
 *
 * An event for which this fails is delivered again.
 */

#include "handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ec2.h"
#include "base/json.h"
#include "job/give_back_unstarted.h"
#include "job/handle_report.h"
#include "job/token_requests.h"
#include "machine/leftovers.h"
#include "machine/notifications.h"

enum event_kind {
        EVENT_UNKNOWN,
        EVENT_REPORT,
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
        const struct ec2_instance *instance; /* as EC2 describes it; NULL: not of this stack */
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
static int add_machine(struct machines *machines, struct record *record, enum event_kind kind,
        const cJSON *event, struct err *err)
{
        struct machine *machine = &machines->items[machines->count];
        const char *state = json_string(event, "detail.state");
        const char *id;
        int r = json_need_string(event, "detail.instance-id", &id, err);

        if (r < 0)
                return err_prefix(err, r, "EC2's event");
        if (!ec2_is_instance_id(id))
                return err_set(err, -EBADMSG, "EC2's event: \"%.40s\" is not an instance id", id);
        if (kind == EVENT_ENDED && (!state || strcmp(state, "terminated") != 0))
                return 0;
        *machine = (struct machine){.record = record, .kind = kind};
        memcpy(machine->id, id, strlen(id) + 1);
        machines->count++;
        return 0;
}

static int read_event(struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        struct machines *machines = userdata;
        _cleanup_json_ cJSON *event = NULL;
        enum event_kind kind;
        int r = json_parse(record->body, strlen(record->body), "the event", &event, err);

        if (r < 0)
                return r;
        kind = kind_of(event);
        if (kind == EVENT_REPORT)
                return handle_report(scaler, json_get(event, "detail"), err);
        if (kind != EVENT_UNKNOWN)
                return add_machine(machines, record, kind, event, err);
        return err_set(err, -EBADMSG, "unknown event: source \"%.80s\", detail-type \"%.80s\"",
                json_string(event, "source") ? json_string(event, "source") : "",
                json_string(event, "detail-type") ? json_string(event, "detail-type") : "");
}

/* Whether this stack launched the instance. */
static bool is_of_this_stack(const struct machines *machines, const struct ec2_instance *instance)
{
        const char *prefix = ec2_instance_tag(instance, "scale-agent:prefix");

        return prefix && strcmp(prefix, machines->config->prefix) == 0;
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
                for (size_t j = 0; j < machines->described.count; j++)
                        if (strcmp(ids[i], machines->described.items[j].id) == 0 &&
                                is_of_this_stack(machines, &machines->described.items[j]))
                                machines->items[i].instance = &machines->described.items[j];
        return 0;
}

/* Deregisters the runner that an ended machine left on GitHub, if there is one. */
static int deregister_runner(struct machines *machines, const struct machine *machine,
        const char *scope, int64_t installation, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *find = NULL;
        _cleanup_(http_call_freep) struct http_call *delete = NULL;
        struct github *github;
        int64_t runner_id = 0;
        int r = scaler_github(machines->scaler, &github, err);

        if (r == 0)
                r = ensure_token(machines->scaler, github, installation, err);
        if (r < 0)
                return r;
        find = scaler_call(
                machines->scaler, github_find_runner(github, installation, scope, machine->id));
        r = github_find_runner_answer(find, machine->id, &runner_id, err);
        if (r != 0)
                return r < 0 ? r : 0;
        delete = scaler_call(
                machines->scaler, github_delete_runner(github, installation, scope, runner_id));
        r = github_delete_runner_answer(delete, err);
        if (r == 0)
                log_warning(&machines->scaler->log, "deregistered a runner that its machine left",
                        LOG_TEXT("instance", machine->id), LOG_NUMBER("runner", runner_id));
        /* Busy: the machine ended during its job. GitHub fails the job and forgets the runner. */
        return r == GITHUB_RUNNER_BUSY ? tell_job_lost(machines->scaler, machine->instance,
                                                 "its machine ended", err)
                                       : r;
}

static int handle_ended(struct machines *machines, const struct machine *machine, struct err *err)
{
        const char *scope = ec2_instance_tag(machine->instance, "scale-agent:scope");
        const char *installation = ec2_instance_tag(machine->instance, "scale-agent:installation");
        int r;

        log_info(&machines->scaler->log, "machine ended", LOG_TEXT("instance", machine->id),
                LOG_TEXT("spec", ec2_instance_tag(machine->instance, "scale-agent:spec")));
        if (!scope)
                return 0;
        r = deregister_runner(
                machines, machine, scope, installation ? strtoll(installation, NULL, 10) : 0, err);
        if (r == -EKEYREJECTED)
                scaler_forget_github(machines->scaler); /* the next try reads the key again */
        return r;
}

static int handle_spot_warning(
        struct machines *machines, const struct machine *machine, struct err *err)
{
        const struct metric metric = {"SpotWarning", METRIC_COUNT, 1};
        const struct log_field properties[] = {LOG_TEXT("instance", machine->id)};

        scaler_emit_metrics(machines->scaler,
                ec2_instance_tag(machine->instance, "scale-agent:spec"), &metric, 1, properties, 1);
        if (!ec2_instance_tag(machine->instance, "scale-agent:job-url"))
                return 0; /* no job yet: nothing that people would notice is lost */
        return tell_job_lost(
                machines->scaler, machine->instance, "EC2 takes its spot instance back", err);
}

static int handle_machine(struct machines *machines, const struct machine *machine, struct err *err)
{
        int r;

        if (!machine->instance)
                return 0;
        r = machine->kind == EVENT_ENDED ? handle_ended(machines, machine, err)
                                         : handle_spot_warning(machines, machine, err);
        return r < 0 ? err_prefix(err, r, "instance %s", machine->id) : 0;
}

/* The parameters of ended machines. A machine whose runner took a job only failed to delete its
 * parameter; any other that still has one ended before its runner listened. */
static int remove_parameters(struct machines *machines, struct err *err)
{
        _cleanup_free_ const char **worked = mem_alloc(machines->count * sizeof(char *));
        _cleanup_free_ const char **idle = mem_alloc(machines->count * sizeof(char *));
        size_t n_worked = 0;
        size_t n_idle = 0;
        int r;

        for (size_t i = 0; i < machines->count; i++) {
                const struct machine *machine = &machines->items[i];

                if (!machine->instance || machine->kind != EVENT_ENDED)
                        continue;
                if (ec2_instance_tag(machine->instance, "scale-agent:job-url"))
                        worked[n_worked++] = machine->id;
                else
                        idle[n_idle++] = machine->id;
        }
        r = leftovers_delete_parameters(
                machines->scaler, machines->aws, machines->config->prefix, worked, n_worked, err);
        return r < 0 ? r
                     : give_back_unstarted(machines->scaler, machines->aws, machines->config, idle,
                               n_idle, err);
}

static void handle_machines(struct machines *machines)
{
        struct err err;
        int common = scaler_aws(machines->scaler, &machines->aws, &err);

        if (common == 0)
                common = describe_machines(machines, &err);
        if (common == 0)
                common = remove_parameters(machines, &err);
        for (size_t i = 0; i < machines->count; i++) {
                struct machine *machine = &machines->items[i];
                int r = common < 0 ? common : batch_has_time(machines->scaler, &err);

                if (r == 0)
                        r = handle_machine(machines, machine, &err);
                if (r < 0)
                        record_fail(machines->scaler, machine->record, r, &err);
        }
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
        batch_each(scaler, batch, read_event, &machines);
        if (machines.count > 0)
                handle_machines(&machines);
}
