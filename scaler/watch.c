/* SPDX-License-Identifier: MIT */

/*
 * Alongside a job's life: the promises that wait for their time. Messages come from two queues:
 *
 *      parked   a job that could not go on: it is sent to queued.fifo again
 *      watch    a job that got a machine minutes ago: if it still waits, and its machine will not
 *               run it, the next launch for it is sent to queued.fifo, or to the end of the line.
 *               Also a job that was lost with its spot instance: when its run has ended, GitHub
 *               runs it again
 *
 * A job that runs is found by EC2's tags, without a call to GitHub. A watch ends only when GitHub
 * no longer says that its job waits; until then each one that ends sends another. So does one that
 * has come too often while AWS fails.
 */

#include "handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job/follow.h"
#include "job/forward.h"
#include "job/job.h"
#include "job/launch_name.h"
#include "job/line.h"
#include "job/park.h"
#include "job/rerun.h"
#include "job/watch_jobs.h"

/* A batch, and the watches in it. */
struct watching {
        struct watched *items;
        size_t n_items;
        struct record **records; /* of each item */
        char **keys;             /* of each item: which look at its job this is */
};

static void watching_release(struct watching *watching)
{
        for (size_t i = 0; i < watching->n_items; i++) {
                job_release(&watching->items[i].job);
                free(watching->keys[i]);
        }
        free(watching->items);
        free(watching->records);
        free(watching->keys);
}

/* -- what comes twice -- */

static char *key_of(const struct job *job)
{
        char name[LAUNCH_NAME_SIZE];

        launch_name(job, name);
        return mem_format("%d %s %s %lld %lld %s", (int)job->action, name,
                job->instance ? job->instance : "", (long long)job->watches, (long long)job->waits,
                job->machines ? job->machines : "");
}

/* Whether the look of KEY was done a moment ago, or is already in this batch. Two equal messages
 * would each send the next one, and each of those may come twice again. */
static bool is_double(const struct scaler *scaler, const struct watching *watching, const char *key)
{
        for (size_t i = 0; i < watching->n_items; i++)
                if (strcmp(watching->keys[i], key) == 0)
                        return true;
        return recent_has(&scaler->watched, key, clock_monotonic_ms(scaler->clock));
}

static void note_done(struct scaler *scaler, const char *key)
{
        recent_note(&scaler->watched, key,
                clock_monotonic_ms(scaler->clock) + FOLLOW_LATE_SECONDS * MSEC_PER_SEC);
}

/* -- reading the batch -- */

static int look_at_lost(
        struct scaler *scaler, const struct watching *watching, struct job *job, struct err *err)
{
        _cleanup_free_ char *key = key_of(job);
        int r;

        if (is_double(scaler, watching, key))
                return 0;
        r = rerun_lost_job(scaler, job, err);
        if (r == 0)
                note_done(scaler, key);
        return r;
}

/* One that is parked for longer than SQS can delay a message waits on. */
static int unpark(struct scaler *scaler, struct job *job, struct err *err)
{
        if (job->not_before_ms > clock_wall_ms(scaler->clock))
                return park_again(scaler, job, err);
        job->not_before_ms = 0;
        return forward_job(scaler, job, err);
}

static int read_record(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        struct watching *watching = userdata;
        _cleanup_(job_release) struct job job = {0};
        _cleanup_free_ char *key = NULL;
        int r = job_parse(record->body, strlen(record->body), &job, err);

        record->final = r < 0;
        if (r < 0)
                return r;
        if (job.action == JOB_QUEUED)
                return unpark(scaler, &job, err);
        if (job.action == JOB_LOST)
                return look_at_lost(scaler, watching, &job, err);
        if (job.action == JOB_PACED || job.action == JOB_LIMITED) {
                record->receives_max = LINE_RECEIVES_MAX;
                return err_set(err, -ENOTSUP,
                        "job %lld waits in line, and the function `admit` is missing: update the "
                        "stack (make stack)",
                        (long long)job.id);
        }
        record->final = true;
        if (job.action != JOB_WATCHED || !ec2_is_instance_id(job.instance))
                return err_set(err, -EBADMSG,
                        "job %lld: the message is neither of a parked or lost job nor a watch",
                        (long long)job.id);
        record->final = false;
        key = key_of(&job);
        if (is_double(scaler, watching, key))
                return 0;
        watching->keys[watching->n_items] = MEM_STEAL(key);
        watching->records[watching->n_items] = record;
        watching->items[watching->n_items++].job = job;
        job = (struct job){0};
        return 0;
}

/* Less than the queue delivers, as the template says. */
#define RECEIVES_ENOUGH 25

/* Where AWS denies something, a person has to mend that, and is told by a dead letter. */
static bool fails_for_long(const struct record *record)
{
        return record->result < 0 && record->result != -EACCES &&
               record->receive_count >= RECEIVES_ENOUGH;
}

/* An outage may last for longer than a message comes. What was decided about the job and could not
 * be sent is decided again, so the message is read again. */
static void renew(struct scaler *scaler, struct record *record)
{
        _cleanup_(job_release) struct job job = {0};
        struct err err;

        if (!fails_for_long(record) ||
                job_parse(record->body, strlen(record->body), &job, &err) < 0 ||
                watch_is_over(scaler, &job))
                return;
        if (follow_jobs(scaler, &(struct job *){&job}, 1, FOLLOW_LATE_SECONDS, &err) == 0)
                record->result = 0;
        else
                log_warning(&scaler->log, "watch could not be renewed", LOG_NUMBER("job", job.id),
                        LOG_TEXT("error", err.text));
}

static void look(struct scaler *scaler, const struct watching *watching)
{
        struct err err;
        int r = 0;

        if (watching->n_items > 0)
                r = watch_jobs(scaler, watching->items, watching->n_items, &err);
        for (size_t i = 0; i < watching->n_items; i++) {
                const struct watched *watched = &watching->items[i];

                if (r < 0 || watched->result < 0)
                        record_fail(scaler, watching->records[i], r < 0 ? r : watched->result,
                                r < 0 ? &err : &watched->err);
                else
                        note_done(scaler, watching->keys[i]);
                renew(scaler, watching->records[i]);
        }
}

void watch_handle(struct scaler *scaler, struct batch *batch)
{
        size_t n = batch->n_records;
        _cleanup_(watching_release) struct watching watching = {
                .items = mem_alloc(n * sizeof(struct watched)),
                .records = mem_alloc(n * sizeof(struct record *)),
                .keys = mem_alloc(n * sizeof(char *)),
        };

        batch_each(scaler, batch, read_record, &watching);
        look(scaler, &watching);
}
