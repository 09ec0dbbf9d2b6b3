/* SPDX-License-Identifier: MIT */

/*
 * Sends jobs to the ends of their lines. The deduplication id counts how often a launch was sent
 * to queued.fifo, as in forward.c, and how often it lined up. Either alone would not do: a webhook
 * that comes again makes a second message of a launch, and each of the two could be swallowed
 * because of the other one.
 */

#include "line.h"

#include <stdio.h>

#include "launch_name.h"
#include "queue/send.h"

static bool waits_in_order(const struct job *job)
{
        return job->limited == 0 && job->launch == 0;
}

int line_up(struct scaler *scaler, struct job *job, struct err *err)
{
        _cleanup_free_ char *body = NULL;
        char name[LAUNCH_NAME_SIZE];
        char id[LAUNCH_NAME_SIZE + 48];
        char group[SQS_GROUP_MAX + 1];
        struct sqs_message message = {.group = group, .deduplication_id = id};
        int r;

        if (waits_in_order(job))
                snprintf(group, sizeof(group), "%s/%s", job->spec, job->repository);
        else
                snprintf(group, sizeof(group), "%lld", (long long)job->id);
        launch_name(job, name);
        snprintf(id, sizeof(id), "%s-%lld-%lld", name, (long long)job->sends,
                (long long)job->limited);
        job->action = JOB_LIMITED;
        job->limited++;
        body = job_print(job);
        message.body = body;
        r = queue_send(scaler, "LIMITED_QUEUE_URL", &message, err);
        return r < 0 ? err_prefix(
                               err, r, "job %lld could not wait at its limit", (long long)job->id)
                     : 0;
}
