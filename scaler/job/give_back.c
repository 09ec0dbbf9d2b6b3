/* SPDX-License-Identifier: MIT */

/*
 * A job goes back to the queue, by the parked queue: the first queue would take it for the delivery
 * that it has seen already.
 */

#include "give_back.h"

#include "config/config.h"
#include "job.h"
#include "queue/send.h"

static bool is_worth_it(
        const struct config *config, const struct handover_job *job, const char *spec)
{
        return job->id > 0 && job->relaunches < GIVE_BACK_MAX && job->repository &&
               job->instance_type && spec && config_spec_by_name(config, spec) &&
               config_allows_repository(config, job->repository);
}

int give_back(struct scaler *scaler, const struct handover_job *job, const char *spec,
        const struct handover_times *times, bool *ret_given, struct err *err)
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
        if (!is_worth_it(config, job, spec)) {
                *ret_given = false;
                return 0;
        }
        r = queue_send(scaler, "PARKED_QUEUE_URL", &message, err);
        if (r < 0)
                return err_prefix(err, r, "job %lld could not be given back", (long long)job->id);
        log_info(&scaler->log, "job given back", LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository), LOG_TEXT("spec", spec),
                LOG_NUMBER("relaunches", message_job.relaunches));
        *ret_given = true;
        return 0;
}
