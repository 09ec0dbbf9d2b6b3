/* SPDX-License-Identifier: MIT */

/*
 * Sends a job to queued.fifo. The deduplication id holds a counter that every send raises: SQS
 * swallows an id that it has seen within five minutes, even after that message was deleted.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html
 */

#include "forward.h"

#include <stdio.h>
#include <stdlib.h>

#include "launch_name.h"
#include "pace.h"
#include "queue/send.h"

/* What one message needs while it is being sent. */
struct entry {
        char *body;
        char group[24];
        char id[LAUNCH_NAME_SIZE + 24];
};

/* The token for enterprises serves the jobs of all installations. */
static void write_registrar(
        const struct config *config, const struct job *job, char group[static 24])
{
        int64_t registrar = pace_registrar(config, job);

        if (registrar == PACE_OF_ENTERPRISE)
                snprintf(group, 24, "enterprise");
        else
                snprintf(group, 24, "%lld", (long long)registrar);
}

int jobs_send(struct scaler *scaler, const char *variable, struct job *const *jobs, size_t n_jobs,
        enum job_group group, struct err *err)
{
        struct sqs_message messages[SQS_BATCH_MAX] = {0};
        struct entry entries[SQS_BATCH_MAX];
        const struct config *config = NULL;
        int r;

        if (group == GROUP_OF_REGISTRAR)
                (void)scaler_config(scaler, &config, NULL); /* it was read for these jobs */

        for (size_t i = 0; i < n_jobs; i++) {
                struct job *job = jobs[i];
                struct entry *entry = &entries[i];
                int64_t sends = group == GROUP_OF_JOB ? job->sends++ : job->sends;
                char name[LAUNCH_NAME_SIZE];

                launch_name(job, name);
                if (group == GROUP_OF_JOB)
                        snprintf(entry->group, sizeof(entry->group), "%lld", (long long)job->id);
                else
                        write_registrar(config, job, entry->group);
                snprintf(entry->id, sizeof(entry->id), "%s-%lld", name, (long long)sends);
                entry->body = job_print(job);
                messages[i].body = entry->body;
                messages[i].group = entry->group;
                messages[i].deduplication_id = entry->id;
        }
        if (group == GROUP_OF_JOB && n_jobs == 1)
                r = queue_send(scaler, variable, messages, err);
        else
                r = queue_send_many(scaler, variable, messages, n_jobs, err);
        for (size_t i = 0; i < n_jobs; i++)
                free(entries[i].body);
        return r;
}

int forward_jobs(struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err)
{
        char first[48];
        int r;

        snprintf(first, sizeof(first), "job %lld%s", (long long)jobs[0]->id,
                n_jobs > 1 ? " and others" : "");
        for (size_t i = 0; i < n_jobs; i++)
                jobs[i]->action = JOB_QUEUED;
        r = jobs_send(scaler, "QUEUED_QUEUE_URL", jobs, n_jobs, GROUP_OF_JOB, err);
        return r < 0 ? err_prefix(err, r, "%s could not be queued", first) : 0;
}

int forward_job(struct scaler *scaler, struct job *job, struct err *err)
{
        return forward_jobs(scaler, &job, 1, err);
}
