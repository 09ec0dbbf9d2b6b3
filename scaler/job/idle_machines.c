/* SPDX-License-Identifier: MIT */

/*
 * Deregisters the runners of all idle machines at the same time, tags the machines, and deletes the
 * parameters of those that GitHub no longer knows.
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

static void on_tagged(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct err err;
        int r = ec2_create_tags_answer(call, &err);

        if (r < 0)
                deregistration_fail(userdata, r, &err);
}

/* For the breaker of its spec: a machine whose runner has listened shows that its image works. */
static void tag(struct deregistration *item)
{
        const struct ec2_tag tag = {JOB_IDLE_TAG, "1"};
        struct http_call *call =
                ec2_create_tags(item->all->aws, item->machine->instance->id, &tag, 1);

        call->done = on_tagged;
        call->userdata = item;
        scaler_start(item->all->scaler, call);
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
                if (all.items[i].is_done)
                        tag(&all.items[i]);
        http_finish(scaler_http(scaler));
        for (size_t i = 0; i < all.n_items; i++)
                if (all.items[i].is_busy)
                        log_info(&scaler->log, "a machine that reported no job has got one",
                                LOG_TEXT("instance", machines[i].instance->id));
        deregistrations_delete_handovers(&all, is_deregistered);
}
