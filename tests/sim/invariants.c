/* SPDX-License-Identifier: MIT */

/*
 * What must be true at any moment, whatever the faults: it is checked where an action of the scaler
 * may break it.
 */

#include <inttypes.h>
#include <string.h>

#include "world.h"

/* Between a question and the call that follows from its answer. */
#define ASKED_MS SECOND

/* (a) No machine that works on a job is ended by us. */
void invariant_end(struct machine *machine, const char *by)
{
        if (machine && machine_works(machine))
                world_violate(machine->world,
                        "(a) %s ends %s, which runs job %" PRId64 " since %lld s", by, machine->id,
                        machine->job,
                        (long long)((machine->world->now_ms - machine->started_ms) / SECOND));
}

/* (a) Nor is its runner deregistered: GitHub may accept that, and end the job. The registration of
 * a runner that listens is its machine's, and no other takes its place. Only the machine's own word
 * that it idles is a reason to try. One that came online while GitHub was asked whether it had, and
 * then to delete it, has no job, and its machine ends: GitHub has no call that does both. */
void invariant_deregister(struct machine *machine, int64_t runner)
{
        if (!machine || machine->runner != runner || machine->idle_ms > 0 ||
                fault_is_on(machine->world, FAULT_FORGED))
                return;
        if (machine_works(machine))
                world_violate(machine->world,
                        "(a) the runner of %s, which runs job %" PRId64 ", is deregistered",
                        machine->id, machine->job);
        else if (machine->stage == MACHINE_LISTENING &&
                 machine->world->now_ms - machine->listening_ms > ASKED_MS)
                world_violate(machine->world,
                        "(a) the runner of %s, which listens, is deregistered", machine->id);
}

/* (g) No launch outside of a spec's types: as `scaler ladder` prints for m7i.large and t3.large. */
void invariant_launch(struct world *world, const char *type)
{
        static const char *const families[] = {"m7i", "m7a", "t3", "t3a"};
        const char *dot = strchr(type, '.');

        for (size_t i = 0; dot && i < ARRAY_SIZE(families); i++)
                if (strlen(families[i]) == (size_t)(dot - type) &&
                        strncmp(families[i], type, (size_t)(dot - type)) == 0 &&
                        strstr(dot, "large"))
                        return;
        world_violate(world, "(g) type %s is of no spec", type);
}

/* Its number among the machines of its launch. In a fleet EC2 counts anew in each pool, so there
 * it is the order of ids. */
static unsigned number_of(const struct machine *machine)
{
        const struct world *world = machine->world;
        unsigned number = 0;

        if (!machine->fleet[0])
                return machine->index;
        for (size_t i = 0; i < world->n_machines; i++)
                number += strcmp(world->machines[i]->fleet, machine->fleet) == 0 &&
                          strcmp(world->machines[i]->id, machine->id) < 0;
        return number;
}

/* The launch that MACHINE is for: the name in its tag, between slashes, that its number counts. */
static const char *name_of(const struct machine *machine, size_t *ret_size)
{
        const char *tag = machine_tag(machine, "scale-agent:launches");
        const char *names = tag ? strchr(tag, '/') : NULL;
        unsigned number = number_of(machine);

        for (unsigned i = 0; names && i <= number; i++)
                names = i < number ? strchr(names + 1, '/') : names + 1;
        *ret_size = names ? strcspn(names, "/") : 0;
        return names;
}

/* Whether a machine of the fleet of MACHINE has ended. EC2 takes its tags away, and the machines
 * after it own other names from then on: then a launch may get a second machine, which ends for
 * want of a hand-over. */
static bool fleet_has_lost(const struct machine *machine)
{
        const struct world *world = machine->world;

        for (size_t i = 0; machine->fleet[0] && i < world->n_machines; i++)
                if (strcmp(world->machines[i]->fleet, machine->fleet) == 0 &&
                        world->machines[i]->stage == MACHINE_ENDED)
                        return true;
        return false;
}

/* What EC2 has shown for so long was seen by whoever launches now. */
#define SEEN_MS MINUTE

/* (d) A launch has one machine: another of its name comes only after that has ended, or while EC2
 * does not show it yet. */
void invariant_name(const struct machine *machine)
{
        struct world *world = machine->world;
        size_t size;
        const char *name = name_of(machine, &size);

        for (size_t i = 0; name && i < world->n_machines; i++) {
                const struct machine *other = world->machines[i];
                size_t other_size;
                const char *other_name = name_of(other, &other_size);

                if (other != machine && other->stage != MACHINE_ENDED && other_name &&
                        !fleet_has_lost(other) && world->now_ms - other->visible_ms > SEEN_MS &&
                        size == other_size && strncmp(name, other_name, size) == 0)
                        world_violate(world, "(d) %s is launched for %.*s, which has %s already",
                                machine->id, (int)size, name, other->id);
        }
}

/* (j) Each of five processes counts before it launches a batch of ten at most; what others launch
 * meanwhile it cannot know. */
#define PROCESSES 5
#define BATCH 10

static void check_limit(struct world *world, const char *what, unsigned most, unsigned living)
{
        unsigned overshoot = (PROCESSES - 1) * (most < BATCH ? most : BATCH);

        if (most > 0 && living > most + overshoot)
                world_violate(world, "(j) %u machines live, and %s allows %u", living, what, most);
}

void invariant_limits(struct world *world)
{
        check_limit(world, "max_machines", world->most_machines, limited_living(world, NULL, NULL));
        check_limit(world, "max_machines of a spec", world->most_of_spec,
                limited_living(world, "linux", NULL));
        for (unsigned i = 0; i < world->n_repositories; i++)
                check_limit(world, "max_machines_per_repository", world->most_of_repository,
                        limited_living(world, NULL, limited_name(i)));
}

/* (i) A forged report launches nothing, and puts no link before people. */
void invariant_message(struct world *world, const char *to, const char *body)
{
        if (strstr(body, FORGED_LINK))
                world_violate(world, "(i) what somebody forged reaches %s", to);
}
