/* SPDX-License-Identifier: MIT */

/*
 * Deregisters all runners at the same time, gives jobs back, and deletes the parameters last: they
 * are the evidence for another try.
 */

#include "ended_machines.h"

#include <string.h>

#include "give_back.h"
#include "job.h"
#include "loss.h"
#include "machine/notifications.h"

/* Whether a job ran on the machine, and then it ended itself: GitHub has forgotten its runner. */
static bool has_done_its_job(const struct ec2_instance *instance)
{
        return ec2_instance_tag(instance, JOB_TAG) &&
               strcmp(instance->state_reason, "Client.InstanceInitiatedShutdown") == 0;
}

static bool has_left_something(const struct deregistration *item)
{
        return item->has_parameter || !has_done_its_job(item->machine->instance);
}

/* A machine whose runner took a job has only failed to delete its parameter. */
static int give_back(struct deregistration *item, struct err *err)
{
        const struct ec2_instance *instance = item->machine->instance;
        struct scaler *scaler = item->all->scaler;
        bool given_back = false;
        int r;

        if (item->handover.job.id == 0 || ec2_instance_tag(instance, JOB_TAG))
                return 0;
        r = give_back_job(scaler, &item->handover.job, item->handover.spec, &item->handover.times,
                &given_back, err);
        return r < 0 ? r
                     : tell_machine_ended_early(
                               scaler, instance->id, &item->handover, given_back, err);
}

static void follow_up(struct deregistration *item)
{
        const struct ec2_instance *instance = item->machine->instance;
        struct err err;
        int r = give_back(item, &err);

        if (r == 0 && item->is_busy)
                r = tell_job_lost(item->all->scaler, instance, "its machine ended",
                        loss_is_evident(instance) && loss_may_rerun(item->all->config, instance),
                        &err);
        if (r < 0)
                deregistration_fail(item, r, &err);
}

static bool may_delete(const struct deregistration *item)
{
        (void)item;
        return true;
}

void handle_ended_machines(
        struct scaler *scaler, struct aws *aws, struct runner_machine *machines, size_t n_machines)
{
        _cleanup_(deregistrations_release) struct deregistrations all = {0};

        for (size_t i = 0; i < n_machines; i++)
                log_info(&scaler->log, "machine ended",
                        LOG_TEXT("instance", machines[i].instance->id),
                        LOG_TEXT(
                                "spec", ec2_instance_tag(machines[i].instance, "scale-agent:spec")),
                        LOG_TEXT("reason", machines[i].instance->state_reason));
        deregistrations_init(&all, scaler, aws, machines, n_machines);
        for (size_t i = 0; i < all.n_items; i++)
                if (machines[i].result == 0 && has_left_something(&all.items[i]))
                        deregister(&all.items[i]);
        http_finish(scaler_http(scaler));
        for (size_t i = 0; i < all.n_items; i++)
                if (machines[i].result == 0)
                        follow_up(&all.items[i]);
        deregistrations_delete_handovers(&all, may_delete);
}
