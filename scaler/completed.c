/* SPDX-License-Identifier: MIT */

/*
 * The job has ended; the message comes from GitHub's completed event. Its machine may still be on.
 * Emits how long the job ran. If the spec says terminate_on_completed, ends the machine, unless its
 * runner has taken another job. A job that failed since EC2 took its machine back is followed until
 * it may be run again. A message for which this fails is delivered again. (What a machine leaves
 * behind is removed by `instance`, which hears from the agent whether there is anything.)
 */

#include "handler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/ec2.h"
#include "github/github.h"
#include "job/job.h"
#include "job/launch_name.h"
#include "job/loss.h"
#include "job/token_requests.h"
#include "machine/leftovers.h"

/* A batch, and the job of each of its records. */
struct completed {
        struct batch *batch;
        const struct config *config;
        struct job *jobs; /* as many as records; all zero where a record cannot be read */
};

static void completed_release(struct completed *completed)
{
        for (size_t i = 0; completed->jobs && i < completed->batch->n_records; i++)
                job_release(&completed->jobs[i]);
        free(completed->jobs);
}

static void emit_run_time(struct scaler *scaler, const struct job *job)
{
        const struct metric metric = {
                "RunTime", METRIC_MILLISECONDS, job->completed_ms - job->started_ms};
        const struct log_field properties[] = {
                LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository),
                LOG_TEXT("instance", job->runner_name),
                LOG_TEXT("conclusion", job->conclusion),
        };

        if (job->runner_name && job->started_ms > 0 && job->completed_ms >= job->started_ms)
                scaler_emit_metrics(
                        scaler, job->spec, &metric, 1, properties, ARRAY_SIZE(properties));
}

/* -- machines that do not end themselves -- */

/* Whether a runner that is registered at SCOPE may take jobs of REPOSITORY. */
static bool covers(const char *scope, const char *repository)
{
        size_t owner = strcspn(repository, "/");

        if (strncmp(scope, "repos/", 6) == 0)
                return strcasecmp(scope + 6, repository) == 0;
        if (github_is_enterprise(scope))
                return true; /* its owner is one of github.repositories */
        return strncmp(scope, "orgs/", 5) == 0 && strlen(scope + 5) == owner &&
               strncasecmp(scope + 5, repository, owner) == 0;
}

/* The machine of a job of ours, or one that has ended and lost its tags. */
static const struct ec2_instance *find_instance(
        const struct ec2_instances *instances, const char *id, const struct config *config)
{
        for (size_t i = 0; i < instances->count; i++) {
                const struct ec2_instance *instance = &instances->items[i];

                if (strcmp(instance->id, id) == 0 &&
                        (launch_is_ours(config, instance) || ec2_instance_fades(instance)))
                        return instance;
        }
        return NULL;
}

/* Where the runner of the job's machine is registered: only one of this stack, which lives, and
 * whose runner may have had this job. Anybody may name a runner as an instance is named. "" for any
 * other. */
static int find_scope(struct scaler *scaler, struct aws *aws, const struct config *config,
        const struct job *job, char scope[static GITHUB_SCOPE_SIZE], struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                scaler, ec2_describe_instances(aws, (const char *const *)&job->runner_name, 1));
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        int r = ec2_describe_instances_answer(call, &instances, err);
        const struct ec2_instance *instance =
                r == 0 ? find_instance(&instances, job->runner_name, config) : NULL;
        const char *tag = instance ? ec2_instance_tag(instance, "scale-agent:scope") : NULL;
        bool is_its = tag && ec2_instance_lives(instance) && covers(tag, job->repository);

        snprintf(scope, GITHUB_SCOPE_SIZE, "%s", is_its ? tag : "");
        return r;
}

/* Deregisters first: GitHub refuses that while the runner has a job, and then its machine stays. */
static int terminate_machine(
        struct scaler *scaler, const struct job *job, const struct config *config, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct github *github = NULL;
        struct aws *aws = NULL;
        char scope[GITHUB_SCOPE_SIZE] = "";
        int r = scaler_aws(scaler, &aws, err);

        if (r == 0)
                r = find_scope(scaler, aws, config, job, scope, err);
        if (r < 0 || !*scope)
                return r;
        r = scaler_github(scaler, &github, err);
        if (r == 0)
                r = ensure_token_for_scope(scaler, github, scope, job->installation, err);
        if (r < 0)
                return r;
        call = scaler_call(
                scaler, github_delete_runner(github, job->installation, scope, job->runner_id));
        r = github_delete_runner_answer(call, err);
        token_note_scope_result(scaler, github, scope, job->installation, r);
        if (r == GITHUB_RUNNER_BUSY) {
                log_info(&scaler->log, "runner has taken another job, its machine stays",
                        LOG_TEXT("instance", job->runner_name));
                return 0;
        }
        if (r < 0)
                return r;
        return leftovers_terminate(scaler, aws, (const char *const *)&job->runner_name, 1, err);
}

static int handle_job(
        struct scaler *scaler, const struct config *config, const struct job *job, struct err *err)
{
        const struct config_spec *spec = job->spec ? config_spec_by_name(config, job->spec) : NULL;
        int r;

        emit_run_time(scaler, job);
        log_info(&scaler->log, "job completed", LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository), LOG_TEXT("instance", job->runner_name),
                LOG_TEXT("conclusion", job->conclusion));
        if (!spec || !spec->terminate_on_completed || !ec2_is_instance_id(job->runner_name) ||
                job->runner_id == 0)
                return 0;
        r = terminate_machine(scaler, job, config, err);
        if (r == -EKEYREJECTED)
                scaler_forget_github(scaler); /* the next try reads the key again */
        return r < 0 ? err_prefix(err, r, "job %lld, instance %s", (long long)job->id,
                               job->runner_name)
                     : 0;
}

static int handle_record(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        struct completed *completed = userdata;
        struct job *job = &completed->jobs[record - completed->batch->records];
        int r = job_parse(record->body, strlen(record->body), job, err);

        return r < 0 ? r : handle_job(scaler, completed->config, job, err);
}

/* -- jobs that were lost with their machine -- */

static bool may_be_lost(const struct job *job)
{
        return job->conclusion && ec2_is_instance_id(job->runner_name) &&
               (strcmp(job->conclusion, "failure") == 0 ||
                       strcmp(job->conclusion, "cancelled") == 0);
}

static int describe_failed(struct scaler *scaler, const struct completed *completed,
        struct ec2_instances *ret, struct err *err)
{
        _cleanup_free_ const char **ids = mem_alloc(completed->batch->n_records * sizeof(char *));
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct aws *aws;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < completed->batch->n_records; i++)
                if (may_be_lost(&completed->jobs[i]))
                        ids[n++] = completed->jobs[i].runner_name;
        if (n == 0)
                return 0;
        r = scaler_aws(scaler, &aws, err);
        if (r < 0)
                return r;
        call = scaler_call(scaler, ec2_describe_instances(aws, ids, n));
        return ec2_describe_instances_answer(call, ret, err);
}

/* `instance` follows them as well, but knows a job only by its machine's tag, and hears of the end
 * only if EventBridge delivers it. Two messages cause one re-run. */
static void follow_losses(struct scaler *scaler, struct completed *completed)
{
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        struct err err;
        int described = describe_failed(scaler, completed, &instances, &err);

        for (size_t i = 0; i < completed->batch->n_records; i++) {
                struct job *job = &completed->jobs[i];
                const struct ec2_instance *instance;
                int r = described;

                if (completed->batch->records[i].result < 0 || !may_be_lost(job))
                        continue;
                instance = find_instance(&instances, job->runner_name, completed->config);
                if (r == 0 && instance && loss_is_evident(instance))
                        r = loss_follow(scaler, job, instance->id, &err);
                if (r < 0)
                        record_fail(scaler, &completed->batch->records[i], r, &err);
        }
}

void completed_handle(struct scaler *scaler, struct batch *batch)
{
        _cleanup_(completed_release) struct completed completed = {.batch = batch};
        struct err err;
        int r = scaler_config(scaler, &completed.config, &err);

        if (r < 0) {
                batch_fail(scaler, batch, r, &err);
                return;
        }
        completed.jobs = mem_alloc(batch->n_records * sizeof(struct job));
        batch_each(scaler, batch, handle_record, &completed);
        follow_losses(scaler, &completed);
        for (size_t i = 0; i < batch->n_records; i++)
                record_judge(&batch->records[i]);
}
