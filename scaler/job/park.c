/* SPDX-License-Identifier: MIT */

/*
 * How long a job is parked, and what people are told about it.
 */

#include "park.h"

#include <stdio.h>

#include "queue/send.h"
#include "queue/tell_people.h"

#define DELAY_FIRST_SECONDS 30
#define THROTTLED_DELAY_SECONDS 10
/* https://docs.github.com/en/actions/reference/limits: a job waits for a runner this long. */
#define QUEUED_MAX_MS (24 * 60 * 60 * MSEC_PER_SEC)

bool job_has_expired(struct scaler *scaler, const struct job *job)
{
        int64_t since = job->queued_ms > 0 ? job->queued_ms : job->webhook_ms;

        if (since == 0 || clock_wall_ms(scaler->clock) - since < QUEUED_MAX_MS)
                return false;
        log_warning(&scaler->log, "job dropped: GitHub cancelled it after 24 hours in the queue",
                LOG_NUMBER("job", job->id), LOG_TEXT("repository", job->repository));
        return true;
}

/* 30 s, 60 s, … 15 min for capacity; a short delay where EC2 only throttles. */
static unsigned delay_seconds(const struct job *job, enum launch_outcome outcome)
{
        int64_t delay;

        if (outcome == LAUNCH_NO_TIME)
                return 0;
        if (outcome == LAUNCH_THROTTLED)
                return THROTTLED_DELAY_SECONDS;
        delay = job->tries < 5 ? (int64_t)DELAY_FIRST_SECONDS << job->tries : SQS_DELAY_MAX_SECONDS;
        return delay < SQS_DELAY_MAX_SECONDS ? (unsigned)delay : SQS_DELAY_MAX_SECONDS;
}

/* For people: what it means, and what to do. */
static const char *advice(enum launch_outcome outcome)
{
        if (outcome == LAUNCH_QUOTA)
                return "The account's limit for these instances is reached. "
                       "Ask for a higher one under Service Quotas, "
                       "or set on_demand_fallback for the spec. "
                       "The jobs are retried automatically.";
        if (outcome == LAUNCH_FAILED)
                return "Nothing can be launched until this is fixed. "
                       "The jobs are retried a few times and then become dead letters.";
        return "No instance type of the ladder has capacity in any subnet of the spec. "
               "Add subnets in other zones, choose another instance type, or set "
               "on_demand_fallback. The jobs are retried automatically.";
}

void tell_jobs_wait(struct scaler *scaler, const struct launch *launch)
{
        struct notification notification = {.severity = NOTIFICATION_WARNING};
        char title[160];
        char key[160];
        char jobs[24];
        struct err err;

        snprintf(title, sizeof(title), "Jobs of spec %s wait: %s", launch->spec->name,
                launch_outcome_name(launch->outcome));
        snprintf(key, sizeof(key), "launch %s %d", launch->spec->name, (int)launch->outcome);
        snprintf(jobs, sizeof(jobs), "%zu", launch->n_jobs - launch->n_launched);
        if (launch->outcome == LAUNCH_FAILED)
                notification.severity = NOTIFICATION_ERROR;
        notification.title = title;
        notification.key = key;
        notification.text = advice(launch->outcome);
        notification.url = launch->jobs[launch->n_launched]->url;
        notification_fact(&notification, "Spec", launch->spec->name);
        notification_fact(&notification, "Instance type", launch->instance_type);
        notification_fact(&notification, "Jobs of this batch", jobs);
        notification_fact(&notification, "First of them", launch->jobs[launch->n_launched]->name);
        notification_fact(
                &notification, "Repository", launch->jobs[launch->n_launched]->repository);
        notification_fact(&notification, "EC2 said last", launch->err.text);
        (void)tell_people(scaler, &notification, &err); /* logs a failure; the jobs go on */
}

static void emit_parked(struct scaler *scaler, const struct job *job)
{
        const struct metric metric = {"Parked", METRIC_COUNT, 1};
        const struct log_field properties[] = {
                LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository),
        };

        scaler_emit_metrics(scaler, job->spec, &metric, 1, properties, ARRAY_SIZE(properties));
}

int park_job(struct scaler *scaler, struct job *job, const struct launch *launch, struct err *err)
{
        bool waits = launch->outcome == LAUNCH_NO_CAPACITY || launch->outcome == LAUNCH_QUOTA;
        struct sqs_message message = {.delay_seconds = delay_seconds(job, launch->outcome)};
        _cleanup_free_ char *body = NULL;
        int r;

        /* A ladder that was climbed to its end starts over; if EC2 was asked, that was a try. In
         * all other cases the job goes on where it was, with the same client token. */
        job->offer = waits ? 0 : (int64_t)launch->offer;
        job->tries += waits && launch->was_asked;
        body = job_print(job);
        message.body = body;
        r = queue_send(scaler, "PARKED_QUEUE_URL", &message, err);
        if (r < 0)
                return err_prefix(err, r, "job %lld could not be parked", (long long)job->id);
        log_warning(&scaler->log, "parked", LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository), LOG_TEXT("spec", job->spec),
                LOG_TEXT("reason", launch_outcome_name(launch->outcome)),
                LOG_TEXT("error", launch->err.text), LOG_NUMBER("tries", job->tries),
                LOG_NUMBER("delay_seconds", message.delay_seconds));
        if (waits) {
                emit_parked(scaler, job);
                if (job == launch->jobs[launch->n_launched])
                        tell_jobs_wait(scaler, launch);
        }
        return 0;
}
