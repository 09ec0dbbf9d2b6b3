/* SPDX-License-Identifier: MIT */

/*
 * Settles a batch. A message is done when another one has taken its place (parked, the next
 * launch, a watch), or when its job needs nothing more.
 */

#include "queued.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sqs.h"
#include "job/follow.h"
#include "job/park.h"
#include "job/relaunch.h"
#include "job/undo_launches.h"

struct settling {
        struct queued *queued;
        struct queued_job **followed; /* have a machine with its hand-over */
        size_t n_followed;
        const struct registration **failed; /* launches to undo */
        size_t n_failed;
};

void queued_job_fail(
        struct queued *queued, struct queued_job *item, int result, const struct err *err)
{
        struct err text = *err;

        item->ignored = true;
        err_prefix(&text, 0, "job %lld", (long long)item->job.id);
        record_fail(queued->scaler, item->record, result, &text);
}

static void fail_for_good(
        struct queued *queued, struct queued_job *item, int result, const struct err *err)
{
        item->record->final = true;
        queued_job_fail(queued, item, result, err);
}

static void park(struct queued *queued, struct queued_job *item, const struct parking *parking)
{
        struct err err;
        int r = park_job(queued->scaler, &item->job, parking, &err);

        if (r < 0)
                record_fail(queued->scaler, item->record, r, &err);
}

/* -- launched or adopted -- */

static void emit_launched(struct queued *queued, const struct queued_job *item)
{
        const struct job *job = &item->job;
        int64_t launched = item->registration.launched_ms;
        const struct metric metrics[] = {
                {"Launched", METRIC_COUNT, 1},
                {"WebhookToLaunched", METRIC_MILLISECONDS,
                        job->webhook_ms > 0 ? launched - job->webhook_ms : 0},
                {"LaunchedToHandedOver", METRIC_MILLISECONDS,
                        clock_wall_ms(queued->scaler->clock) - launched},
                {"Failovers", METRIC_COUNT, (int64_t)item->launch->offer},
        };
        const struct log_field properties[] = {
                LOG_NUMBER("job", job->id),
                LOG_TEXT("instance", item->registration.instance.id),
                LOG_TEXT("repository", job->repository),
        };

        scaler_emit_metrics(queued->scaler, item->launch->spec->name, metrics, ARRAY_SIZE(metrics),
                properties, ARRAY_SIZE(properties));
}

static void settle_registered(struct settling *settling, struct queued_job *item)
{
        struct queued *queued = settling->queued;
        const struct registration *registration = &item->registration;

        log_info(&queued->scaler->log, registration->stored ? "handed over" : "found handed over",
                LOG_TEXT("instance", registration->instance.id), LOG_NUMBER("job", item->job.id),
                LOG_TEXT("repository", item->job.repository),
                LOG_NUMBER("runner", registration->runner_id));
        if (item->launch)
                emit_launched(queued, item);
        tell_job_goes_on(queued->scaler, &item->job);
        free(item->job.instance);
        item->job.instance = mem_string(registration->instance.id);
        item->job.runner_id = registration->runner_id;
        item->job.launched_ms = registration->launched_ms;
        item->job.watches = 0;
        settling->followed[settling->n_followed++] = item;
}

/* The machine is kept, and waits for its hand-over, unless no other try can help. */
static void settle_launched(struct settling *settling, struct queued_job *item)
{
        struct registration *registration = &item->registration;
        const struct setback *setback = &registration->setback;
        struct parking parking;

        if (registration->state == REGISTRATION_DONE) {
                settle_registered(settling, item);
                return;
        }
        if (setback->passing) {
                parking = parking_for(setback);
                park(settling->queued, item, &parking);
                return;
        }
        if (!registration->adopted)
                settling->failed[settling->n_failed++] = registration;
        fail_for_good(settling->queued, item, setback->result, &setback->err);
}

/* -- not launched -- */

/* Why the jobs of LAUNCH that have no instance are parked. */
static struct parking parking_of_launch(const struct queued *queued, const struct launch *launch)
{
        static const enum park_reason reasons[] = {
                [LAUNCH_NO_CAPACITY] = PARK_CAPACITY,
                [LAUNCH_QUOTA] = PARK_QUOTA,
                [LAUNCH_THROTTLED] = PARK_THROTTLED,
                [LAUNCH_UNSURE] = PARK_UNSURE,
                [LAUNCH_PAUSED] = PARK_GITHUB,
                [LAUNCH_STOPPED] = PARK_STOPPED,
                [LAUNCH_NO_TIME] = PARK_NO_TIME,
                [LAUNCH_FAILED] = PARK_REFUSED,
        };

        return (struct parking){
                .reason = reasons[launch->outcome],
                .until_ms = launch->outcome == LAUNCH_PAUSED
                                    ? setback_pause_until(queued->scaler, launch->installation)
                                    : launch->stopped_until_ms,
                .error = launch->err.text,
                .n_jobs = launch->n_jobs - launch->n_launched,
                .no_try = !launch->was_asked,
        };
}

static void settle_unlaunched(struct queued *queued, struct queued_job *item)
{
        const struct launch *launch = item->launch;
        const struct setback *setback =
                token_requests_setback(&queued->token_requests, launch->installation);
        struct parking parking = parking_of_launch(queued, launch);
        struct err err = launch->err;

        parking.quiet = &item->job != launch->jobs[launch->n_launched];
        if (launch->outcome == LAUNCH_PAUSED && setback) {
                if (!setback->passing) {
                        fail_for_good(queued, item, setback->result, &setback->err);
                        return;
                }
                parking.error = setback->err.text;
        }
        if (launch->outcome == LAUNCH_FAILED) {
                if (!parking.quiet)
                        tell_job_waits(queued->scaler, &item->job, &parking);
                err_prefix(&err, 0, "could not be launched");
                queued_job_fail(queued, item, -EREMOTEIO, &err);
                return;
        }
        item->job.offer = launch->outcome == LAUNCH_NO_CAPACITY || launch->outcome == LAUNCH_QUOTA
                                  ? 0
                                  : (int64_t)launch->offer;
        park(queued, item, &parking);
}

/* -- recalled, or checked -- */

static void settle_wait(
        struct queued *queued, struct queued_job *item, const struct setback *setback)
{
        struct parking parking = {.reason = PARK_HELD};

        if (setback->result < 0 && !setback->passing) {
                fail_for_good(queued, item, setback->result, &setback->err);
                return;
        }
        if (setback->result < 0)
                parking = parking_for(setback);
        park(queued, item, &parking);
}

static void settle_relaunch(struct queued *queued, struct queued_job *item)
{
        bool ended = !ec2_instance_lives(&item->recall.instance);
        struct err err;
        int r = relaunch_job(
                queued->scaler, &item->job, ended ? RELAUNCH_ENDED : RELAUNCH_TAKEN, &err);

        if (r < 0)
                record_fail(queued->scaler, item->record, r, &err);
}

static void settle_drop(struct queued *queued, struct queued_job *item, enum job_state state)
{
        log_info(&queued->scaler->log, "job waits no longer: nothing is launched for it",
                LOG_NUMBER("job", item->job.id), LOG_TEXT("repository", item->job.repository),
                LOG_TEXT("state", job_state_name(state)));
}

static void settle_refused(struct queued *queued, struct queued_job *item)
{
        struct err err;
        int r = fork_refuse_job(queued->scaler, &item->job, &err);

        if (r < 0)
                record_fail(queued->scaler, item->record, r, &err);
}

static void settle_checked(struct queued *queued, struct queued_job *item)
{
        if (item->fork.verdict == FORK_YES)
                settle_refused(queued, item);
        else
                settle_wait(queued, item, &item->fork.setback);
}

static void settle_job(struct settling *settling, struct queued_job *item)
{
        if (item->ignored)
                return;
        if (item->launched)
                settle_launched(settling, item);
        else if (item->launch)
                settle_unlaunched(settling->queued, item);
        else if (item->recall.verdict == RECALL_DROP)
                settle_drop(settling->queued, item, item->recall.state);
        else if (item->checked && item->fork.verdict != FORK_NO)
                settle_checked(settling->queued, item);
        else if (item->recall.verdict == RECALL_WAIT)
                settle_wait(settling->queued, item, &item->recall.setback);
        else if (item->recall.verdict == RECALL_RELAUNCH)
                settle_relaunch(settling->queued, item);
}

/* Before their messages are done: from then on, the watch is the promise. */
static void follow(struct settling *settling)
{
        struct scaler *scaler = settling->queued->scaler;

        for (size_t i = 0; i < settling->n_followed; i += SQS_BATCH_MAX) {
                struct job *jobs[SQS_BATCH_MAX];
                size_t n = settling->n_followed - i < SQS_BATCH_MAX ? settling->n_followed - i
                                                                    : SQS_BATCH_MAX;
                struct err err;
                int r;

                for (size_t j = 0; j < n; j++)
                        jobs[j] = &settling->followed[i + j]->job;
                r = follow_jobs(scaler, jobs, n, FOLLOW_SECONDS, &err);
                for (size_t j = 0; r < 0 && j < n; j++)
                        record_fail(scaler, settling->followed[i + j]->record, r, &err);
        }
}

void settle_jobs(struct queued *queued)
{
        _cleanup_free_ struct queued_job **followed =
                mem_alloc(queued->n_items * sizeof(*followed));
        _cleanup_free_ const struct registration **failed =
                mem_alloc(queued->n_items * sizeof(*failed));
        struct settling settling = {.queued = queued, .followed = followed, .failed = failed};

        for (size_t i = 0; i < queued->n_items; i++)
                settle_job(&settling, &queued->items[i]);
        follow(&settling);
        undo_launches(queued->scaler, queued->aws, failed, settling.n_failed);
}
