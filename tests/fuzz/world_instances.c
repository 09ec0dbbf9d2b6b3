/* SPDX-License-Identifier: MIT */

/*
 * Machines in any state, with tags as ours have.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* -- instances -- */

static void add_tag(struct buf *xml, const char *key, const char *value)
{
        buf_add_format(xml, "<item><key>scale-agent:%s</key><value>%s</value></item>", key, value);
}

/* How machines may look alike: of a broken image, or when EC2 takes them all. */
static const struct likeness {
        const char *state;
        const char *reason;
        const char *time;
        unsigned tag; /* see add_one_of() */
} likenesses[] = {
        {"terminated", "Client.InstanceInitiatedShutdown", "2026-01-02T03:00:00Z", 0},
        {"running", "", "2026-01-02T01:00:00Z", 0},
        {"terminated", "Server.SpotInstanceTermination", "2026-01-02T03:00:00Z", 1},
        {"pending", "", "2026-01-02T03:04:00Z", 0},
        {"running", "", "2026-01-02T03:00:00Z", 1},
        {"running", "", "2026-01-02T01:00:00Z", 4},
        {"terminated", "Server.InternalError", "2026-01-02T03:00:00Z", 0},
        {"running", "", "2026-01-02T03:00:00Z", 7},
};

static const struct likeness *choose_likeness(void)
{
        return world.habits.machines > 0 && world_choose(8) != 1
                       ? &WORLD_HABIT(world.habits.machines, likenesses)
                       : NULL;
}

/* What the tag with the job says: its own, or another's. */
static void add_job(struct buf *xml, struct world_machine *machine)
{
        char url[96];

        world_job_url(machine->job, url);
        add_tag(xml, "job-url", url);
        add_tag(xml, "job-attempt", "1");
        machine->has_job = true;
        if (machine->job <= WORLD_JOBS)
                world.jobs[machine->job].is_over = true;
}

/* The number of the job that MACHINE was launched for. */
static unsigned own_job(const struct world_machine *machine)
{
        unsigned number = world_job_of(machine->id);

        return number > 0 || sscanf(machine->launches, "%*[^/]/%u-", &number) == 1 ||
                               sscanf(machine->launches, "/%u-", &number) == 1
                       ? number
                       : 1000;
}

/* One of the tags that a machine gets while it lives. */
static void add_one_of(struct buf *xml, struct world_machine *machine, unsigned tag)
{
        switch (tag) {
        case 1:
        case 2:
                machine->job = tag == 1 ? own_job(machine) : 1000;
                add_job(xml, machine);
                break;
        case 3:
                add_tag(xml, "store", WORLD_BUCKET);
                break;
        case 4:
                add_tag(xml, "hangs-since", world_choose(2) ? "0" : "1767322000");
                break;
        case 5:
                add_tag(xml, "interrupted", "2026-01-02T03:00:00Z");
                break;
        case 6:
                add_tag(xml, "store", "another-bucket");
                break;
        case 7:
                add_tag(xml, "idle", "2026-01-02T03:02:00Z");
                break;
        default:
                break;
        }
}

static void add_tags(
        struct buf *xml, struct world_machine *machine, const struct likeness *likeness)
{
        static const char *const specs[] = {"linux", "fleet", "ended", "company", "gone"};
        static const char *const scopes[] = {"repos/o/r", "orgs/o", "enterprises/e", "nonsense"};

        machine->is_foreign |= world.has_strangers && world_choose(8) == 1;
        add_tag(xml, "prefix", machine->is_foreign ? "/other" : "/p");
        add_tag(xml, "spec", world_one_of(specs));
        add_tag(xml, "scope", world_one_of(scopes));
        add_tag(xml, "installation", "4711");
        if (machine->launches[0])
                add_tag(xml, "launches", machine->launches);
        if (machine->is_made && machine->event == world.event)
                return; /* a moment ago */
        if (machine->has_job)
                add_job(xml, machine); /* for as long as it lives */
        else
                add_one_of(xml, machine, likeness ? likeness->tag : world_choose(9));
        if (machine->is_overdue || world_choose(4) == 1) {
                machine->is_overdue = true;
                add_tag(xml, "lifetime", "60");
        }
}

/* Nothing that has ended lives again. */
static const char *choose_state(struct world_machine *machine, const struct likeness *likeness)
{
        static const char *const states[] = {
                "running", "pending", "terminated", "shutting-down", "stopped"};
        const char *name = likeness ? likeness->state : world_one_of(states);

        if (machine->state[0])
                return machine->state;
        if (strcmp(name, "terminated") == 0)
                snprintf(machine->state, sizeof(machine->state), "%s", name);
        return name;
}

static const char *launch_time(const struct world_machine *machine, const struct likeness *likeness)
{
        static const char *const times[] = {
                "2026-01-02T03:00:00Z", "2026-01-02T01:00:00Z", "2026-01-02T03:04:00Z"};
        const char *time = likeness ? likeness->time : world_one_of(times);

        return machine->is_made ? "2026-01-02T03:04:05Z" : time;
}

void world_add_instance(struct buf *xml, struct world_machine *machine, bool must_live)
{
        static const char *const reasons[] = {"Client.InstanceInitiatedShutdown",
                "Server.SpotInstanceTermination", "Client.UserInitiatedShutdown",
                "Server.InternalError"};
        const struct likeness *likeness = choose_likeness();
        const char *state = choose_state(machine, likeness);
        bool lives = strcmp(state, "running") == 0 || strcmp(state, "pending") == 0;

        machine->was_dead |= !lives;
        if (must_live && !lives)
                return;
        world.n_living += must_live;
        buf_add_format(xml,
                "<item><instanceId>%s</instanceId><instanceType>%s</instanceType>"
                "<launchTime>%s</launchTime><amiLaunchIndex>%u</amiLaunchIndex>"
                "<instanceState><name>%s</name></instanceState>",
                machine->id, machine->type, launch_time(machine, likeness), machine->index, state);
        if (world_choose(2) == 0)
                buf_add_string(xml, "<instanceLifecycle>spot</instanceLifecycle>");
        if (!lives)
                buf_add_format(xml, "<stateReason><code>%s</code></stateReason>",
                        likeness ? likeness->reason : world_one_of(reasons));
        buf_add_string(xml,
                "<placement><availabilityZone>eu-central-1a</availabilityZone></placement>"
                "<tagSet>");
        if (lives || world_choose(2) == 0)
                add_tags(xml, machine, likeness);
        buf_add_string(xml, "</tagSet></item>");
}
