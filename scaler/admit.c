/* SPDX-License-Identifier: MIT */

/*
 * Alongside a job's life: jobs that wait in order. Messages come from two queues:
 *
 *      paced    a job of a burst: when it is its turn, it is sent to queued.fifo
 *      limited  the first job of a line at a limit of machines: it looks for room
 *
 * Whoever stands further behind is not received at all. One process at a time admits a burst's
 * line. As this function does nothing else, that is the same process while it is warm: it remembers
 * what GitHub has said of the jobs behind, and does not ask for them again.
 */

#include "handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job/job.h"
#include "job/line.h"
#include "job/line_look.h"
#include "job/paced.h"

/* A batch, and the jobs of a burst in it. */
struct admitting {
        struct paced *items;
        size_t n_items;
        struct record **records; /* of each item */
};

static void admitting_release(struct admitting *admitting)
{
        for (size_t i = 0; i < admitting->n_items; i++)
                job_release(&admitting->items[i].job);
        free(admitting->items);
        free(admitting->records);
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
        struct admitting *admitting = userdata;
        _cleanup_(job_release) struct job job = {0};
        int r = job_parse(record->body, strlen(record->body), &job, err);

        record->final = r < 0;
        if (r < 0)
                return r;
        record->receives_max = LINE_RECEIVES_MAX;
        if (job.action == JOB_LIMITED)
                return look_from_line(scaler, record, &job, err);
        record->final = job.action != JOB_PACED;
        if (record->final)
                return err_set(err, -EBADMSG, "job %lld: the message is of no job in line",
                        (long long)job.id);
        admitting->records[admitting->n_items] = record;
        admitting->items[admitting->n_items++].job = job;
        job = (struct job){0};
        return 0;
}

/* The first in line is hidden until its turn can be expected, again and again. Where nothing moves,
 * as in an outage, that takes longer each time, so that its receives last for hours. */
#define RECEIVES_FOR_A_SECOND 60

static void admit(struct scaler *scaler, const struct admitting *admitting)
{
        if (admitting->n_items > 0)
                paced_admit(scaler, admitting->items, admitting->n_items);
        for (size_t i = 0; i < admitting->n_items; i++) {
                struct paced *paced = &admitting->items[i];
                struct record *record = admitting->records[i];
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

void admit_handle(struct scaler *scaler, struct batch *batch)
{
        size_t n = batch->n_records;
        _cleanup_(admitting_release) struct admitting admitting = {
                .items = mem_alloc(n * sizeof(struct paced)),
                .records = mem_alloc(n * sizeof(struct record *)),
        };

        batch_each(scaler, batch, read_record, &admitting);
        admit(scaler, &admitting);
}
