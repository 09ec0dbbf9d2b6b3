/* SPDX-License-Identifier: MIT */

/*
 * Reads what a machine's tags and EC2 say of a loss, and sends the message that follows the job.
 */

#include "loss.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/denied.h"
#include "queue/send.h"

#define INTERRUPTED_TAG "scale-agent:interrupted"
#define RUNS_PATH "/actions/runs/"
#define MACHINES_MAX ((size_t)512 * EC2_ID_SIZE)

int loss_note_warning(struct scaler *scaler, struct aws *aws, const struct ec2_instance *instance,
        struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        char now[CLOCK_TEXT_SIZE];
        const struct ec2_tag tag = {INTERRUPTED_TAG, now};
        int r;

        clock_format(clock_wall_ms(scaler->clock), now);
        call = scaler_call(scaler, ec2_create_tags(aws, instance->id, &tag, 1));
        r = denied_explain(scaler, aws, instance->id, ec2_create_tags_answer(call, err), err);
        return r < 0 ? r : 0; /* one that is gone says itself why */
}

bool loss_is_evident(const struct ec2_instance *instance)
{
        return ec2_instance_tag(instance, INTERRUPTED_TAG) ||
               strcmp(instance->state_reason, "Server.SpotInstanceTermination") == 0;
}

bool loss_may_rerun(const struct config *config, const struct ec2_instance *instance)
{
        const char *name = ec2_instance_tag(instance, "scale-agent:spec");
        const struct config_spec *spec = name ? config_spec_by_name(config, name) : NULL;

        return spec && config_spec_reruns(spec);
}

/* -- the job, from the machine's tags -- */

/* The part of URL between the slash before its last but one component and END: "OWNER/REPO". */
static char *repository_before(const char *url, const char *end)
{
        const char *at = end;
        int slashes = 0;

        while (at > url && slashes < 2)
                slashes += *--at == '/';
        return slashes == 2 ? mem_format("%.*s", (int)(end - at - 1), at + 1) : NULL;
}

/* https://HOST/OWNER/REPO/actions/runs/RUN/job/JOB */
static bool read_url(const char *url, struct job *job)
{
        const char *path = url ? strstr(url, RUNS_PATH) : NULL;
        long long run;
        long long id;
        int end = 0;

        if (!path || sscanf(path, RUNS_PATH "%15lld/job/%15lld%n", &run, &id, &end) != 2 ||
                path[end] != '\0' || run < 1 || id < 1)
                return false;
        job->repository = repository_before(url, path);
        job->run_id = run;
        job->id = id;
        return job->repository != NULL;
}

static int64_t tag_number(const struct ec2_instance *instance, const char *key)
{
        const char *text = ec2_instance_tag(instance, key);
        int64_t number = text ? strtoll(text, NULL, 10) : 0;

        return number > 0 ? number : 0;
}

bool loss_job_of(const struct ec2_instance *instance, struct job *ret)
{
        struct job job = {
                .attempt = tag_number(instance, JOB_ATTEMPT_TAG),
                .installation = tag_number(instance, "scale-agent:installation"),
        };
        const char *url = ec2_instance_tag(instance, JOB_TAG);

        if (!read_url(url, &job))
                return false;
        job.url = mem_string(url);
        job.spec = mem_string(ec2_instance_tag(instance, "scale-agent:spec"));
        *ret = job;
        return true;
}

/* -- machines -- */

bool loss_has_machine(const struct job *job, const char *instance)
{
        char pattern[EC2_ID_SIZE + 2];

        snprintf(pattern, sizeof(pattern), "/%s/", instance);
        return job->machines && strstr(job->machines, pattern);
}

void loss_add_machine(struct job *job, const char *instance)
{
        char *machines;

        if (loss_has_machine(job, instance) ||
                (job->machines && strlen(job->machines) > MACHINES_MAX))
                return;
        machines = mem_format("%s%s/", job->machines ? job->machines : "/", instance);
        free(job->machines);
        job->machines = machines;
}

/* -- its message -- */

static int send_loss(struct scaler *scaler, struct job *job, struct err *err)
{
        static const unsigned delays[] = {60, 120, 300, 600, SQS_DELAY_MAX_SECONDS};
        int64_t last = (int64_t)ARRAY_SIZE(delays) - 1;
        _cleanup_free_ char *body = NULL;
        struct sqs_message message = {
                .delay_seconds = delays[job->watches < last ? job->watches : last],
        };
        int r;

        job->action = JOB_LOST;
        body = job_print(job);
        message.body = body;
        r = queue_send(scaler, "WATCH_QUEUE_URL", &message, err);
        return r < 0 ? err_prefix(err, r, "lost job %lld could not be followed", (long long)job->id)
                     : 0;
}

int loss_follow(struct scaler *scaler, struct job *job, const char *instance, struct err *err)
{
        if (job->run_id == 0 || job->attempt == 0)
                return 0;
        log_warning(&scaler->log, "job lost with its spot instance", LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository), LOG_TEXT("instance", instance));
        free(job->instance);
        job->instance = mem_string(instance);
        job->watches = 0;
        job->waits = 0;
        job->lost_ms = clock_wall_ms(scaler->clock);
        loss_add_machine(job, instance);
        return send_loss(scaler, job, err);
}

int loss_follow_again(struct scaler *scaler, struct job *job, struct err *err)
{
        job->watches++;
        return send_loss(scaler, job, err);
}
