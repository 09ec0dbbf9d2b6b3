/* SPDX-License-Identifier: MIT */

/*
 * Which jobs of a run were lost with their machines: by EC2's word alone. EC2 forgets an instance
 * after an hour, so what each look has found travels in the message.
 */

#include <stdlib.h>
#include <string.h>

#include "aws/ec2.h"
#include "launch_name.h"
#include "loss.h"
#include "rerun_steps.h"

#define DESCRIBED_MAX 100

/* The jobs are the run's, so a machine without tags was ours, or of somebody whose spot instances
 * EC2 takes back, too. */
static void note_losses(struct rerun *rerun, const struct ec2_instances *instances)
{
        for (size_t i = 0; i < instances->count; i++)
                if ((launch_is_ours(rerun->config, &instances->items[i]) ||
                            ec2_instance_fades(&instances->items[i])) &&
                        loss_is_evident(&instances->items[i]))
                        loss_add_machine(rerun->job, instances->items[i].id);
}

/* The size of the URL's part that names the run: all before "/job/ID". A repository may be called
 * "job" as well. */
static size_t size_of_run(const char *url)
{
        static const char parting[] = "/job";
        const char *last = url ? strrchr(url, '/') : NULL;
        size_t size = last ? (size_t)(last - url) : 0;

        if (size <= strlen(parting) ||
                strncmp(last - strlen(parting), parting, strlen(parting)) != 0)
                return 0;
        return size - strlen(parting);
}

/* EC2 forgets an instance after an hour, and a run may last for days: at every look, the message
 * notes what else the run has lost. */
int rerun_find_losses(struct rerun *rerun, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        size_t size = size_of_run(rerun->job->url);
        _cleanup_free_ char *pattern =
                size > 0 ? mem_format("%.*s/job/*", (int)size, rerun->job->url) : NULL;
        int r;

        if (!pattern)
                return 0;
        call = scaler_call(rerun->scaler,
                ec2_find_instances(rerun->aws, "tag:" JOB_TAG, (const char *const *)&pattern, 1));
        r = ec2_describe_instances_answer(call, &instances, err);
        if (r == 0)
                note_losses(rerun, &instances);
        return r;
}

/* Whether EC2 has to be asked about the machine of JOB. */
static bool is_unexplained(const struct rerun *rerun, const struct github_run_job *job)
{
        return rerun_is_failed(job) && ec2_is_instance_id(job->runner) &&
               !loss_has_machine(rerun->job, job->runner);
}

/* Whether EC2 still shows the machine with its tags, among them the one that keeps EC2's
 * warning. */
static bool is_described(const struct ec2_instances *instances, const char *id)
{
        for (size_t i = 0; i < instances->count; i++)
                if (strcmp(instances->items[i].id, id) == 0)
                        return !ec2_instance_fades(&instances->items[i]);
        return false;
}

/* Asks about the machines of some jobs, INDICES of which there are N. */
static int describe_some(struct rerun *rerun, const size_t *indices, size_t n, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        const char *ids[DESCRIBED_MAX];
        int r;

        for (size_t i = 0; i < n; i++)
                ids[i] = rerun->jobs.items[indices[i]].runner;
        call = scaler_call(rerun->scaler, ec2_describe_instances(rerun->aws, ids, n));
        r = ec2_describe_instances_answer(call, &instances, err);
        if (r < 0)
                return r;
        note_losses(rerun, &instances);
        for (size_t i = 0; i < n; i++)
                if (!is_described(&instances, ids[i]))
                        rerun->evidence[indices[i]] = RERUN_EVIDENCE_FORGOTTEN;
        return 0;
}

int rerun_explain_failures(struct rerun *rerun, struct err *err)
{
        size_t indices[DESCRIBED_MAX];
        size_t n = 0;
        int r = 0;

        rerun->evidence = mem_alloc((rerun->jobs.count + 1) * sizeof(*rerun->evidence));
        for (size_t i = 0; r == 0 && i < rerun->jobs.count; i++) {
                if (is_unexplained(rerun, &rerun->jobs.items[i]))
                        indices[n++] = i;
                if (n == DESCRIBED_MAX || (n > 0 && i + 1 == rerun->jobs.count)) {
                        r = describe_some(rerun, indices, n, err);
                        n = 0;
                }
        }
        for (size_t i = 0; i < rerun->jobs.count; i++) {
                const struct github_run_job *job = &rerun->jobs.items[i];

                if (job->id == rerun->job->id ||
                        (job->runner[0] && loss_has_machine(rerun->job, job->runner)))
                        rerun->evidence[i] = RERUN_EVIDENCE_LOST;
        }
        return r;
}
