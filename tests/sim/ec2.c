/* SPDX-License-Identifier: MIT */

/*
 * Amazon EC2: launches (idempotent by client token), ends and tags.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* -- RunInstances -- */

static void answer_launch(struct world *world, const char *token, struct answer *answer)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(EC2_XML_MAX);

        buf_add_string(&xml, "<RunInstancesResponse><ownerId>" ACCOUNT "</ownerId><instancesSet>");
        for (size_t i = 0; i < world->n_machines; i++)
                if (strcmp(world->machines[i]->token, token) == 0)
                        ec2_add_instance(&xml, world->machines[i]);
        buf_add_string(&xml, "</instancesSet></RunInstancesResponse>");
        answer_text(answer, 200, buf_string(&xml));
}

static void set_tag(struct machine *machine, char *key, char *value)
{
        for (size_t i = 0; i < machine->n_tags; i++) {
                if (strcmp(machine->tags[i].key, key) == 0) {
                        free(key);
                        free(machine->tags[i].value);
                        machine->tags[i].value = value;
                        return;
                }
        }
        machine->tags = mem_resize(machine->tags, machine->n_tags + 1, sizeof(*machine->tags));
        machine->tags[machine->n_tags++] = (struct tag){key, value};
}

static void add_tags(struct machine *machine, const char *form, const char *prefix)
{
        for (int i = 1;; i++) {
                char key_name[64];
                char value_name[64];
                char *key;
                char *value;

                snprintf(key_name, sizeof(key_name), "%sTag.%d.Key", prefix, i);
                snprintf(value_name, sizeof(value_name), "%sTag.%d.Value", prefix, i);
                key = form_value(form, key_name);
                if (!key)
                        return;
                value = form_value(form, value_name);
                set_tag(machine, key, value ? value : mem_string(""));
        }
}

/* Capacity comes in waves: each offer has a few instances in each quarter of an hour. */
unsigned ec2_capacity(struct world *world, const char *type, const char *subnet, bool spot)
{
        uint32_t mix =
                (uint32_t)world->seed + (uint32_t)(world->now_ms / (10 * MINUTE)) * 31 + spot;

        if (world->drought)
                return drought_has_capacity(world, type) ? 1000 : 0;
        if (!fault_is_on(world, FAULT_CAPACITY) || world->now_ms > world->faults_until_ms)
                return 1000;
        for (const char *at = type; *at; at++)
                mix = mix * 33 + (unsigned char)*at;
        for (const char *at = subnet; *at; at++)
                mix = mix * 33 + (unsigned char)*at;
        mix ^= mix >> 13;
        mix *= 0x5bd1e995;
        mix ^= mix >> 15;
        if (mix % 100 < 60) {
                (void)fault_strikes(world, FAULT_CAPACITY, 100);
                return 0;
        }
        return 1 + mix % 4;
}

static const struct machine *first_of_token(const struct world *world, const char *token)
{
        for (size_t i = 0; *token && i < world->n_machines; i++)
                if (strcmp(world->machines[i]->token, token) == 0)
                        return world->machines[i];
        return NULL;
}

/* A token that was used before: its instances, whatever became of them. */
static void launch_again(
        struct world *world, const struct machine *first, const char *form, struct answer *answer)
{
        if (strcmp(first->form, form) != 0)
                answer_ec2_error(answer, 400, "IdempotentParameterMismatch");
        else if (first->stage == MACHINE_ENDED && world->now_ms > first->ended_ms + EC2_SHOWN_MS)
                answer_ec2_error(answer, 400, "IdempotentInstanceTerminated");
        else
                answer_launch(world, first->token, answer);
}

struct machine *ec2_launch(struct world *world, const char *form, const char *type,
        const char *subnet, const char *tags, bool spot, unsigned index)
{
        struct machine *machine = machine_new(world);
        int64_t late = fault_strikes(world, FAULT_LATE, 30) ? world_between(world, 0, MINUTE) : 0;

        snprintf(machine->type, sizeof(machine->type), "%s", type);
        snprintf(machine->subnet, sizeof(machine->subnet), "%s", subnet);
        machine->form = mem_string(form);
        machine->spot = spot;
        machine->index = index;
        machine->visible_ms = world->now_ms + late;
        add_tags(machine, form, tags);
        world->ran_instances++;
        world->ran_ms = world->now_ms;
        world_tell(world, "EC2: %s, %s in %s, %s, launches %s", machine->id, machine->type,
                machine->subnet, spot ? "spot" : "on demand",
                machine_tag(machine, "scale-agent:launches"));
        invariant_launch(world, machine->type);
        invariant_limits(world);
        machine_launched(machine);
        return machine;
}

static void run_instances(struct world *world, const char *form, struct answer *answer)
{
        _cleanup_free_ char *token = form_value(form, "ClientToken");
        _cleanup_free_ char *most = form_value(form, "MaxCount");
        _cleanup_free_ char *least = form_value(form, "MinCount");
        _cleanup_free_ char *type = form_value(form, "InstanceType");
        _cleanup_free_ char *subnet = form_value(form, "SubnetId");
        bool spot = strstr(form, "MarketType=spot") != NULL;
        const struct machine *first = token ? first_of_token(world, token) : NULL;
        unsigned count;

        if (!token || !most || !least || !type || !subnet) {
                answer_ec2_error(answer, 400, "MissingParameter");
                return;
        }
        if (first) {
                launch_again(world, first, form, answer);
                return;
        }
        count = ec2_capacity(world, type, subnet, spot);
        if (count > (unsigned)atoi(most))
                count = (unsigned)atoi(most);
        if (count == 0 || count < (unsigned)atoi(least)) {
                answer_ec2_error(answer, 500, "InsufficientInstanceCapacity");
                return;
        }
        for (unsigned i = 0; i < count; i++) {
                struct machine *machine =
                        ec2_launch(world, form, type, subnet, "TagSpecification.1.", spot, i);

                snprintf(machine->token, sizeof(machine->token), "%s", token);
                invariant_name(machine);
        }
        answer_launch(world, token, answer);
}

/* -- the others -- */

/* Whether the call on MACHINE (NULL: of an id that never was) is refused; the answer is then
 * filled. */
static bool is_refused(const struct machine *machine, struct answer *answer)
{
        if (machine && (ec2_is_faded(machine) ||
                               (machine->stage == MACHINE_ENDED && !ec2_is_shown(machine))))
                answer_ec2_error(answer, 403, "UnauthorizedOperation");
        else if (!machine || !ec2_is_shown(machine))
                answer_ec2_error(answer, 400, "InvalidInstanceID.NotFound");
        else
                return false;
        return true;
}

static void terminate_instances(struct world *world, const char *form, struct answer *answer)
{
        for (int i = 1;; i++) {
                _cleanup_free_ char *id = form_item(form, "InstanceId", i, NULL);
                const struct machine *machine = id ? machine_find(world, id) : NULL;

                if (!id)
                        break;
                if (is_refused(machine, answer))
                        return;
        }
        for (int i = 1;; i++) {
                _cleanup_free_ char *id = form_item(form, "InstanceId", i, NULL);

                if (!id)
                        break;
                invariant_end(machine_find(world, id), "TerminateInstances");
                machine_end(machine_find(world, id), "Client.UserInitiatedShutdown");
        }
        answer_text(answer, 200,
                "<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>");
}

static void create_tags(struct world *world, const char *form, struct answer *answer)
{
        _cleanup_free_ char *id = form_value(form, "ResourceId.1");
        struct machine *machine = id ? machine_find(world, id) : NULL;

        if (is_refused(machine, answer))
                return;
        add_tags(machine, form, "");
        answer_text(answer, 200, "<CreateTagsResponse><return>true</return></CreateTagsResponse>");
}

void ec2_serve(struct world *world, const char *form, struct answer *answer)
{
        static const struct {
                const char *action;
                void (*serve)(struct world *world, const char *form, struct answer *answer);
        } actions[] = {
                {"RunInstances", run_instances},
                {"CreateFleet", fleet_create},
                {"DescribeSubnets", fleet_describe_subnets},
                {"DescribeInstances", ec2_serve_describe},
                {"TerminateInstances", terminate_instances},
                {"CreateTags", create_tags},
        };
        _cleanup_free_ char *action = form_value(form, "Action");

        for (size_t i = 0; action && i < ARRAY_SIZE(actions); i++) {
                if (strcmp(actions[i].action, action) == 0) {
                        actions[i].serve(world, form, answer);
                        return;
                }
        }
        answer_ec2_error(answer, 400, "InvalidAction");
}
