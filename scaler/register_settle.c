/* SPDX-License-Identifier: MIT */

/*
 * Settles a batch. A message is done when another one has taken its place (a watch, parked, the
 * next launch), or when its job needs nothing more. One that waits comes again: what keeps it from
 * going on keeps the whole installation, and is asked once, not once for each job.
 */

#include "register.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sqs.h"
#include "job/follow.h"
#include "job/relaunch.h"
#include "job/undo_launches.h"

/* A message that has failed so often, for whatever reason, must not hold up others any longer. */
#define RECEIVES_OF_ITS_OWN 4
/* After a failure that is no limit. */
#define RETRY_MS (15 * MSEC_PER_SEC)
/* Until a person may have mended the settings. */
#define SETTINGS_SECONDS 60

struct settling {
        struct registering *registering;
        struct registering_job **followed; /* have their hand-over */
        size_t n_followed;
        const struct registration **failed; /* launches to undo */
        size_t n_failed;
};

void registering_job_fail(struct registering *registering, struct registering_job *item, int result,
        const struct err *err)
{
        struct err text = *err;

        item->ignored = true;
        if (item->record->receive_count >= RECEIVES_OF_ITS_OWN)
                item->record->final = true;
        err_prefix(&text, 0, "job %lld", (long long)item->launched.job.id);
        record_fail(registering->scaler, item->record, result, &text);
}

static void fail_for_good(struct registering *registering, struct registering_job *item, int result,
        const struct err *err)
{
        item->record->final = true;
        registering_job_fail(registering, item, result, err);
}

/* A message that could not be settled. It comes again soon, however often it came before: most of
 * that was waiting, and those behind it wait for it. */
static void fail_for_now(struct registering *registering, struct registering_job *item, int result,
        const struct err *err)
{
        record_fail(registering->scaler, item->record, result, err);
        item->record->hidden_seconds = RETRY_MS / MSEC_PER_SEC;
}

void registering_job_park(struct registering *registering, struct registering_job *item,
        const struct parking *parking)
{
        struct err err;
        int r = park_job(registering->scaler, &item->launched.job, parking, &err);

        if (r < 0)
                fail_for_now(registering, item, r, &err);
}

/* -- handed over -- */

static void emit_launched(const struct registering *registering, const struct registering_job *item)
{
        const struct job *job = &item->launched.job;
        const struct metric metrics[] = {
                {"Launched", METRIC_COUNT, 1},
                {"WebhookToLaunched", METRIC_MILLISECONDS,
                        job->webhook_ms > 0 ? job->launched_ms - job->webhook_ms : 0},
                {"LaunchedToHandedOver", METRIC_MILLISECONDS,
                        clock_wall_ms(registering->scaler->clock) - job->launched_ms},
                {"Failovers", METRIC_COUNT, job->offer},
        };
        const struct log_field properties[] = {
                LOG_NUMBER("job", job->id),
                LOG_TEXT("instance", job->instance),
                LOG_TEXT("repository", job->repository),
        };

        scaler_emit_metrics(registering->scaler, item->registration.spec->name, metrics,
                ARRAY_SIZE(metrics), properties, ARRAY_SIZE(properties));
}

/* Whether the job has waited so long that people were told: its message cannot remember that. */
static bool has_waited(const struct scaler *scaler, const struct record *record)
{
        return record->receive_count > 1 && record->first_receive_ms > 0 &&
               clock_wall_ms(scaler->clock) - record->first_receive_ms >= REGISTER_PACE_MOST_MS;
}

static void settle_registered(struct settling *settling, struct registering_job *item)
{
        struct scaler *scaler = settling->registering->scaler;
        const struct registration *registration = &item->registration;
        struct job *job = &item->launched.job;

        log_info(&scaler->log, registration->stored ? "handed over" : "found handed over",
                LOG_TEXT("instance", registration->instance.id), LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository),
                LOG_NUMBER("runner", registration->runner_id));
        if (!item->launched.adopted)
                emit_launched(settling->registering, item);
        if (has_waited(scaler, item->record))
                job->told_of = (int64_t)PARK_KEPT + 1;
        tell_job_goes_on(scaler, job);
        job->runner_id = registration->runner_id;
        settling->followed[settling->n_followed++] = item;
}

/* -- not handed over -- */

/* Whether SETBACK is in the way of this job alone, so that others need not wait: it is about the
 * job, no other of the batch has met it, or it comes back each time. */
static bool is_its_own(const struct settling *settling, const struct registering_job *item,
        const struct setback *setback)
{
        if (setback->is_limit)
                return false;
        return setback->result == -EEXIST || settling->n_followed > 0 ||
               item->record->receive_count >= RECEIVES_OF_ITS_OWN;
}

static void wait_for(
        struct settling *settling, struct registering_job *item, const struct setback *setback)
{
        const struct scaler *scaler = settling->registering->scaler;

        item->limit = setback;
        item->until_ms = setback->is_limit ? setback_ends(scaler, setback)
                                           : clock_wall_ms(scaler->clock) + RETRY_MS;
}

static void settle_setback(
        struct settling *settling, struct registering_job *item, const struct setback *setback)
{
        struct parking parking = parking_for(setback);

        if (!setback->passing)
                fail_for_good(settling->registering, item, setback->result, &setback->err);
        else if (is_its_own(settling, item, setback))
                registering_job_park(settling->registering, item, &parking);
        else
                wait_for(settling, item, setback);
}

/* The machine is kept, and waits for its hand-over, unless no other try can help. One that an
 * earlier try may have handed over is kept even then: it may have a job. */
static void settle_launched(struct settling *settling, struct registering_job *item)
{
        const struct registration *registration = &item->registration;

        if (registration->state == REGISTRATION_DONE)
                return;
        if (!registration->setback.passing && !registration->adopted)
                settling->failed[settling->n_failed++] = registration;
        settle_setback(settling, item, &registration->setback);
}

/* EC2 could not be asked. */
static void settle_unknown(struct settling *settling, struct registering_job *item)
{
        const struct setback *setback = &item->recall.setback;

        if (setback->passing)
                settle_setback(settling, item, setback);
        else
                registering_job_fail(settling->registering, item, setback->result, &setback->err);
}

static void settle_relaunch(struct settling *settling, struct registering_job *item)
{
        struct scaler *scaler = settling->registering->scaler;
        const struct ec2_instance *machine = &item->recall.instance; /* no id: it is gone */
        struct err err;
        int r;

        if (machine->id[0] && ec2_instance_lives(machine)) {
                settling->followed[settling->n_followed++] = item;
                return;
        }
        r = relaunch_job(scaler, &item->launched.job, RELAUNCH_ENDED, &err);
        if (r < 0)
                fail_for_now(settling->registering, item, r, &err);
}

static void settle_job(struct settling *settling, struct registering_job *item)
{
        if (item->ignored || item->until_ms > 0)
                return;
        if (item->registers)
                settle_launched(settling, item);
        else if (item->recall.verdict == RECALL_RELAUNCH)
                settle_relaunch(settling, item);
        else
                settle_unknown(settling, item);
}

/* -- all of them -- */

/* Before their messages are done: from then on, the watch is the promise. */
static void follow(struct settling *settling)
{
        struct scaler *scaler = settling->registering->scaler;

        for (size_t i = 0; i < settling->n_followed; i += SQS_BATCH_MAX) {
                struct job *jobs[SQS_BATCH_MAX];
                size_t n = settling->n_followed - i < SQS_BATCH_MAX ? settling->n_followed - i
                                                                    : SQS_BATCH_MAX;
                struct err err;
                int r;

                for (size_t j = 0; j < n; j++) {
                        jobs[j] = &settling->followed[i + j]->launched.job;
                        jobs[j]->waits = 0; /* from now on, for takers' machines */
                }
                r = follow_jobs(scaler, jobs, n, 0, &err);
                for (size_t j = 0; r < 0 && j < n; j++)
                        fail_for_now(settling->registering, settling->followed[i + j], r, &err);
        }
}

static size_t count_waiting(const struct registering *registering)
{
        size_t n = 0;

        for (size_t i = 0; i < registering->n_items; i++)
                n += registering->items[i].until_ms > 0;
        return n;
}

/* Hides what waits. People hear of limits, and not of the pace. */
static void hide_waiting(struct registering *registering)
{
        struct scaler *scaler = registering->scaler;
        size_t n_waiting = count_waiting(registering);
        bool is_told = false;

        for (size_t i = 0; i < registering->n_items; i++) {
                struct registering_job *item = &registering->items[i];
                int64_t left_ms = item->until_ms - clock_wall_ms(scaler->clock);
                int64_t seconds = left_ms > 0 ? (left_ms + MSEC_PER_SEC - 1) / MSEC_PER_SEC : 1;
                struct parking parking;

                if (item->until_ms == 0)
                        continue;
                if (!item->limit) {
                        record_hide(item->record, -EAGAIN, seconds, &(struct err){{0}});
                        continue;
                }
                parking = parking_for(item->limit);
                parking.n_jobs = n_waiting;
                parking.quiet = is_told;
                is_told = true;
                record_hide(item->record, item->limit->result, seconds, &item->limit->err);
                tell_job_is_kept(scaler, &item->launched.job, &parking, seconds);
        }
}

/* Those that have their hand-over first: they show that it is not everybody who must wait. */
void settle_registrations(struct registering *registering)
{
        size_t n = registering->n_items;
        _cleanup_free_ struct registering_job **followed = mem_alloc(n * sizeof(*followed));
        _cleanup_free_ const struct registration **failed = mem_alloc(n * sizeof(*failed));
        struct settling settling = {
                .registering = registering, .followed = followed, .failed = failed};

        for (size_t i = 0; i < n; i++)
                if (registering->items[i].registers &&
                        registering->items[i].registration.state == REGISTRATION_DONE)
                        settle_registered(&settling, &registering->items[i]);
        for (size_t i = 0; i < n; i++)
                settle_job(&settling, &registering->items[i]);
        follow(&settling);
        undo_launches(registering->scaler, registering->aws, failed, settling.n_failed);
        hide_waiting(registering);
}

void wait_for_settings(struct registering *registering, int result, const struct err *why)
{
        bool is_told = false;

        log_error(&registering->scaler->log, "nothing can be registered, machines wait",
                LOG_TEXT("error", why->text));
        for (size_t i = 0; i < registering->n_items; i++) {
                struct registering_job *item = &registering->items[i];
                const struct parking parking = {
                        .reason = PARK_SETTINGS, .error = why->text, .quiet = is_told};

                if (item->ignored)
                        continue;
                record_hide(item->record, result, SETTINGS_SECONDS, why);
                tell_job_is_kept(
                        registering->scaler, &item->launched.job, &parking, SETTINGS_SECONDS);
                is_told = true;
        }
}
