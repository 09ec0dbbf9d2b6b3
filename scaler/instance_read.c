/* SPDX-License-Identifier: MIT */

/*
 * Reads the events of a batch. Reports are handled here; what needs a look at its machine is noted
 * for instance.c.
 */

#include "instance.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "exchange/report.h"
#include "job/handle_report.h"
#include "job/idle_machines.h"

static const struct {
        const char *source;
        const char *detail_type;
        enum event_kind kind;
} event_kinds[] = {
        {REPORT_SOURCE, REPORT_DETAIL_TYPE, EVENT_REPORT},
        {"aws.ec2", "EC2 Instance State-change Notification", EVENT_ENDED},
        {"aws.ec2", "EC2 Spot Instance Interruption Warning", EVENT_SPOT_WARNING},
};

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

int instance_read_record(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        int r = read_event(userdata, record, err);

        (void)scaler;
        record->final = r == -EBADMSG; /* it will not be readable later either */
        return r;
}
