/* SPDX-License-Identifier: MIT */

/*
 * Droughts: 50 jobs at once, and only the last type of the ladder has capacity. Each row says when
 * the last machine was launched, and with how many calls. What a call takes, and that an instant
 * fleet tries three pools at most, are a third party's measurements, and no promise of AWS: so
 * there is a row with the latter, and one without it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define JOBS 50
#define RUN_INSTANCES_MS 1400
#define CREATE_FLEET_MS 1900
/* As `scaler ladder m7i.large` ends. */
#define LAST "m7a.48xlarge"

static const struct drought {
        const char *name;
        bool fleets;
        bool few;
} table[] = {
        {"ladder", false, false},
        {"fleet that tries all pools", true, false},
        {"fleet that tries 3 pools (assumed)", true, true},
};

bool drought_is_of_fleets(const struct world *world)
{
        return world->drought->fleets;
}

bool drought_tries_few(const struct world *world)
{
        return world->drought->few;
}

bool drought_has_capacity(const struct world *world, const char *type)
{
        (void)world;
        return strcmp(type, LAST) == 0;
}

int64_t drought_latency(struct world *world, const char *form, int64_t latency)
{
        bool is_fleet = strncmp(form, "Action=CreateFleet&", 19) == 0;

        if (!world->drought || (!is_fleet && strncmp(form, "Action=RunInstances&", 20) != 0))
                return latency;
        world->launch_calls++;
        return is_fleet ? CREATE_FLEET_MS : RUN_INSTANCES_MS;
}

static bool run(const struct drought *drought)
{
        struct world *world = mem_alloc(sizeof(*world));
        bool good;

        world_init(world, 1, getenv("STORY") != NULL, 0);
        world->is_burst = true;
        world->drought = drought;
        world->limits = (struct limits){.launches = {.holds = 5, .per_second = 2},
                .machines = {.holds = 1000, .per_second = 2}};
        lambda_configure(world);
        for (unsigned i = 0; i < JOBS; i++)
                job_add(world, world_between(world, 0, 2 * SECOND), " self-hosted linux x64 ");
        world_run(world, 2 * HOUR);
        good = world->stored >= JOBS;
        printf("%-36s %6.0f s %6u calls %5u machines%s\n", drought->name,
                (double)world->ran_ms / (double)SECOND, world->launch_calls, world->ran_instances,
                good ? "" : "  MISSED: not all were served");
        (void)fflush(stdout);
        world_release(world);
        free(world);
        return good;
}

int drought_runs(void)
{
        bool good = true;

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                good = run(&table[i]) && good;
        return !good;
}
