/* SPDX-License-Identifier: MIT */

/*
 * How long a job is parked, and what people are told about it.
 */

#include "park.h"

#include <stdio.h>

#include "line.h"
#include "queue/send.h"
#include "queue/tell_people.h"

/* What follows from each reason. */
static const struct {
        const char *name; /* for people and logs */
        int seconds;      /* the first delay; doubles each time where it `grows` */
        bool grows;
        bool keeps_fresh; /* this wait is short: see job_is_fresh() */
        bool counts;      /* as a try for capacity: the ladder starts over */
        int told_after;   /* waits; -1: never */
        enum notification_severity severity;
        const char *advice;
} reasons[] = {
        [PARK_CAPACITY] = {"no capacity", 30, true, false, true, 0, NOTIFICATION_WARNING,
                "No instance type of the ladder has capacity in any subnet of the spec. "
                "Add subnets in other zones, choose another instance type, or set "
                "on_demand_fallback. The jobs are retried automatically."},
        [PARK_QUOTA] = {"quota reached", 30, true, false, true, 0, NOTIFICATION_WARNING,
                "The account's limit for these instances is reached. "
                "Ask for a higher one under Service Quotas, "
                "or set on_demand_fallback for the spec. "
                "The jobs are retried automatically."},
        [PARK_REFUSED] = {"refused", 0, false, false, false, 0, NOTIFICATION_ERROR,
                "Nothing can be launched until this is fixed. "
                "The jobs are retried a few times and then become dead letters."},
        [PARK_THROTTLED] = {"throttled", 10, false, true, false, 6, NOTIFICATION_WARNING,
                "EC2 throttles RunInstances in this account and region. "
                "The jobs are retried automatically."},
        [PARK_NO_TIME] = {"out of time", 0, false, true, false, -1, NOTIFICATION_WARNING, ""},
        [PARK_UNSURE] = {"no answer", 300, false, false, false, 0, NOTIFICATION_WARNING,
                "EC2 did not answer the call. After five minutes we look for what it may have "
                "launched, and retry."},
        [PARK_GITHUB] = {"GitHub refuses", 15, true, false, false, 0, NOTIFICATION_WARNING,
                "GitHub fails, or its limit of calls is reached. Machines that were launched "
                "already are kept. The jobs are retried automatically."},
        [PARK_AWS] = {"AWS refuses", 15, true, false, false, 0, NOTIFICATION_WARNING,
                "AWS fails or throttles. Machines that were launched already are kept. "
                "The jobs are retried automatically."},
        [PARK_SETTINGS] = {"settings cannot be read", 15, true, false, false, 0, NOTIFICATION_ERROR,
                "Nothing can be launched until the scaler can read its configuration and GitHub's "
                "key. Run scaler doctor. The jobs are retried automatically."},
        [PARK_HELD] = {"held by GitHub", 300, true, false, false, -1, NOTIFICATION_WARNING, ""},
        [PARK_STOPPED] = {"launches are stopped", 300, false, false, false, -1, NOTIFICATION_ERROR,
                ""},
        [PARK_MACHINES] = {"limit reached", 0, false, false, false, 0, NOTIFICATION_INFO,
                "So many machines live as the configuration allows (max_machines, "
                "max_machines_per_repository). Each job is launched when its turn comes."},
        [PARK_PAUSE] = {"its machine ended", 30, true, false, false, -1, NOTIFICATION_WARNING, ""},
        [PARK_KEPT] = {"a limit, or an outage", 0, false, false, false, -1, NOTIFICATION_WARNING,
                ""},
        [PARK_NO_SPEC] = {"its spec is unknown", 60, false, false, false, -1, NOTIFICATION_WARNING,
                ""},
};

/* Rounded up. */
static int64_t seconds_until(const struct scaler *scaler, int64_t until_ms)
{
        int64_t left = until_ms - clock_wall_ms(scaler->clock);

        return left > 0 ? (left + MSEC_PER_SEC - 1) / MSEC_PER_SEC : 0;
}

/* In seconds; may be more than SQS's longest delay. */
static int64_t delay_of(
        const struct scaler *scaler, const struct job *job, const struct parking *parking)
{
        int64_t times = reasons[parking->reason].counts ? job->tries : job->waits;
        int64_t delay = reasons[parking->reason].seconds;
        int64_t left = seconds_until(scaler, parking->until_ms);

        /* A limit that is over by our clock, and yet not by GitHub's, is as one without an end. */
        if (left > 0)
                return left;
        if (reasons[parking->reason].grows)
                delay = times < 6 ? delay << times : SQS_DELAY_MAX_SECONDS;
        return delay < SQS_DELAY_MAX_SECONDS ? delay : SQS_DELAY_MAX_SECONDS;
}

void tell_job_waits(struct scaler *scaler, const struct job *job, const struct parking *parking)
{
        struct notification notification = {.severity = reasons[parking->reason].severity};
        char title[160];
        char key[160];
        char jobs[24];
        struct err err;

        snprintf(title, sizeof(title), "Jobs of spec %s wait: %s", job->spec,
                reasons[parking->reason].name);
        snprintf(key, sizeof(key), "wait %s %d", job->spec, (int)parking->reason);
        snprintf(jobs, sizeof(jobs), "%zu", parking->n_jobs > 0 ? parking->n_jobs : 1);
        notification.title = title;
        notification.key = key;
        notification.text = reasons[parking->reason].advice;
        notification.url = job->url;
        notification_fact(&notification, "Spec", job->spec);
        notification_fact(&notification, "Instance type", job->instance_type);
        notification_fact(&notification, "Jobs of this batch", jobs);
        notification_fact(&notification, "First of them", job->name);
        notification_fact(&notification, "Repository", job->repository);
        notification_fact(&notification, "Said last", parking->error);
        (void)tell_people(scaler, &notification, &err); /* logs a failure; the jobs go on */
}

void tell_job_goes_on(struct scaler *scaler, struct job *job)
{
        struct notification notification = {.severity = NOTIFICATION_INFO, .url = job->url};
        int64_t reason = job->told_of - 1;
        char title[160];
        char key[160];
        struct err err;

        job->told_of = 0;
        if (reason < 0 || reason >= (int64_t)ARRAY_SIZE(reasons))
                return;
        snprintf(title, sizeof(title), "Jobs of spec %s go on", job->spec);
        snprintf(key, sizeof(key), "goes on %s %d", job->spec, (int)reason);
        notification.title = title;
        notification.key = key;
        notification.text = "The first of them has its machine. Others may take some minutes.";
        notification_fact(&notification, "They waited", reasons[reason].name);
        notification_fact(&notification, "Spec", job->spec);
        notification_fact(&notification, "First of them", job->name);
        notification_fact(&notification, "Repository", job->repository);
        (void)tell_people(scaler, &notification, &err); /* logs a failure */
}

static void emit_parked(struct scaler *scaler, const struct job *job, enum park_reason reason)
{
        const struct metric metrics[] = {
                {reason == PARK_MACHINES ? "AtLimit" : "Parked", METRIC_COUNT, 1},
                {"WaitingAge", METRIC_MILLISECONDS, clock_wall_ms(scaler->clock) - job->queued_ms},
        };
        size_t n_metrics = job->queued_ms > 0 ? ARRAY_SIZE(metrics) : 1;
        const struct log_field properties[] = {
                LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository),
        };

        scaler_emit_metrics(
                scaler, job->spec, metrics, n_metrics, properties, ARRAY_SIZE(properties));
}

static void log_waiting(
        struct scaler *scaler, const struct job *job, const struct parking *parking, int64_t delay)
{
        char until[CLOCK_TEXT_SIZE];

        clock_format(clock_wall_ms(scaler->clock) + delay * MSEC_PER_SEC, until);
        log_warning(&scaler->log, "waiting", LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository), LOG_TEXT("spec", job->spec),
                LOG_TEXT("reason", reasons[parking->reason].name), LOG_TEXT("until", until),
                LOG_TEXT("error", parking->error), LOG_NUMBER("tries", job->tries),
                LOG_NUMBER("delay_seconds", delay));
}

/* By its group, SQS keeps the many parked jobs of one repository from delaying those of others:
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
 */
static int send_parked(struct scaler *scaler, const struct job *job, int64_t delay, struct err *err)
{
        _cleanup_free_ char *body = job_print(job);
        _cleanup_free_ char *group =
                job->repository ? mem_format("%.*s", SQS_GROUP_MAX, job->repository) : NULL;
        struct sqs_message message = {
                .body = body,
                .group = group,
                .delay_seconds =
                        delay < SQS_DELAY_MAX_SECONDS ? (unsigned)delay : SQS_DELAY_MAX_SECONDS,
        };
        int r = queue_send(scaler, "PARKED_QUEUE_URL", &message, err);

        return r < 0 ? err_prefix(err, r, "job %lld could not be parked", (long long)job->id) : 0;
}

int park_again(struct scaler *scaler, const struct job *job, struct err *err)
{
        return send_parked(scaler, job, seconds_until(scaler, job->not_before_ms), err);
}

int park_job(struct scaler *scaler, struct job *job, const struct parking *parking, struct err *err)
{
        int64_t delay = delay_of(scaler, job, parking);
        int told_after = reasons[parking->reason].told_after;
        bool tells;
        int r;

        job->action = JOB_QUEUED;
        job->not_before_ms = delay > SQS_DELAY_MAX_SECONDS ? parking->until_ms : 0;
        job->tries += reasons[parking->reason].counts && !parking->no_try;
        job->waits = reasons[parking->reason].counts ? 0 : job->waits + 1;
        job->stale = job->stale || !reasons[parking->reason].keeps_fresh;
        if (!reasons[parking->reason].keeps_fresh) {
                job->paced = 0;    /* many may go on at once then: keep the pace anew */
                job->asked_ms = 0; /* an equal job's machine may serve it meanwhile */
        }
        tells = !parking->quiet && told_after >= 0 && job->waits >= told_after;
        if (tells)
                job->told_of = (int64_t)parking->reason + 1;
        r = parking->reason == PARK_MACHINES ? line_up(scaler, job, err)
                                             : send_parked(scaler, job, delay, err);
        if (r < 0)
                return r;
        log_waiting(scaler, job, parking, delay);
        if (parking->reason != PARK_NO_TIME && parking->reason != PARK_THROTTLED)
                emit_parked(scaler, job, parking->reason);
        if (tells)
                tell_job_waits(scaler, job, parking);
        return 0;
}

void tell_job_is_kept(struct scaler *scaler, const struct job *job, const struct parking *parking,
        int64_t seconds)
{
        log_waiting(scaler, job, parking, seconds);
        emit_parked(scaler, job, parking->reason);
        if (!parking->quiet && reasons[parking->reason].told_after == 0)
                tell_job_waits(scaler, job, parking);
}

struct parking parking_for(const struct setback *setback)
{
        return (struct parking){
                .reason = setback->by_github ? PARK_GITHUB : PARK_AWS,
                .until_ms = setback->until_ms,
                .error = setback->err.text,
        };
}
