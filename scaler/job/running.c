/* SPDX-License-Identifier: MIT */

/*
 * Finds running jobs.
 */

#include "running.h"

#include <string.h>

int running_find(struct scaler *scaler, struct aws *aws, struct job *const *jobs, size_t n_jobs,
        struct ec2_instances *ret, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_free_ const char **urls = mem_alloc((n_jobs + 1) * sizeof(char *));
        size_t n = 0;

        for (size_t i = 0; i < n_jobs; i++)
                if (jobs[i]->url)
                        urls[n++] = jobs[i]->url;
        if (n == 0)
                return 0;
        call = scaler_call(scaler, ec2_find_instances(aws, "tag:" JOB_TAG, urls, n));
        return ec2_describe_instances_answer(call, ret, err);
}

const struct ec2_instance *running_machine(const struct ec2_instances *found, const struct job *job)
{
        for (size_t i = 0; job->url && i < found->count; i++) {
                const char *url = ec2_instance_tag(&found->items[i], JOB_TAG);

                if (url && strcmp(url, job->url) == 0)
                        return &found->items[i];
        }
        return NULL;
}
