/* SPDX-License-Identifier: MIT */

/*
 * Third stage of a job's life: a runner has taken the job. The message comes from GitHub's
 * in_progress event. Emits how long the job was queued, and tags the instance with the job's URL
 * and attempt, for people in the console and for `instance`, which tells people when the machine is
 * lost and has the job run again. A message whose instance cannot be tagged is delivered again.
 */

#include "handler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ec2.h"
#include "job/job.h"
#include "machine/denied.h"

static void emit_queue_time(struct scaler *scaler, const struct job *job)
{
        const struct metric metric = {
                "QueueTime", METRIC_MILLISECONDS, job->started_ms - job->queued_ms};
        const struct log_field properties[] = {
                LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository),
                LOG_TEXT("instance", job->runner_name),
        };

        if (job->queued_ms > 0 && job->started_ms >= job->queued_ms)
                scaler_emit_metrics(
                        scaler, job->spec, &metric, 1, properties, ARRAY_SIZE(properties));
}

/* An instance that is gone needs no tag, and one that is not ours gets none. */
static int tag_instance(struct scaler *scaler, const struct job *job, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        char attempt[24];
        const struct ec2_tag tags[] = {
                {JOB_TAG, job->url},
                {JOB_ATTEMPT_TAG, attempt},
                {JOB_REPOSITORY_TAG, job->repository},
        };
        struct aws *aws;
        int r = scaler_aws(scaler, &aws, err);

        snprintf(attempt, sizeof(attempt), "%lld", (long long)job->attempt);

        if (r < 0)
                return r;
        call = scaler_call(scaler, ec2_create_tags(aws, job->runner_name, tags, ARRAY_SIZE(tags)));
        r = denied_explain(scaler, aws, job->runner_name, ec2_create_tags_answer(call, err), err);
        return r < 0 ? err_prefix(err, r, "instance %s, job %lld", job->runner_name,
                               (long long)job->id)
                     : 0;
}

static int handle_record(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        _cleanup_(job_release) struct job job = {0};
        int r = job_parse(record->body, strlen(record->body), &job, err);

        (void)userdata;
        if (r < 0)
                return r;
        emit_queue_time(scaler, &job);
        log_info(&scaler->log, "job started", LOG_NUMBER("job", job.id),
                LOG_TEXT("repository", job.repository), LOG_TEXT("instance", job.runner_name));
        if (!job.url || !ec2_is_instance_id(job.runner_name))
                return 0; /* another kind of runner took it */
        return tag_instance(scaler, &job, err);
}

void in_progress_handle(struct scaler *scaler, struct batch *batch)
{
        batch_each(scaler, batch, handle_record, NULL);
        for (size_t i = 0; i < batch->n_records; i++)
                record_judge(&batch->records[i]);
}
