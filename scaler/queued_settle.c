/* SPDX-License-Identifier: MIT */

/*
 * Settles a batch. A message is done when another one has taken its place (parked, the next
 * launch, one to register), or when its job needs nothing more.
 */

#include "queued.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sqs.h"
#include "job/launched.h"
#include "job/paced.h"
#include "job/park.h"
#include "job/relaunch.h"

struct settling {
        struct queued *queued;
        struct queued_job **launched; /* have a machine */
        size_t n_launched;
        struct queued_job **paced; /* are to wait in line */
        size_t n_paced;
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
                .until_ms = launch->outcome == LAUNCH_PAUSED && launch->stopped_until_ms == 0
                                    ? setback_pause_until(queued->scaler, launch->installation)
                                    : launch->stopped_until_ms,
                .error = launch->err.text,
                .n_jobs = launch->n_jobs - launch->n_launched,
                .no_try = !launch->was_asked,
        };
}

/* A try that goes on from where this one ended asks for the same, so that EC2 recognizes its client
 * token; one that begins anew may ask for everything. */
static void note_left_out(struct job *job, const struct launch *launch)
{
        free(MEM_STEAL(job->left_out));
        if (launch->outcome != LAUNCH_NO_CAPACITY && launch->outcome != LAUNCH_QUOTA)
                job->left_out = pool_set_print(&launch->left_out);
}

static void settle_unlaunched(struct queued *queued, struct queued_job *item)
{
        const struct launch *launch = item->launch;
        const struct setback *setback = launch_setback(queued, launch);
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
        note_left_out(&item->job, launch);
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

/* People are told of one job of each spec. */
static void settle_limited(struct queued *queued, struct queued_job *item)
{
        struct parking parking = {.reason = PARK_MACHINES, .error = item->limit_text};

        for (size_t i = 0; i < queued->n_items; i++) {
                const struct queued_job *other = &queued->items[i];

                if (other->limit == LIMIT_NONE || strcmp(other->job.spec, item->job.spec) != 0)
                        continue;
                parking.n_jobs++;
                parking.quiet = parking.quiet || other < item;
        }
        park(queued, item, &parking);
}

static void settle_job(struct settling *settling, struct queued_job *item)
{
        if (item->ignored)
                return;
        if (item->paced) {
                /* EC2 may not have shown yet what was launched for it before. */
                item->job.stale = item->job.stale || item->record->receive_count > 1;
                settling->paced[settling->n_paced++] = item;
        } else if (item->launched)
                settling->launched[settling->n_launched++] = item;
        else if (item->limit != LIMIT_NONE)
                settle_limited(settling->queued, item);
        else if (item->uncounted)
                settle_wait(settling->queued, item, &settling->queued->count_setback);
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

/* Sends ITEMS with SEND, before their messages are done: from then on, the new ones are the
 * promise. */
static void send_all(struct scaler *scaler, struct queued_job *const *items, size_t n_items,
        int (*send)(struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err))
{
        for (size_t i = 0; i < n_items; i += SQS_BATCH_MAX) {
                struct job *jobs[SQS_BATCH_MAX];
                size_t n = n_items - i < SQS_BATCH_MAX ? n_items - i : SQS_BATCH_MAX;
                struct err err;
                int r;

                for (size_t j = 0; j < n; j++)
                        jobs[j] = &items[i + j]->job;
                r = send(scaler, jobs, n, &err);
                for (size_t j = 0; r < 0 && j < n; j++)
                        record_fail(scaler, items[i + j]->record, r, &err);
        }
}

void settle_jobs(struct queued *queued)
{
        size_t n = queued->n_items;
        _cleanup_free_ struct queued_job **launched = mem_alloc((n + 1) * sizeof(*launched));
        _cleanup_free_ struct queued_job **paced = mem_alloc((n + 1) * sizeof(*paced));
        struct settling settling = {.queued = queued, .launched = launched, .paced = paced};

        for (size_t i = 0; i < n; i++)
                settle_job(&settling, &queued->items[i]);
        send_all(queued->scaler, launched, settling.n_launched, launched_send);
        send_all(queued->scaler, paced, settling.n_paced, paced_send);
}
