/* SPDX-License-Identifier: MIT */

/*
 * Machines, as EC2 knows them. They die, hang and are taken back at every stage. agent.c has what
 * runs on them.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* runner-agent-deadline.timer */
#define DEADLINE_MS (7 * HOUR)

/* The end of an instance's id. */
#define INDEX_DIGITS 5
#define FIRST_INDEX 0x10000U

struct machine *machine_find(struct world *world, const char *id)
{
        size_t size = strlen(id);
        size_t i = size > INDEX_DIGITS ? strtoul(id + size - INDEX_DIGITS, NULL, 16) - FIRST_INDEX
                                       : world->n_machines;

        return i < world->n_machines && strcmp(world->machines[i]->id, id) == 0 ? world->machines[i]
                                                                                : NULL;
}

const char *machine_tag(const struct machine *machine, const char *key)
{
        for (size_t i = 0; i < machine->n_tags; i++)
                if (strcmp(machine->tags[i].key, key) == 0)
                        return machine->tags[i].value;
        return NULL;
}

const char *machine_stage_name(enum machine_stage stage)
{
        static const char *const names[] = {"booting", "waiting", "starting", "listening",
                "running a job", "ending", "hung", "ended"};

        return names[stage];
}

bool machine_works(const struct machine *machine)
{
        return machine->stage == MACHINE_RUNNING;
}

struct machine *machine_new(struct world *world)
{
        struct machine *machine = mem_alloc(sizeof(*machine));

        machine->world = world;
        snprintf(machine->id, sizeof(machine->id), "i-%08x%05x", (unsigned)world->seed,
                (unsigned)(world->n_machines + FIRST_INDEX));
        machine->launched_ms = world->now_ms;
        world->machines =
                mem_resize(world->machines, world->n_machines + 1, sizeof(*world->machines));
        world->machines[world->n_machines++] = machine;
        return machine;
}

void machines_release(struct world *world)
{
        for (size_t i = 0; i < world->n_machines; i++) {
                struct machine *machine = world->machines[i];

                for (size_t j = 0; j < machine->n_tags; j++) {
                        free(machine->tags[j].key);
                        free(machine->tags[j].value);
                }
                free(machine->tags);
                free(machine->form);
                cJSON_Delete(machine->handover);
                free(machine);
        }
        free(world->machines);
}

/* -- the end -- */

static void tell_state(struct world *world, void *userdata)
{
        const struct machine *machine = userdata;
        cJSON *detail = cJSON_CreateObject();

        json_add_string(detail, "instance-id", machine->id);
        json_add_string(detail, "state", "terminated");
        events_tell_ec2(world, "EC2 Instance State-change Notification", detail);
}

void machine_end(struct machine *machine, const char *why)
{
        struct world *world = machine->world;
        struct runner *runner = machine->runner ? runner_find(world, machine->runner) : NULL;

        if (machine->stage == MACHINE_ENDED)
                return;
        world_tell(world, "%s ends while %s: %s", machine->id, machine_stage_name(machine->stage),
                why);
        if (machine_works(machine))
                machine_job_lost(machine);
        if (runner)
                runner->online = false;
        machine->stage = MACHINE_ENDED;
        machine->why = why;
        machine->ended_ms = world->now_ms + world_between(world, 1, 30) * SECOND;
        world_after(world, machine->ended_ms - world->now_ms, tell_state, machine);
}

void machine_power_off(struct world *world, void *userdata)
{
        struct machine *machine = userdata;

        (void)world;
        machine_end(machine, "Client.InstanceInitiatedShutdown");
}

/* -- what befalls it -- */

static void on_death(struct world *world, void *userdata)
{
        (void)world;
        machine_end(userdata, "Server.InternalError");
}

static void on_spot_end(struct world *world, void *userdata)
{
        (void)world;
        machine_end(userdata, "Server.SpotInstanceTermination");
}

void machine_spot_warning(struct world *world, void *userdata)
{
        struct machine *machine = userdata;
        cJSON *detail;

        if (machine->stage == MACHINE_ENDED)
                return;
        world_tell(world, "EC2 takes %s back while %s", machine->id,
                machine_stage_name(machine->stage));
        detail = cJSON_CreateObject();
        json_add_string(detail, "instance-id", machine->id);
        json_add_string(detail, "instance-action", "terminate");
        events_tell_ec2(world, "EC2 Spot Instance Interruption Warning", detail);
        world_after(world, 2 * MINUTE, on_spot_end, machine);
        agent_interrupted(machine);
}

void machine_launched(struct machine *machine)
{
        struct world *world = machine->world;

        world_after(world, DEADLINE_MS, machine_power_off, machine);
        if (fault_strikes(world, FAULT_FORGED, 20))
                world_after(world, world_between(world, 0, 10 * MINUTE), machine_forgery, machine);
        if (fault_strikes(world, FAULT_DIE, 15))
                world_after(world,
                        world_between(world, 0, world_chance(world, 60) ? MINUTE : 20 * MINUTE),
                        on_death, machine);
        if (machine->spot && fault_strikes(world, FAULT_SPOT, 15))
                world_after(world,
                        world_between(world, 0, world_chance(world, 50) ? 2 * MINUTE : 20 * MINUTE),
                        machine_spot_warning, machine);
        if (fault_strikes(world, FAULT_HANG, 10)) {
                world_tell(world, "%s hangs in its boot", machine->id);
                machine->stage = MACHINE_HUNG;
                return;
        }
        if (fault_is_down(world, FAULT_IMAGE)) {
                world_after(
                        world, world_between(world, 5, 90) * SECOND, machine_power_off, machine);
                return;
        }
        world_after(world, world_between(world, 8, 40) * SECOND, agent_booted, machine);
}
