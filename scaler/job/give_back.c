/* SPDX-License-Identifier: MIT */

/*
 * Sends a job to the parked queue, from which it comes back to `queued`. queued.fifo would drop it
 * as a duplicate of the first delivery.
 */

#include "give_back.h"

#include "config/config.h"
#include "job.h"
#include "queue/send.h"

static bool may_be_given_back(
        const struct config *config, const struct handover_job *job, const char *spec)
{
        return job->id > 0 && job->relaunches < GIVE_BACK_MAX && job->repository &&
               job->instance_type && spec && config_spec_by_name(config, spec) &&
               config_allows_repository(config, job->repository);
}

int give_back_job(struct scaler *scaler, const struct handover_job *job, const char *spec,
        const struct handover_times *times, bool *ret_given_back, struct err *err)
{
        const struct job message_job = {
                .action = JOB_QUEUED,
                .id = job->id,
                .run_id = job->run_id,
                .attempt = job->attempt,
                .installation = job->installation,
                .repository = job->repository,
                .name = job->name,
                .url = job->url,
                .spec = (char *)spec,
                .instance_type = job->instance_type,
                .queued_ms = times->queued,
                .webhook_ms = times->webhook,
                .relaunches = job->relaunches + 1,
        };
        _cleanup_free_ char *body = job_print(&message_job);
        struct sqs_message message = {.body = body};
        const struct config *config;
        int r = scaler_config(scaler, &config, err);

        if (r < 0)
                return r;
        if (!may_be_given_back(config, job, spec)) {
                *ret_given_back = false;
                return 0;
        }
        r = queue_send(scaler, "PARKED_QUEUE_URL", &message, err);
        if (r < 0)
                return err_prefix(err, r, "job %lld could not be given back", (long long)job->id);
        log_info(&scaler->log, "job given back", LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository), LOG_TEXT("spec", spec),
                LOG_NUMBER("relaunches", message_job.relaunches));
        *ret_given_back = true;
        return 0;
}
