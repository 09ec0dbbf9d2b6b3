/* SPDX-License-Identifier: MIT */

/*
 * DescribeInstances: by id, by tag, or all.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

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
                        world_add_instance(&xml, machine, false);
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
/* Adds those that launches have made of PATTERN, which EC2 shows; whether there are any. */
static bool add_made(const char *pattern, struct world_machine **machines, size_t *n)
{
        const char *name = pattern[0] == '*' ? pattern + 1 : pattern;
        size_t size = strlen(name) - (pattern[0] == '*');
        bool is_made = false;

        for (size_t i = 0; i < world.n_machines; i++) {
                struct world_machine *machine = &world.machines[i];
                bool is_there = false;

                if (!machine->is_made ||
                        !memmem(machine->launches, strlen(machine->launches), name, size))
                        continue;
                for (size_t j = 0; j < *n; j++)
                        is_there |= machines[j] == machine;
                if (!is_there)
                        machines[(*n)++] = machine;
                is_made = true;
        }
        return is_made;
}

/* By the value of a tag or token. For each value there may be a machine. */
static void find(struct http_call *call, const char *form, bool by_names)
{
        struct world_machine *machines[2 * WORLD_MACHINES];
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);
        size_t n = 0;
        size_t n_made = 0;

        for (int i = 1; n < WORLD_MACHINES; i++) {
                _cleanup_free_ char *value = world_form_item(form, "Filter.1.Value", i, "");

                if (!value)
                        break;
                if (by_names && add_made(value, machines, &n)) {
                        n_made = n;
                        continue;
                }
                if (world_choose(4) == 0)
                        continue;
                machines[n] = by_names ? machine_of_launch(value) : world_new_machine();
                n += machines[n] != NULL;
        }
        if (by_names && n > 0 && n_made == 0 && world_choose(4) == 1)
                make_fleet(machines, n);
        open_list(&xml);
        for (size_t i = 0; i < n; i++)
                world_add_instance(&xml, machines[i], false);
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
                        world_add_instance(&xml, machine, must_live);
        }
        for (size_t i = 0; must_live && i < world.n_machines; i++)
                if (world.machines[i].is_made)
                        world_add_instance(&xml, &world.machines[i], must_live);
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
