/* SPDX-License-Identifier: MIT */

/*
 * Machines that nobody else ends. One that is past its lifetime, a tag that it got at its launch,
 * is terminated: no job may take that long. One that hangs is terminated in two sweeps: the first
 * deregisters its runner and marks it (hanging.c), a later one looks whether a job came to it all
 * the same, and ends it if not.
 */

#include <stdlib.h>

#include "aws/ec2.h"
#include "hanging.h"
#include "job/job.h"
#include "job/launch.h"
#include "machine/leftovers.h"
#include "sweep.h"

/* A job that was assigned a moment before shows up within this time. */
#define GRACE_MS (90 * MSEC_PER_SEC)

static int64_t tag_number(const struct ec2_instance *machine, const char *key)
{
        const char *value = ec2_instance_tag(machine, key);

        return value ? strtoll(value, NULL, 10) : 0;
}

static int64_t age_ms(const struct sweep *sweep, const struct ec2_instance *machine)
{
        return clock_wall_ms(sweep->scaler->clock) - machine->launched_ms;
}

static bool is_overdue(const struct sweep *sweep, const struct ec2_instance *machine)
{
        int64_t lifetime = tag_number(machine, LAUNCH_LIFETIME_TAG);

        return lifetime > 0 && machine->launched_ms > 0 &&
               age_ms(sweep, machine) > lifetime * MSEC_PER_SEC;
}

static bool may_hang(const struct sweep *sweep, const struct ec2_instance *machine)
{
        int64_t now = clock_wall_ms(sweep->scaler->clock);
        const struct store_listed *handover = sweep_handover(sweep, machine->id);

        return !ec2_instance_tag(machine, JOB_TAG) && machine->launched_ms > 0 &&
               age_ms(sweep, machine) > 2 * RECOVER_BOOT_LIMIT_MS && handover &&
               now - handover->modified_ms > RECOVER_BOOT_LIMIT_MS;
}

/* -- ending -- */

static void terminate(struct sweep *sweep, const char *const *ids, size_t n_ids)
{
        struct err err;
        int r;

        sweep->ended += (unsigned)n_ids;
        if (n_ids == 0 || sweep->is_dry)
                return;
        sweep->calls++;
        r = leftovers_terminate(sweep->scaler, sweep->aws, ids, n_ids, &err);
        if (r < 0)
                sweep_fail(sweep, r, &err);
}

void sweep_overdue(struct sweep *sweep, const struct ec2_instances *machines)
{
        int64_t now = clock_wall_ms(sweep->scaler->clock);
        _cleanup_free_ const char **ids = mem_alloc(machines->count * sizeof(char *));
        _cleanup_free_ const struct ec2_instance **suspects =
                mem_alloc((machines->count + 1) * sizeof(*suspects));
        size_t n_suspects = 0;
        size_t n_ids = 0;

        for (size_t i = 0; i < machines->count; i++) {
                const struct ec2_instance *machine = &machines->items[i];
                int64_t marked = tag_number(machine, HANGS_TAG) * MSEC_PER_SEC;

                if (is_overdue(sweep, machine)) {
                        sweep_note(sweep, "terminate", machine->id, "it is past its lifetime");
                        ids[n_ids++] = machine->id;
                } else if (!may_hang(sweep, machine)) {
                        continue;
                } else if (marked > 0 && now - marked > GRACE_MS) {
                        sweep_note(sweep, "terminate", machine->id,
                                "it hangs, and its runner was deregistered before");
                        ids[n_ids++] = machine->id;
                } else if (marked == 0) {
                        suspects[n_suspects++] = machine;
                }
        }
        terminate(sweep, ids, n_ids);
        if (sweep_has_time(sweep))
                sweep_hanging(sweep, suspects, n_suspects);
}
