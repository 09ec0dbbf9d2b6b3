/* SPDX-License-Identifier: MIT */

/*
 * Sends a job to queued.fifo. The deduplication id holds a counter that every send raises: SQS
 * swallows an id that it has seen within five minutes, even after that message was deleted.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html
 */

#include "forward.h"

#include <stdio.h>

#include "launch_name.h"
#include "queue/send.h"

int forward_job(struct scaler *scaler, struct job *job, struct err *err)
{
        _cleanup_free_ char *body = NULL;
        char name[LAUNCH_NAME_SIZE];
        char id[LAUNCH_NAME_SIZE + 24];
        char group[24];
        struct sqs_message message = {.group = group, .deduplication_id = id};
        int r;

        job->action = JOB_QUEUED;
        launch_name(job, name);
        snprintf(group, sizeof(group), "%lld", (long long)job->id);
        snprintf(id, sizeof(id), "%s-%lld", name, (long long)job->sends);
        job->sends++;
        body = job_print(job);
        message.body = body;
        r = queue_send(scaler, "QUEUED_QUEUE_URL", &message, err);
        return r < 0 ? err_prefix(err, r, "job %lld could not be queued", (long long)job->id) : 0;
}
