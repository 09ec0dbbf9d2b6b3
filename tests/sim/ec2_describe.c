/* SPDX-License-Identifier: MIT */

/*
 * Amazon EC2: how it describes instances. New ones are shown late.
 */

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

/* -- an instance -- */

static const char *state_of(const struct machine *machine)
{
        const struct world *world = machine->world;

        if (machine->stage == MACHINE_ENDED)
                return world->now_ms < machine->ended_ms ? "shutting-down" : "terminated";
        return world->now_ms < machine->launched_ms + 5 * SECOND ? "pending" : "running";
}

bool ec2_is_shown(const struct machine *machine)
{
        const struct world *world = machine->world;

        return world->now_ms >= machine->visible_ms &&
               (machine->stage != MACHINE_ENDED ||
                       world->now_ms < machine->ended_ms + EC2_SHOWN_MS);
}

bool ec2_is_faded(const struct machine *machine)
{
        return machine->stage == MACHINE_ENDED &&
               machine->world->now_ms > machine->ended_ms + machine->launched_ms % (20 * MINUTE);
}

static const char *tag_of(const struct machine *machine, const char *key)
{
        return ec2_is_faded(machine) ? NULL : machine_tag(machine, key);
}

void ec2_add_instance(struct buf *xml, const struct machine *machine)
{
        char launched[CLOCK_TEXT_SIZE];

        buf_add_format(xml,
                "<item><launchTime>%s</launchTime><instanceId>%s</instanceId><instanceType>%s</"
                "instanceType>"
                "<amiLaunchIndex>%u</amiLaunchIndex><clientToken>%s</clientToken>"
                "<instanceState><name>%s</name></instanceState>",
                clock_format(world_wall_ms(machine->world) - machine->world->now_ms +
                                     machine->launched_ms,
                        launched),
                machine->id, machine->type, machine->index, machine->token, state_of(machine));
        if (machine->spot)
                buf_add_string(xml, "<instanceLifecycle>spot</instanceLifecycle>");
        if (machine->stage == MACHINE_ENDED)
                buf_add_format(xml, "<stateReason><code>%s</code></stateReason>", machine->why);
        buf_add_string(xml,
                "<placement><availabilityZone>" REGION "a</availabilityZone></placement>"
                "<tagSet>");
        for (size_t i = 0; i < machine->n_tags && !ec2_is_faded(machine); i++)
                buf_add_format(xml, "<item><key>%s</key><value>%s</value></item>",
                        machine->tags[i].key, machine->tags[i].value);
        buf_add_string(xml, "</tagSet></item>");
}

/* -- DescribeInstances -- */

/* What a filter of that name looks at; NULL: the instance has no such thing. */
static const char *filtered(const struct machine *machine, const char *name)
{
        if (strcmp(name, "instance-id") == 0)
                return machine->id;
        if (strcmp(name, "client-token") == 0)
                return machine->token;
        if (strcmp(name, "instance-state-name") == 0)
                return state_of(machine);
        return strncmp(name, "tag:", 4) == 0 ? tag_of(machine, name + 4) : NULL;
}

static bool passes_filter(const struct machine *machine, const char *form, int number)
{
        _cleanup_free_ char *name = form_item(form, "Filter", number, "Name");
        const char *found = filtered(machine, name);
        char values[32];

        snprintf(values, sizeof(values), "Filter.%d.Value", number);
        for (int i = 1; found; i++) {
                _cleanup_free_ char *value = form_item(form, values, i, NULL);

                if (!value)
                        return false;
                if (fnmatch(value, found, 0) == 0)
                        return true;
        }
        return false;
}

static bool is_named(const struct machine *machine, const char *form)
{
        for (int i = 1;; i++) {
                _cleanup_free_ char *id = form_item(form, "InstanceId", i, NULL);

                if (!id)
                        return i == 1; /* none was named */
                if (strcmp(id, machine->id) == 0)
                        return true;
        }
}

static bool is_asked_for(const struct machine *machine, const char *form)
{
        for (int i = 1;; i++) {
                _cleanup_free_ char *name = form_item(form, "Filter", i, "Name");

                if (!name)
                        return is_named(machine, form);
                if (!passes_filter(machine, form, i))
                        return false;
        }
}

void ec2_serve_describe(struct world *world, const char *form, struct answer *answer)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(EC2_XML_MAX);

        buf_add_string(&xml, "<DescribeInstancesResponse><reservationSet>");
        for (size_t i = 0; i < world->n_machines; i++) {
                if (!ec2_is_shown(world->machines[i]) || !is_asked_for(world->machines[i], form))
                        continue;
                buf_add_string(&xml, "<item><ownerId>" ACCOUNT "</ownerId><instancesSet>");
                ec2_add_instance(&xml, world->machines[i]);
                buf_add_string(&xml, "</instancesSet></item>");
        }
        buf_add_string(&xml, "</reservationSet></DescribeInstancesResponse>");
        answer_text(answer, 200, buf_string(&xml));
}
