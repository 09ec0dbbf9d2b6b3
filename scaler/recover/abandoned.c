/* SPDX-License-Identifier: MIT */

/*
 * Hand-overs whose machine is gone: its end was never heard of. They get what an ended machine
 * gets: the job is given back if it still waits, the runner is deregistered, the parameter deleted.
 *
 * A machine is gone when it is missing twice: among those that live, which were listed after the
 * hand-overs, and when it is asked for by its id. A hand-over that is younger than a quarter of an
 * hour may belong to a machine that EC2 does not show yet.
 */

#include "sweep.h"

#include <stdlib.h>
#include <string.h>

#include "aws/ec2.h"
#include "job/ended_machines.h"

/* As many as DescribeInstances takes by id. */
#define ONCE_MAX 100

static bool is_among(const struct ec2_instances *machines, const char *id)
{
        for (size_t i = 0; i < machines->count; i++)
                if (strcmp(machines->items[i].id, id) == 0)
                        return true;
        return false;
}

static int describe(struct sweep *sweep, const char *const *ids, size_t n,
        struct ec2_instances *ret, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call =
                sweep_call(sweep, ec2_describe_instances(sweep->aws, ids, n));

        return ec2_describe_instances_answer(call, ret, err);
}

static const struct ec2_instance *find(const struct ec2_instances *machines, const char *id)
{
        for (size_t i = 0; i < machines->count; i++)
                if (strcmp(machines->items[i].id, id) == 0)
                        return &machines->items[i];
        return NULL;
}

/* Those of IDS that have ended; EC2 has forgotten some. */
static void handle_ended(struct sweep *sweep, const char *const *ids, size_t n_ids,
        const struct ec2_instances *described)
{
        _cleanup_free_ struct ec2_instance *forgotten = mem_alloc(n_ids * sizeof(*forgotten));
        _cleanup_free_ struct runner_machine *ended = mem_alloc(n_ids * sizeof(*ended));
        size_t n = 0;

        for (size_t i = 0; i < n_ids; i++) {
                const struct ec2_instance *machine = find(described, ids[i]);

                if (machine && strcmp(machine->state, "terminated") != 0)
                        continue; /* EC2's event is still to come */
                memcpy(forgotten[n].id, ids[i], strlen(ids[i]) + 1);
                ended[n].instance = machine ? machine : &forgotten[n];
                ended[n].is_in_s3 = sweep_handover(sweep, ids[i])->is_in_s3;
                sweep_note(sweep, "clean up", ids[i], "its machine is gone, its hand-over is not");
                n++;
        }
        sweep->abandoned += (unsigned)n;
        if (n == 0 || sweep->is_dry)
                return;
        handle_ended_machines(sweep->scaler, sweep->aws, ended, n);
        for (size_t i = 0; i < n; i++)
                if (ended[i].result < 0)
                        sweep_fail(sweep, ended[i].result, &ended[i].err);
}

static void handle_some(struct sweep *sweep, const char *const *ids, size_t n_ids)
{
        _cleanup_(ec2_instances_release) struct ec2_instances described = {0};
        struct err err;
        int r = describe(sweep, ids, n_ids, &described, &err);

        if (r < 0)
                sweep_fail(sweep, r, &err);
        else
                handle_ended(sweep, ids, n_ids, &described);
}

void sweep_abandoned(struct sweep *sweep, const struct ec2_instances *machines)
{
        int64_t before = clock_wall_ms(sweep->scaler->clock) - RECOVER_BOOT_LIMIT_MS;
        _cleanup_free_ const char **gone = mem_alloc((sweep->handovers.count + 1) * sizeof(char *));
        const char *ids[ONCE_MAX];
        size_t n_gone = 0;
        size_t first;
        size_t n = 0;

        for (size_t i = 0; i < sweep->handovers.count; i++) {
                const struct store_listed *handover = &sweep->handovers.items[i];
                const char *id = handover->instance;

                if (handover->modified_ms > before || is_among(machines, id))
                        continue;
                gone[n_gone++] = id;
        }
        first = sweep_first(sweep, n_gone, ONCE_MAX);
        for (; n < n_gone && n < ONCE_MAX; n++)
                ids[n] = gone[(first + n) % n_gone];
        if (n > 0 && sweep_has_time(sweep))
                handle_some(sweep, ids, n);
}
