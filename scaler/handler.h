/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The handlers: one Lambda function each, listed in main.c in the order of a job's life.
 *
 * A handler gets the event itself, or, if SQS feeds it, the batch that batch.c made of the event. A
 * batch handler marks the records that failed; batch.c answers SQS, so that exactly those are
 * delivered again, and sends those that failed for the last time to the dead letters, with the
 * cause.
 */

#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/err.h"
#include "lambda/runtime.h"
#include "scaler.h"

/* One message of a batch. Strings are borrowed from the batch. */
struct record {
        const char *message_id;
        const char *body;
        const char *receipt;      /* NULL in events made by hand */
        const char *source;       /* the queue's ARN; NULL in events made by hand */
        const char *group;        /* its message group, of a dead letter where it failed; or NULL */
        const char *dead_source;  /* ARN of the queue where a dead letter failed, or NULL */
        const char *cause;        /* attribute `cause` of a dead letter, or NULL */
        int64_t receive_count;    /* 1: the first time */
        int64_t sent_ms;          /* when it was sent to the queue; 0: unknown */
        int64_t first_receive_ms; /* when it was received first; 0: unknown */
        int result;               /* 0, or negative: it failed */
        bool final;               /* no other try can help: it becomes a dead letter at once */
        int64_t receives_max;     /* by its queue; 0: as the function's other queues */
        int64_t hidden_seconds;   /* it comes again after that; 0: after its receives so far */
        struct err err;           /* why */
};

struct batch {
        cJSON *json;
        struct record *records; /* owned */
        size_t n_records;
};

/* SQS's limit for Lambda; the batch size of our queues is 10. */
#define BATCH_MAX 10000

/* Reads an SQS event: 0, or -EBADMSG. Pure. */
int batch_parse(const char *event, size_t size, struct batch *ret, struct err *err);
void batch_release(struct batch *batch);

/* Marks RECORD as failed, and logs why. RESULT is negative. */
void record_fail(struct scaler *scaler, struct record *record, int result, const struct err *err);

/* Has RECORD, which cannot be handled now, come again after SECONDS. The caller logs that. */
void record_hide(struct record *record, int result, int64_t seconds, const struct err *err);

/* Handles RECORD: 0, or negative with the reason in ERR. */
typedef int (*record_handler)(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err);

/* Calls HANDLE for each record of BATCH, and marks the record as failed when it fails. Marks those
 * for which the event's time no longer suffices, too: ended by Lambda, the function would get the
 * whole batch again, with what is done already. */
void batch_each(struct scaler *scaler, struct batch *batch, record_handler handle, void *userdata);

/* Makes RECORD final if it failed by a refusal, for the fourth time: what passes may last for an
 * hour, and comes again as often as its queue allows. */
void record_judge(struct record *record);

/* Whether the event's time suffices for another record: 0, or -ETIME with the reason in ERR. */
int batch_has_time(const struct scaler *scaler, struct err *err);

/* Marks all records of BATCH as failed: something that each of them needs is missing. */
void batch_fail(struct scaler *scaler, struct batch *batch, int result, const struct err *err);

/* Appends SQS's answer: which messages failed. Those that failed for the last time become dead
 * letters, and the others come again soon. */
void batch_write_answer(struct scaler *scaler, const struct batch *batch, struct buf *answer);

typedef void (*batch_handler)(struct scaler *scaler, struct batch *batch);

/* Runs HANDLER over the event's batch and writes SQS's answer. */
int batch_run(struct scaler *scaler, batch_handler handler, const struct lambda_event *event,
        struct buf *answer, struct err *err);

/* In the order of a job's life. */
int webhook_handle(struct scaler *scaler, const struct lambda_event *event, struct buf *answer,
        struct err *err);
void queued_handle(struct scaler *scaler, struct batch *batch);
void register_handle(struct scaler *scaler, struct batch *batch);
void in_progress_handle(struct scaler *scaler, struct batch *batch);
void completed_handle(struct scaler *scaler, struct batch *batch);
void instance_handle(struct scaler *scaler, struct batch *batch);
void admit_handle(struct scaler *scaler, struct batch *batch);
void watch_handle(struct scaler *scaler, struct batch *batch);
int recover_handle(struct scaler *scaler, const struct lambda_event *event, struct buf *answer,
        struct err *err);
void dead_letter_handle(struct scaler *scaler, struct batch *batch);
void notify_handle(struct scaler *scaler, struct batch *batch);
