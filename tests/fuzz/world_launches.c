/* SPDX-License-Identifier: MIT */

/*
 * Launches: of what was asked for, or of less, and refusals.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* -- refusals -- */

struct refusal {
        const char *code;
        int status;
};

/* https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
static const struct refusal refusals[] = {
        {"InsufficientInstanceCapacity", 500},
        {"VcpuLimitExceeded", 400},
        {"MaxSpotInstanceCountExceeded", 400},
        {"RequestLimitExceeded", 503},
        {"UnauthorizedOperation", 403},
        {"InvalidSubnetID.NotFound", 400},
        {"UnsupportedOperation", 400},
        {"InsufficientFreeAddressesInSubnet", 400},
        {"IdempotentParameterMismatch", 400},
        {"IdempotentInstanceTerminated", 400},
        {"InternalError", 500},
        {"Unavailable", 503},
        {"SomethingNew", 400},
        {"InvalidInstanceID.NotFound", 400},
        {"Unsupported", 400},
        {"UnfulfillableCapacity", 400},
        {"InvalidParameterValue", 400},
};

static const struct refusal *choose_refusal(void)
{
        if (world.habits.launches > 0 && world_choose(8) != 1)
                return &WORLD_HABIT(world.habits.launches, refusals);
        return &world_one_of(refusals);
}

/* Whether this launch is refused: it is this that fails most often. */
static bool is_refused(void)
{
        return world.habits.launches > 0 ? world_choose(8) != 1 : world_choose(4) == 1;
}

/* Whether the refusal of a fleet is of the whole of it, and not of single pools. */
static bool is_of_whole(void)
{
        size_t which = world.habits.launches / ARRAY_SIZE(refusals);

        return (which + world_choose(2)) % 2 == 1;
}

void world_refuse_ec2(struct http_call *call)
{
        static const char *const messages[] = {"m7i.large is not offered in this region", "no",
                "The requested types m7i.large,m7a.large are not supported here."};
        const struct refusal *refusal = choose_refusal();
        _cleanup_free_ char *text = mem_format(
                "<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors>"
                "</Response>",
                refusal->code, world_one_of(messages));

        world_text(call, refusal->status, text);
}

/* -- what is asked for -- */

/* The value of the tag KEY among those that a launch gives to instances. */
static char *launch_tag(const char *form, const char *key)
{
        for (int i = 1; i < 60; i++) {
                _cleanup_free_ char *name =
                        world_form_item(form, "TagSpecification.1.Tag", i, ".Key");

                if (!name)
                        name = world_form_item(form, "TagSpecification.2.Tag", i, ".Key");
                if (!name)
                        return NULL;
                if (strcmp(name, key) != 0)
                        continue;
                char *value = world_form_item(form, "TagSpecification.1.Tag", i, ".Value");

                return value ? value : world_form_item(form, "TagSpecification.2.Tag", i, ".Value");
        }
        return NULL;
}

/* -- what launches are -- */

/* A launch is for jobs of the batch: not for one that GitHub said is a fork's, nor, where it is
 * not fresh, for one that does not wait; but EC2 may know of a machine that has it before GitHub
 * says so. */
static void check_names(const char *names)
{
        const char *at = names ? strchr(names, '/') : NULL;

        CHECK(at && at[1]);
        for (; at && at[1]; at = strchr(at + 1, '/')) {
                int id = 0;

                CHECK(sscanf(at, "/%d-", &id) == 1 && id >= 1 && id <= WORLD_JOBS);
                CHECK(!world.jobs[id].is_over || !world.jobs[id].is_asked_for ||
                        world.jobs[id].is_waiting);
                CHECK(!world.jobs[id].is_fork || !world.jobs[id].refuses_forks);
        }
}

static void check_type(const char *type)
{
        CHECK(type && (strncmp(type, "m7i.", 4) == 0 || strncmp(type, "m7a.", 4) == 0));
}

static void check_subnet(const char *subnet)
{
        CHECK(subnet &&
                (strcmp(subnet, "subnet-0000000a") == 0 || strcmp(subnet, "subnet-0000000b") == 0));
}

/* -- launches -- */

/* How many of COUNT: all of them, or fewer. */
static unsigned launched_of(unsigned count)
{
        unsigned fewer = world_choose(4) == 1 ? 1 + world_choose(4) : 0;

        return fewer < count ? count - fewer : 1;
}

static unsigned number_in(const char *form, const char *name)
{
        _cleanup_free_ char *value = world_form_value(form, name);

        return value ? (unsigned)strtoul(value, NULL, 10) : 0;
}

/* What is launched may end at once. */
static const char *choose_state(void)
{
        return world_choose(16) == 1 ? "terminated" : "pending";
}

static void launch_one(const char *type, const char *names, unsigned index)
{
        struct world_machine *machine = world_new_machine();
        const char *state = choose_state();

        if (!machine)
                return;
        machine->is_made = true;
        machine->index = index;
        machine->event = world.event;
        machine->was_dead = strcmp(state, "terminated") == 0;
        if (machine->was_dead)
                snprintf(machine->state, sizeof(machine->state), "%s", state);
        snprintf(machine->type, sizeof(machine->type), "%s", type);
        snprintf(machine->launches, sizeof(machine->launches), "%s", names);
}

/* The launch of that token, if it was made before. */
static const struct world_token *known_token(const char *token)
{
        for (size_t i = 0; i < world.n_tokens && i < WORLD_TOKENS; i++)
                if (strcmp(world.tokens[i].token, token) == 0)
                        return &world.tokens[i];
        return NULL;
}

/* Launches COUNT machines, or fewer. */
static const struct world_token *launch_all(
        const char *token, unsigned count, const char *type, const char *names)
{
        struct world_token *launched = &world.tokens[world.n_tokens++ % WORLD_TOKENS];

        *launched = (struct world_token){.first = world.n_machines};
        snprintf(launched->token, sizeof(launched->token), "%s", token);
        for (unsigned i = 0; i < count; i++)
                launch_one(type, names, i);
        launched->n = world.n_machines - launched->first;
        return launched;
}

static void add_launched(struct buf *xml, struct world_machine *machine)
{
        machine->is_launched = true;
        buf_add_format(xml,
                "<item><instanceId>%s</instanceId><instanceType>%s</instanceType>"
                "<instanceState><name>%s</name></instanceState>"
                "<amiLaunchIndex>%u</amiLaunchIndex></item>",
                machine->id, machine->type,
                machine->state[0]              ? machine->state
                : machine->event < world.event ? "running"
                                               : "pending",
                machine->index);
}

void world_run_instances(struct http_call *call, const char *form)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);
        _cleanup_free_ char *type = world_form_value(form, "InstanceType");
        _cleanup_free_ char *subnet = world_form_value(form, "SubnetId");
        _cleanup_free_ char *names = launch_tag(form, "scale-agent:launches");
        _cleanup_free_ char *token = world_form_value(form, "ClientToken");
        unsigned count = number_in(form, "MaxCount");
        const struct world_token *launched;

        check_type(type);
        check_subnet(subnet);
        check_names(names);
        CHECK(count >= 1 && count <= WORLD_JOBS);
        launched = known_token(token);
        if (!launched && is_refused()) {
                world_refuse_ec2(call);
                return;
        }
        if (!launched)
                launched = launch_all(token, launched_of(count), type, names);
        buf_add_string(
                &xml, "<RunInstancesResponse><ownerId>" WORLD_ACCOUNT "</ownerId><instancesSet>");
        for (size_t i = 0; i < launched->n; i++)
                add_launched(&xml, &world.machines[launched->first + i]);
        buf_add_string(&xml, "</instancesSet></RunInstancesResponse>");
        world_text(call, 200, buf_string(&xml));
}

/* -- fleets -- */

static const char overrides[] = "LaunchTemplateConfigs.1.Overrides";

/* How many pools FORM names, all of the spec's types and subnets. */
static unsigned check_pools(const char *form)
{
        for (int i = 1;; i++) {
                _cleanup_free_ char *type = world_form_item(form, overrides, i, ".InstanceType");
                _cleanup_free_ char *subnet = world_form_item(form, overrides, i, ".SubnetId");

                if (!type)
                        return (unsigned)i - 1;
                check_type(type);
                check_subnet(subnet);
        }
}

/* What was not launched in one of the N_POOLS. */
static void add_fleet_error(struct buf *xml, const char *form, unsigned n_pools)
{
        int pool = 1 + (int)world_choose(n_pools);
        _cleanup_free_ char *type = world_form_item(form, overrides, pool, ".InstanceType");
        _cleanup_free_ char *subnet = world_form_item(form, overrides, pool, ".SubnetId");

        buf_add_format(xml,
                "<item><errorCode>%s</errorCode><errorMessage>no</errorMessage>"
                "<launchTemplateAndOverrides><overrides><instanceType>%s</instanceType>"
                "<subnetId>%s</subnetId></overrides></launchTemplateAndOverrides></item>",
                choose_refusal()->code, world_choose(8) == 1 ? "" : type,
                world_choose(8) == 1 ? "" : subnet);
}

static void add_fleet_instances(
        struct buf *xml, const struct world_token *launched, const char *type)
{
        buf_add_format(xml,
                "<fleetInstanceSet><item><instanceType>%s</instanceType><lifecycle>spot"
                "</lifecycle><instanceIds>",
                type);
        for (size_t i = 0; i < launched->n; i++) {
                struct world_machine *machine = &world.machines[launched->first + i];

                machine->is_launched = true;
                buf_add_format(xml, "<item>%s</item>", machine->id);
        }
        buf_add_string(xml, "</instanceIds></item></fleetInstanceSet>");
}

void world_create_fleet(struct http_call *call, const char *form)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);
        _cleanup_free_ char *names = launch_tag(form, "scale-agent:launches");
        _cleanup_free_ char *type = world_form_item(form, overrides, 1, ".InstanceType");
        unsigned count = number_in(form, "TargetCapacitySpecification.TotalTargetCapacity");
        _cleanup_free_ char *token = world_form_value(form, "ClientToken");
        const struct world_token *launched = known_token(token);
        unsigned n_pools = check_pools(form);
        bool fails = !launched && is_refused();

        check_names(names);
        CHECK(count >= 1 && count <= WORLD_JOBS && n_pools > 0);
        if (fails && is_of_whole()) {
                world_refuse_ec2(call);
                return;
        }
        buf_add_string(&xml, "<CreateFleetResponse><fleetId>fleet-1</fleetId><errorSet>");
        for (unsigned n = fails ? 1 + world_choose(4) : 0; n > 0; n--)
                add_fleet_error(&xml, form, n_pools);
        buf_add_string(&xml, "</errorSet>");
        if (!launched)
                launched = launch_all(
                        token, fails && world_choose(4) != 1 ? 0 : launched_of(count), type, names);
        add_fleet_instances(&xml, launched, type);
        buf_add_string(&xml, "</CreateFleetResponse>");
        world_text(call, 200, buf_string(&xml));
}
