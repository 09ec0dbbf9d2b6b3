/* SPDX-License-Identifier: MIT */

/*
 * Turns the job of a hand-over into the next launch.
 */

#include "give_back.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "job.h"
#include "relaunch.h"

/* A hand-over or report that was forged must not launch what no spec names. */
static bool may_launch(const struct config_spec *spec, const char *type)
{
        for (size_t i = 0; spec && i < spec->n_instance_types; i++)
                if (strcmp(spec->instance_types[i], type) == 0)
                        return true;
        return spec && strcmp(spec->instance_type, type) == 0;
}

static bool may_be_given_back(
        const struct config *config, const struct handover_job *job, const char *spec)
{
        return job->id > 0 && job->launch >= 0 && job->relaunches >= 0 && job->offer >= 0 &&
               job->repository && job->instance_type && spec &&
               may_launch(config_spec_by_name(config, spec), job->instance_type) &&
               config_allows_repository(config, job->repository);
}

/* The job as its hand-over has it, without labels: GitHub tells them when it is asked before the
 * launch. */
static struct job job_of(
        const struct handover_job *job, const char *spec, const struct handover_times *times)
{
        return (struct job){
                .action = JOB_QUEUED,
                .id = job->id,
                .run_id = job->run_id,
                .attempt = job->attempt,
                .installation = job->installation,
                .repository = mem_string(job->repository),
                .name = mem_string(job->name),
                .url = mem_string(job->url),
                .spec = mem_string(spec),
                .instance_type = mem_string(job->instance_type),
                .queued_ms = times->queued,
                .webhook_ms = times->webhook,
                .launch = job->launch,
                .relaunches = job->relaunches,
                .offer = job->offer,
        };
}

int give_back_job(struct scaler *scaler, const struct handover_job *job, const char *spec,
        const struct handover_times *times, bool *ret_given_back, struct err *err)
{
        _cleanup_(job_release) struct job next = {0};
        const struct config *config;
        int r = scaler_config(scaler, &config, err);

        *ret_given_back = false;
        if (r < 0)
                return r;
        if (!may_be_given_back(config, job, spec))
                return 0;
        next = job_of(job, spec, times);
        r = relaunch_job(scaler, &next, RELAUNCH_ENDED, err);
        if (r < 0)
                return err_prefix(err, r, "job %lld could not be given back", (long long)job->id);
        *ret_given_back = r == 0;
        return 0;
}
