/* SPDX-License-Identifier: MIT */

/*
 * Fleets of type instant, in each seventh world: EC2 tries the pools by their priorities, in some
 * worlds three of them at most, and says where it could not launch, and why.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define XML_MAX (1024UL * 1024)
#define OVERRIDES "LaunchTemplateConfigs.1.Overrides"
#define FEW 3

/* What EC2 answered to a token that launched nothing; it gives the same answer again. */
struct empty_fleet {
        char *token;
        char *form;
        char *errors;
};

void fleets_release(struct world *world)
{
        for (size_t i = 0; i < world->n_empty_fleets; i++) {
                free(world->empty_fleets[i].token);
                free(world->empty_fleets[i].form);
                free(world->empty_fleets[i].errors);
        }
        free(world->empty_fleets);
}

static const struct empty_fleet *find_empty(const struct world *world, const char *token)
{
        for (size_t i = 0; i < world->n_empty_fleets; i++)
                if (strcmp(world->empty_fleets[i].token, token) == 0)
                        return &world->empty_fleets[i];
        return NULL;
}

static void note_empty(
        struct world *world, const char *token, const char *form, const struct buf *errors)
{
        world->empty_fleets = mem_resize(
                world->empty_fleets, world->n_empty_fleets + 1, sizeof(*world->empty_fleets));
        world->empty_fleets[world->n_empty_fleets++] = (struct empty_fleet){
                mem_string(token), mem_string(form), mem_string(buf_string(errors))};
}

bool fleet_is_on(const struct world *world)
{
        return world->drought ? drought_is_of_fleets(world)
                              : !world->is_burst && world->seed % 7 == 3;
}

static bool tries_few(const struct world *world)
{
        return world->drought ? drought_tries_few(world) : world->seed % 2 == 0;
}

static const struct machine *first_of(const struct world *world, const char *token)
{
        for (size_t i = 0; i < world->n_machines; i++)
                if (strcmp(world->machines[i]->fleet, token) == 0)
                        return world->machines[i];
        return NULL;
}

static void add_where(struct buf *xml, const char *type, const char *subnet)
{
        buf_add_format(xml,
                "<launchTemplateAndOverrides><overrides><instanceType>%s</instanceType><subnetId>"
                "%s</subnetId></overrides></launchTemplateAndOverrides>",
                type, subnet);
}

static void answer_fleet(
        const struct world *world, const char *token, struct buf *errors, struct answer *answer)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(XML_MAX);

        buf_add_format(&xml,
                "<CreateFleetResponse><fleetId>fleet-1</fleetId><errorSet>%s</errorSet>"
                "<fleetInstanceSet>",
                buf_string(errors));
        for (size_t i = world->n_machines; i-- > 0;) { /* in no order that means something */
                const struct machine *machine = world->machines[i];

                if (strcmp(machine->fleet, token) != 0)
                        continue;
                buf_add_string(&xml, "<item>");
                add_where(&xml, machine->type, machine->subnet);
                buf_add_format(&xml,
                        "<lifecycle>%s</lifecycle><instanceIds><item>%s</item></instanceIds>"
                        "<instanceType>%s</instanceType></item>",
                        machine->spot ? "spot" : "on-demand", machine->id, machine->type);
        }
        buf_add_string(&xml, "</fleetInstanceSet></CreateFleetResponse>");
        answer_text(answer, 200, buf_string(&xml));
}

/* Mostly there is no capacity. */
static const char *why_not(struct world *world)
{
        static const char *const others[] = {"UnfulfillableCapacity", "InvalidFleetConfiguration",
                "InsufficientFreeAddressesInSubnet", "UnsupportedOperation",
                "MaxSpotInstanceCountExceeded", "RequestLimitExceeded", "InternalError"};

        if (world->drought || !world_chance(world, 20))
                return "InsufficientInstanceCapacity";
        return others[world_random(world, ARRAY_SIZE(others))];
}

/* Launches up to MISSING machines in one pool; returns how many are still missing. */
static unsigned launch_in(struct world *world, const char *form, const char *token, int number,
        bool spot, unsigned missing, struct buf *errors)
{
        _cleanup_free_ char *type = form_item(form, OVERRIDES, number, "InstanceType");
        _cleanup_free_ char *subnet = form_item(form, OVERRIDES, number, "SubnetId");
        unsigned count = ec2_capacity(world, type, subnet, spot);

        if (count > missing)
                count = missing;
        for (unsigned i = 0; i < count; i++) {
                struct machine *machine =
                        ec2_launch(world, form, type, subnet, "TagSpecification.2.", spot, i);

                snprintf(machine->fleet, sizeof(machine->fleet), "%s", token);
        }
        if (count == missing)
                return 0;
        buf_add_string(errors, "<item>");
        add_where(errors, type, subnet);
        buf_add_format(errors, "<errorCode>%s</errorCode></item>", why_not(world));
        return missing - count;
}

static bool has_pool(const char *form, int number)
{
        _cleanup_free_ char *type = form_item(form, OVERRIDES, number, "InstanceType");

        return type;
}

void fleet_create(struct world *world, const char *form, struct answer *answer)
{
        _cleanup_free_ char *token = form_value(form, "ClientToken");
        _cleanup_free_ char *most =
                form_value(form, "TargetCapacitySpecification.TotalTargetCapacity");
        _cleanup_buf_ struct buf errors = BUF_INIT(XML_MAX);
        bool spot = strstr(form, "CapacityType=spot") != NULL;
        const struct machine *first = token ? first_of(world, token) : NULL;
        const struct empty_fleet *empty = token ? find_empty(world, token) : NULL;
        size_t n_before = world->n_machines;
        unsigned missing;

        if (!token || !most) {
                answer_ec2_error(answer, 400, "MissingParameter");
                return;
        }
        if ((first && strcmp(first->form, form) != 0) ||
                (empty && strcmp(empty->form, form) != 0)) {
                answer_ec2_error(answer, 400, "IdempotentParameterMismatch");
                return;
        }
        missing = first || empty ? 0 : (unsigned)atoi(most);
        if (empty)
                buf_add_string(&errors, empty->errors);
        for (int i = 1; missing > 0 && has_pool(form, i); i++)
                if (!tries_few(world) || i <= FEW)
                        missing = launch_in(world, form, token, i, spot, missing, &errors);
        if (missing > 0) /* an error of no pool */
                buf_add_string(
                        &errors, "<item><errorCode>UnfulfillableCapacity</errorCode></item>");
        if (!first && !empty && world->n_machines == n_before)
                note_empty(world, token, form, &errors);
        for (size_t i = n_before; i < world->n_machines; i++)
                if (strcmp(world->machines[i]->fleet, token) == 0)
                        invariant_name(world->machines[i]);
        answer_fleet(world, token, &errors, answer);
}

/* In some worlds both subnets are in one zone. */
void fleet_describe_subnets(struct world *world, const char *form, struct answer *answer)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(XML_MAX);

        buf_add_string(&xml, "<DescribeSubnetsResponse><subnetSet>");
        for (int i = 1;; i++) {
                _cleanup_free_ char *id = form_item(form, "Filter.1.Value", i, NULL);

                if (!id)
                        break;
                buf_add_format(&xml,
                        "<item><subnetId>%s</subnetId><availabilityZone>" REGION
                        "%c</availabilityZone></item>",
                        id, world->seed % 3 ? id[strlen(id) - 1] : 'a');
        }
        buf_add_string(&xml, "</subnetSet></DescribeSubnetsResponse>");
        answer_text(answer, 200, buf_string(&xml));
}
