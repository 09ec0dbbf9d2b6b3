/* SPDX-License-Identifier: MIT */

/*
 * The zones of a spec's subnets, which never change: EC2 is asked once in a process.
 */

#include "launch_steps.h"

#include <string.h>

static bool zones_have(const struct ec2_subnets *zones, const char *subnet)
{
        for (size_t i = 0; i < zones->count; i++)
                if (strcmp(zones->items[i].id, subnet) == 0)
                        return true;
        return false;
}

bool launch_knows_zones(const struct launch *launch)
{
        for (size_t i = 0; i < launch->spec->n_subnets; i++)
                if (!zones_have(&launch->scaler->zones, launch->spec->subnets[i]))
                        return launch->knows_zones;
        return true;
}

static void add_zones(struct launch *launch, const struct ec2_subnets *found)
{
        struct ec2_subnets *zones = &launch->scaler->zones;

        for (size_t i = 0; i < found->count; i++) {
                if (zones_have(zones, found->items[i].id))
                        continue;
                zones->items = mem_resize(zones->items, zones->count + 1, sizeof(*zones->items));
                zones->items[zones->count++] = found->items[i];
        }
        for (size_t i = 0; i < launch->spec->n_subnets; i++)
                if (!zones_have(zones, launch->spec->subnets[i]))
                        launch_tell_no_subnet(launch, launch->spec->subnets[i]);
}

static void on_zones(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(ec2_subnets_release) struct ec2_subnets found = {0};
        struct launch *launch = userdata;

        if (ec2_describe_subnets_answer(call, &found, &launch->err) < 0) {
                launch->outcome = aws_call_is_passing(call) ? LAUNCH_THROTTLED : LAUNCH_FAILED;
                return;
        }
        add_zones(launch, &found);
        launch->knows_zones = true;
        launch->go_on(launch);
}

void launch_ask_zones(struct launch *launch, void (*go_on)(struct launch *launch))
{
        const struct config_spec *spec = launch->spec;

        launch->go_on = go_on;
        launch_start_call(launch,
                ec2_describe_subnets(
                        launch->aws, (const char *const *)spec->subnets, spec->n_subnets),
                on_zones);
}
