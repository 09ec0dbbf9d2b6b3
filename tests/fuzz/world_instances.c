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
        if (machine->is_launched)
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

/* Nothing where only those that live are looked for, and it does not. */
static void add_instance(struct buf *xml, struct world_machine *machine, bool must_live)
{
        static const char *const reasons[] = {"Client.InstanceInitiatedShutdown",
                "Server.SpotInstanceTermination", "Client.UserInitiatedShutdown",
                "Server.InternalError"};
        static const char *const times[] = {
                "2026-01-02T03:00:00Z", "2026-01-02T01:00:00Z", "2026-01-02T03:04:00Z"};
        const struct likeness *likeness = choose_likeness();
        const char *state = choose_state(machine, likeness);
        bool lives = strcmp(state, "running") == 0 || strcmp(state, "pending") == 0;

        machine->was_dead |= !lives;
        if (must_live && !lives)
                return;
        world.n_living += must_live;
        buf_add_format(xml,
                "<item><instanceId>%s</instanceId><instanceType>%s</instanceType>"
                "<launchTime>%s</launchTime><amiLaunchIndex>0</amiLaunchIndex>"
                "<instanceState><name>%s</name></instanceState>",
                machine->id, machine->type, likeness ? likeness->time : world_one_of(times), state);
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

static void open_list(struct buf *xml)
{
        buf_add_string(xml,
                "<DescribeInstancesResponse><reservationSet><item><ownerId>" WORLD_ACCOUNT
                "</ownerId><instancesSet>");
}

static void answer_list(struct http_call *call, struct buf *xml, bool paged)
{
        buf_add_string(xml, "</instancesSet></item></reservationSet>");
        if (paged && world_choose(16) == 1)
                buf_add_string(xml, "<nextToken>next</nextToken>");
        buf_add_string(xml, "</DescribeInstancesResponse>");
        world_text(call, 200, buf_string(xml));
}

/* -- DescribeInstances -- */

/* By id: as they are, or unknown. */
static void describe(struct http_call *call, const char *form)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);

        open_list(&xml);
        for (int i = 1; i <= 100; i++) {
                _cleanup_free_ char *id = world_form_item(form, "InstanceId", i, "");
                struct world_machine *machine;

                if (!id)
                        id = world_form_item(form, "Filter.1.Value", i, "");
                if (!id)
                        break;
                machine = world_machine(id);
                if (machine && world_choose(8) != 1)
                        add_instance(&xml, machine, false);
        }
        answer_list(call, &xml, false);
}

/* The machine of the launch that PATTERN is about: "*" + "/3-1-0/" + "*" is job 3's own. */
static struct world_machine *machine_of_launch(const char *pattern)
{
        unsigned job;
        unsigned attempt;
        unsigned launch;
        char id[20];
        struct world_machine *machine;

        if (sscanf(pattern, "*/%u-%u-%u/", &job, &attempt, &launch) != 3)
                return world_new_machine();
        world_machine_id(job, attempt, launch, id);
        machine = world_machine(id);
        if (machine && !machine->launches[0])
                snprintf(machine->launches, sizeof(machine->launches), "/%u-%u-%u/", job, attempt,
                        launch);
        return machine;
}

static int compare_ids(const void *a, const void *b)
{
        return strcmp(
                (*(struct world_machine *const *)a)->id, (*(struct world_machine *const *)b)->id);
}

/* As if one fleet had been launched for all of MACHINES, whose names are in the order of their ids.
 */
static void make_fleet(struct world_machine **machines, size_t n)
{
        struct buf names = BUF_INIT(200);

        world.has_fleet = true;
        qsort(machines, n, sizeof(struct world_machine *), compare_ids);
        buf_add_string(&names, "0123456789abcdef/");
        for (size_t i = 0; i < n; i++)
                if (machines[i]->launches[0] == '/')
                        buf_add_string(&names, machines[i]->launches + 1);
        for (size_t i = 0; i < n; i++)
                if (machines[i]->launches[0] == '/')
                        snprintf(machines[i]->launches, sizeof(machines[i]->launches), "%s",
                                buf_string(&names));
        buf_release(&names);
}

/* By the value of a tag or token. For each value there may be a machine. */
static void find(struct http_call *call, const char *form, bool by_names)
{
        struct world_machine *machines[WORLD_MACHINES];
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);
        size_t n = 0;

        for (int i = 1; n < ARRAY_SIZE(machines); i++) {
                _cleanup_free_ char *value = world_form_item(form, "Filter.1.Value", i, "");

                if (!value)
                        break;
                if (world_choose(4) > 0)
                        machines[n] = by_names ? machine_of_launch(value) : world_new_machine();
                else
                        continue;
                n += machines[n] != NULL;
        }
        if (by_names && n > 0 && world_choose(4) == 1)
                make_fleet(machines, n);
        open_list(&xml);
        for (size_t i = 0; i < n; i++)
                add_instance(&xml, machines[i], false);
        answer_list(call, &xml, false);
}

/* All of the stack or of a spec: some of the batch's. Those of the stack are counted. */
static void list(struct http_call *call, const char *form)
{
        static const unsigned numbers[] = {0, 1, 2, 5, 8};
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);
        unsigned n = world.habits.machines > 0 ? 6 : world_one_of(numbers);
        bool must_live = strstr(form, "instance-state-name") != NULL;

        if (must_live && !strstr(form, "&NextToken="))
                world.n_living = 0;
        world.is_counted |= must_live;
        open_list(&xml);
        for (unsigned i = 1; i <= n; i++) {
                char id[20];
                struct world_machine *machine;

                world_machine_id(i, 1, 0, id);
                machine = world_machine(id);
                if (machine)
                        add_instance(&xml, machine, must_live);
        }
        answer_list(call, &xml, true);
}

void world_describe_instances(struct http_call *call, const char *form)
{
        _cleanup_free_ char *filter = world_form_value(form, "Filter.1.Name");

        if (!filter || strcmp(filter, "instance-id") == 0)
                describe(call, form);
        else if (strstr(filter, "prefix") || strstr(filter, ":spec"))
                list(call, form);
        else
                find(call, form, strstr(filter, "launches") != NULL);
}
