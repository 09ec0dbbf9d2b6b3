/* SPDX-License-Identifier: MIT */

/*
 * Sends watches.
 */

#include "follow.h"

#include <stdlib.h>

#include "queue/send.h"

static unsigned usual_seconds(const struct job *job)
{
        return job->launch > 0 || job->paced > 0 ? FOLLOW_SOON_SECONDS : FOLLOW_SECONDS;
}

int follow_jobs(struct scaler *scaler, struct job *const *jobs, size_t n_jobs,
        unsigned delay_seconds, struct err *err)
{
        struct sqs_message messages[SQS_BATCH_MAX] = {0};
        char *bodies[SQS_BATCH_MAX];
        int r;

        for (size_t i = 0; i < n_jobs; i++) {
                jobs[i]->action = JOB_WATCHED;
                bodies[i] = job_print(jobs[i]);
                messages[i].body = bodies[i];
                messages[i].delay_seconds =
                        delay_seconds > 0 ? delay_seconds : usual_seconds(jobs[i]);
        }
        r = queue_send_many(scaler, "WATCH_QUEUE_URL", messages, n_jobs, err);
        for (size_t i = 0; i < n_jobs; i++)
                free(bodies[i]);
        return r < 0 ? err_prefix(err, r, "jobs could not be followed") : 0;
}
