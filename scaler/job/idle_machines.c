/* SPDX-License-Identifier: MIT */

/*
 * Deregisters the runners of all idle machines at the same time, and deletes the parameters of
 * those that GitHub no longer knows.
 */

#include "idle_machines.h"

#include "job.h"

/* A parameter that is gone was answered before, or a job has started. One that cannot be read names
 * no runner: its machine is left to its limits. */
static bool is_idle(const struct deregistration *item)
{
        const struct ec2_instance *instance = item->machine->instance;

        return item->machine->result == 0 && item->handover.runner_id > 0 &&
               ec2_instance_lives(instance) && !ec2_instance_tag(instance, JOB_TAG);
}

static bool is_deregistered(const struct deregistration *item)
{
        return item->is_done;
}

void handle_idle_machines(
        struct scaler *scaler, struct aws *aws, struct runner_machine *machines, size_t n_machines)
{
        _cleanup_(deregistrations_release) struct deregistrations all = {0};

        deregistrations_init(&all, scaler, aws, machines, n_machines);
        for (size_t i = 0; i < all.n_items; i++)
                if (is_idle(&all.items[i]))
                        deregister(&all.items[i]);
        http_finish(scaler_http(scaler));
        for (size_t i = 0; i < all.n_items; i++)
                if (all.items[i].is_busy)
                        log_info(&scaler->log, "a machine that reported no job has got one",
                                LOG_TEXT("instance", machines[i].instance->id));
        deregistrations_delete_parameters(&all, is_deregistered);
}
