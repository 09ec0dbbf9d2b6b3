/* SPDX-License-Identifier: MIT */

/*
 * Alongside a job's life: the promises that wait for their time. Messages come from four queues:
 *
 *      paced    a job of a burst that waits in line: when it is its turn, it is sent to queued.fifo
 *      parked   a job that could not go on: it is sent to queued.fifo again
 *      limited  the first job of a line at a limit of machines: it looks for room
 *      watch    a job that got a machine minutes ago: if it still waits, and its machine will not
 *               run it, the next launch for it is sent to queued.fifo. Also a job that was lost
 * with its spot instance: when its run has ended, GitHub runs it again
 *
 * A job that runs is found by EC2's tags, without a call to GitHub. A watch ends only when GitHub
 * no longer says that its job waits; until then each one that ends sends another.
 */

#include "handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job/forward.h"
#include "job/job.h"
#include "job/line.h"
#include "job/line_look.h"
#include "job/paced.h"
#include "job/park.h"
#include "job/rerun.h"
#include "job/watch_jobs.h"

/* A batch, and the watches in it. */
struct watching {
        struct watched *items;
        size_t n_items;
        struct record **records; /* of each item */
        struct paced *paced;
        size_t n_paced;
        struct record **paced_records;
};

static void watching_release(struct watching *watching)
{
        for (size_t i = 0; i < watching->n_items; i++)
                job_release(&watching->items[i].job);
        for (size_t i = 0; i < watching->n_paced; i++)
                job_release(&watching->paced[i].job);
        free(watching->items);
        free(watching->records);
        free(watching->paced);
        free(watching->paced_records);
}

/* One that is parked for longer than SQS can delay a message waits on. */
static int unpark(struct scaler *scaler, struct job *job, struct err *err)
{
        if (job->not_before_ms > clock_wall_ms(scaler->clock))
                return park_again(scaler, job, err);
        job->not_before_ms = 0;
        return forward_job(scaler, job, err);
}

/* Waiting in line uses up receives, so no failure there makes a dead letter before that of the last
 * one. */
static int wait_in_line(struct scaler *scaler, struct record *record, enum job_action line,
        struct job *job, int64_t seconds, const struct err *why, struct err *err)
{
        if (record->receive_count < LINE_RECEIVES_ENOUGH) {
                record_hide(record, -EAGAIN, seconds, why);
                return 0;
        }
        record->result = 0;
        return line == JOB_PACED ? paced_send(scaler, &job, 1, err) : line_up(scaler, job, err);
}

/* The first of a line. Its message stays, and is delivered again. */
static int look_from_line(
        struct scaler *scaler, struct record *record, struct job *job, struct err *err)
{
        int64_t seconds;
        int r = line_look(scaler, job, record->receive_count, &seconds, err);

        if (r != LINE_WAITS)
                return r;
        return wait_in_line(scaler, record, JOB_LIMITED, job, seconds, &(struct err){{0}}, err);
}

static int read_record(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        struct watching *watching = userdata;
        _cleanup_(job_release) struct job job = {0};
        int r = job_parse(record->body, strlen(record->body), &job, err);

        record->final = r < 0;
        if (r < 0)
                return r;
        if (job.action == JOB_PACED || job.action == JOB_LIMITED)
                record->receives_max = LINE_RECEIVES_MAX;
        if (job.action == JOB_QUEUED)
                return unpark(scaler, &job, err);
        if (job.action == JOB_PACED) {
                watching->paced_records[watching->n_paced] = record;
                watching->paced[watching->n_paced++].job = job;
                job = (struct job){0};
                return 0;
        }
        if (job.action == JOB_LIMITED)
                return look_from_line(scaler, record, &job, err);
        if (job.action == JOB_LOST)
                return rerun_lost_job(scaler, &job, err);
        record->final = true;
        if (job.action != JOB_WATCHED || !ec2_is_instance_id(job.instance))
                return err_set(err, -EBADMSG,
                        "job %lld: the message is neither of a paced, parked or lost job nor a "
                        "watch",
                        (long long)job.id);
        record->final = false;
        watching->records[watching->n_items] = record;
        watching->items[watching->n_items++].job = job;
        job = (struct job){0};
        return 0;
}

/* The first in line is hidden until its turn can be expected, again and again. Where nothing moves,
 * as in an outage, that takes longer each time, so that its receives last for hours. */
#define RECEIVES_FOR_A_SECOND 60

static void admit(struct scaler *scaler, const struct watching *watching)
{
        if (watching->n_paced > 0)
                paced_admit(scaler, watching->paced, watching->n_paced);
        for (size_t i = 0; i < watching->n_paced; i++) {
                struct paced *paced = &watching->paced[i];
                struct record *record = watching->paced_records[i];
                int64_t seconds = record->receive_count / RECEIVES_FOR_A_SECOND;
                struct err err;
                int r = 0;

                if (paced->result < 0)
                        record_fail(scaler, record, paced->result, &paced->err);
                if (paced->hidden_seconds > seconds)
                        seconds = paced->hidden_seconds;
                if (paced->hidden_seconds > 0)
                        r = wait_in_line(
                                scaler, record, JOB_PACED, &paced->job, seconds, &paced->err, &err);
                if (r < 0)
                        record_fail(scaler, record, r, &err);
        }
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
        }
}

void watch_handle(struct scaler *scaler, struct batch *batch)
{
        size_t n = batch->n_records;
        _cleanup_(watching_release) struct watching watching = {
                .items = mem_alloc(n * sizeof(struct watched)),
                .records = mem_alloc(n * sizeof(struct record *)),
                .paced = mem_alloc(n * sizeof(struct paced)),
                .paced_records = mem_alloc(n * sizeof(struct record *)),
        };

        batch_each(scaler, batch, read_record, &watching);
        admit(scaler, &watching);
        look(scaler, &watching);
}
