/* SPDX-License-Identifier: MIT */

/*
 * The batches that SQS hands to Lambda: reads them, and has each message handled.
 */

#include "handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

/* After five minutes, a refusal is no passing one, such as of a role that was just made. */
#define REFUSALS_MAX 4

/* What a record needs of the event's time. */
#define RECORD_NEEDS_MS (5 * MSEC_PER_SEC)

static int read_record(const cJSON *item, struct record *record, struct err *err)
{
        const char *count = json_string(item, "attributes.ApproximateReceiveCount");
        const char *sent = json_string(item, "attributes.SentTimestamp");
        const char *first = json_string(item, "attributes.ApproximateFirstReceiveTimestamp");
        int r;

        r = json_need_string(item, "messageId", &record->message_id, err);
        if (r < 0)
                return r;
        record->body = json_string(item, "body");
        if (!record->body)
                return err_set(err, -EBADMSG, "body: a string is needed, found %s",
                        json_type_name(json_get(item, "body")));
        record->receipt = json_string(item, "receiptHandle");
        record->source = json_string(item, "eventSourceARN");
        record->dead_source = json_string(item, "messageAttributes.source.stringValue");
        if (!record->dead_source)
                record->dead_source = json_string(item, "attributes.DeadLetterQueueSourceArn");
        record->group = json_string(item, "messageAttributes.group.stringValue");
        if (!record->group)
                record->group = json_string(item, "attributes.MessageGroupId");
        record->cause = json_string(item, "messageAttributes.cause.stringValue");
        record->first_receive_ms = first ? strtoll(first, NULL, 10) : 0;
        record->receive_count = count ? strtoll(count, NULL, 10) : 1;
        record->sent_ms = sent ? strtoll(sent, NULL, 10) : 0;
        return 0;
}

int batch_parse(const char *event, size_t size, struct batch *ret, struct err *err)
{
        struct batch batch = {0};
        const cJSON *records;
        const cJSON *item;
        int r;

        r = json_parse(event, size, "the event", &batch.json, err);
        if (r < 0)
                return r;
        records = json_get(batch.json, "Records");
        if (!cJSON_IsArray(records) || cJSON_GetArraySize(records) > BATCH_MAX) {
                r = err_set(err, -EBADMSG,
                        "Records: a list of SQS messages is needed, found %s; "
                        "a queue feeds this handler",
                        json_type_name(records));
                batch_release(&batch);
                return r;
        }
        batch.records = mem_alloc((size_t)cJSON_GetArraySize(records) * sizeof(struct record));
        cJSON_ArrayForEach (item, records) {
                r = read_record(item, &batch.records[batch.n_records], err);
                if (r < 0) {
                        err_prefix(err, r, "Records[%zu]", batch.n_records);
                        batch_release(&batch);
                        return r;
                }
                batch.n_records++;
        }
        *ret = batch;
        return 0;
}

void batch_release(struct batch *batch)
{
        cJSON_Delete(batch->json);
        free(batch->records);
        *batch = (struct batch){0};
}

void record_fail(struct scaler *scaler, struct record *record, int result, const struct err *err)
{
        record->result = result;
        record->err = *err;
        log_error(&scaler->log, "message failed", LOG_TEXT("message_id", record->message_id),
                LOG_TEXT("error", record->err.text), LOG_NUMBER("receives", record->receive_count));
}

void record_hide(struct record *record, int result, int64_t seconds, const struct err *err)
{
        record->result = result;
        record->hidden_seconds = seconds;
        record->err = *err;
}

void record_judge(struct record *record)
{
        static const int refusals[] = {-EBADMSG, -EACCES, -ENOENT};

        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
                if (record->result == refusals[i] && record->receive_count >= REFUSALS_MAX)
                        record->final = true;
}

int batch_has_time(const struct scaler *scaler, struct err *err)
{
        if (scaler_time_left(scaler) >= RECORD_NEEDS_MS)
                return 0;
        return err_set(
                err, -ETIME, "not tried: the messages before it took most of the function's time");
}

void batch_each(struct scaler *scaler, struct batch *batch, record_handler handle, void *userdata)
{
        for (size_t i = 0; i < batch->n_records; i++) {
                struct err err;
                int r = batch_has_time(scaler, &err);

                if (r == 0)
                        r = handle(scaler, &batch->records[i], userdata, &err);
                if (r < 0)
                        record_fail(scaler, &batch->records[i], r, &err);
        }
}

void batch_fail(struct scaler *scaler, struct batch *batch, int result, const struct err *err)
{
        for (size_t i = 0; i < batch->n_records; i++)
                record_fail(scaler, &batch->records[i], result, err);
}

int batch_run(struct scaler *scaler, batch_handler handler, const struct lambda_event *event,
        struct buf *answer, struct err *err)
{
        _cleanup_(batch_release) struct batch batch = {0};
        int r = batch_parse(event->body, event->size, &batch, err);

        if (r < 0)
                return r;
        handler(scaler, &batch);
        log_context_clear(&scaler->log);
        batch_write_answer(scaler, &batch, answer);
        return 0;
}
