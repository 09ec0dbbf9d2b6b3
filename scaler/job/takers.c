/* SPDX-License-Identifier: MIT */

/*
 * Follows takers by the tags of machines: JOB_TAG says whom a machine took, and the name of its
 * launch for whom it was launched. Each machine has one job, and each launch of a job one machine.
 * So no two ways end at the same machine, as long as EC2 shows the tags of those that have ended.
 */

#include "takers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "launch_name.h"

/* How many takers are followed. In a simulated burst, two in a hundred of the jobs that lose their
 * machines have a longer chain. */
#define STEPS_MAX 6

/* A way, and the beginning of the last taker's launch names: "JOB-ATTEMPT-". */
struct way {
        struct taken *taken;
        char taker[LAUNCH_NAME_SIZE];
};

/* False: MACHINE has no job. */
static bool read_taker(const struct ec2_instance *machine, char ret[static LAUNCH_NAME_SIZE])
{
        const char *url = ec2_instance_tag(machine, JOB_TAG);
        const char *attempt = ec2_instance_tag(machine, JOB_ATTEMPT_TAG);
        const char *id = url ? strrchr(url, '/') : NULL;

        if (!id || !attempt)
                return false;
        snprintf(ret, LAUNCH_NAME_SIZE, "%s-%s-", id + 1, attempt);
        return true;
}

static int find_machines(struct scaler *scaler, struct aws *aws, const struct way *ways,
        size_t n_ways, struct ec2_instances *found, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        char **patterns = mem_alloc(n_ways * sizeof(char *));
        int r;

        for (size_t i = 0; i < n_ways; i++)
                patterns[i] = mem_format("*/%s*", ways[i].taker);
        call = scaler_call(scaler, ec2_find_instances(aws, "tag:" LAUNCH_NAMES_TAG,
                                           (const char *const *)patterns, n_ways));
        for (size_t i = 0; i < n_ways; i++)
                free(patterns[i]);
        free(patterns);
        r = ec2_describe_instances_answer(call, found, err);
        if (r == 0)
                launch_number_fleets(found);
        return r;
}

static bool have_same(const struct ec2_instance *a, const struct ec2_instance *b, const char *tag)
{
        const char *of_a = ec2_instance_tag(a, tag);
        const char *of_b = ec2_instance_tag(b, tag);

        return of_a && of_b && strcmp(of_a, of_b) == 0;
}

/* Whether what MACHINE's runner may take is what TAKEN's was launched for. A job without a label of
 * its own takes machines of other kinds, too; where jobs may name a type, that is one. */
static bool is_like(const struct config *config, const struct ec2_instance *machine,
        const struct ec2_instance *taken)
{
        const char *name = ec2_instance_tag(taken, "scale-agent:spec");
        const struct config_spec *spec = name ? config_spec_by_name(config, name) : NULL;

        return spec && have_same(machine, taken, "scale-agent:spec") &&
               have_same(machine, taken, "scale-agent:scope") &&
               (spec->n_instance_types == 0 || have_same(machine, taken, JOB_TYPE_TAG));
}

/* The runner of one that was heard idling is deregistered. */
static bool may_take_job(const struct ec2_instance *machine)
{
        return ec2_instance_lives(machine) && !ec2_instance_tag(machine, JOB_IDLE_TAG);
}

/* Goes to the machine of the last taker, of several to that which was launched last: the others
 * were missed before. True: that is not the end of WAY. */
static bool step(const struct config *config, const struct ec2_instances *found, struct way *way)
{
        const struct ec2_instance *taken = NULL;

        for (size_t i = 0; i < found->count; i++) {
                const struct ec2_instance *machine = &found->items[i];

                if (!launch_is_ours(config, machine) || !launch_name_begins(way->taker, machine))
                        continue;
                if (ec2_instance_tag(machine, JOB_TAG)) {
                        if (!taken || machine->launched_ms >= taken->launched_ms)
                                taken = machine;
                } else if (may_take_job(machine) && is_like(config, machine, way->taken->machine)) {
                        way->taken->end = TAKERS_FREE_MACHINE;
                        return false;
                }
        }
        if (taken)
                return read_taker(taken, way->taker);
        way->taken->end = TAKERS_NO_MACHINE;
        return false;
}

int takers_follow(struct scaler *scaler, const struct config *config, struct aws *aws,
        struct taken *items, size_t n_items, struct err *err)
{
        _cleanup_free_ struct way *ways = mem_alloc((n_items + 1) * sizeof(*ways));
        size_t n_ways = 0;

        for (size_t i = 0; i < n_items; i++) {
                ways[n_ways].taken = &items[i];
                items[i].end = TAKERS_UNKNOWN;
                n_ways += read_taker(items[i].machine, ways[n_ways].taker);
        }
        for (int steps = 0; n_ways > 0 && steps < STEPS_MAX; steps++) {
                _cleanup_(ec2_instances_release) struct ec2_instances found = {0};
                int r = find_machines(scaler, aws, ways, n_ways, &found, err);
                size_t n_left = 0;

                if (r < 0)
                        return r;
                for (size_t i = 0; i < n_ways; i++)
                        if (step(config, &found, &ways[i]))
                                ways[n_left++] = ways[i];
                n_ways = n_left;
        }
        return 0;
}
