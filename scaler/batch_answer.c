/* SPDX-License-Identifier: MIT */

/*
 * The answer to a batch: it names each message that failed, so that SQS delivers it again. A
 * message that failed for the last time is sent to the dead letters from here, where the cause is
 * known; if the process crashes, SQS's redrive policy does it without a cause.
 *
 *      {"batchItemFailures":[{"itemIdentifier":…}]}
 *
 * https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
 */

#include "handler.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "queue/send.h"

#define RETRY_FIRST_SECONDS 15
#define RETRY_MAX_SECONDS 240

/* Whether this record is not to be delivered again. */
static bool is_last_receive(const struct record *record)
{
        const char *max = getenv("MAX_RECEIVE_COUNT");

        if (record->final)
                return true;
        if (record->receives_max > 0)
                return record->receive_count >= record->receives_max;
        return max && record->receive_count >= strtoll(max, NULL, 10);
}

static int send_dead_letter(struct scaler *scaler, const struct record *record, struct err *err)
{
        struct sqs_message message = {
                .body = record->body,
                .source = record->source,
                .kept_group = record->group,
                .cause = record->err.text,
        };

        return queue_send(scaler, "DEAD_LETTER_QUEUE_URL", &message, err);
}

/* The URL of the queue with that ARN, for the caller to free; NULL: it is no queue's ARN. */
static char *url_of_arn(const char *arn)
{
        char region[32];
        char account[16];
        char name[96];

        if (!arn ||
                sscanf(arn, "arn:%*[^:]:sqs:%31[^:]:%15[^:]:%95[^:]", region, account, name) != 3)
                return NULL;
        return mem_format("https://sqs.%s.%s/%s/%s", region, aws_domain(region), account, name);
}

static unsigned seconds_hidden(const struct record *record)
{
        unsigned seconds = RETRY_FIRST_SECONDS;

        if (record->hidden_seconds > 0)
                return (unsigned)record->hidden_seconds;
        for (int64_t i = 1; i < record->receive_count && seconds < RETRY_MAX_SECONDS; i++)
                seconds *= 4;
        return seconds;
}

static int hide_one(struct scaler *scaler, struct aws *aws, const char *url,
        struct sqs_hidden *message, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call =
                scaler_call(scaler, sqs_hide_message(aws, url, message->receipt, message->seconds));

        return sqs_hide_message_answer(call, err);
}

/* Hides MESSAGES with one call; each message that SQS then left out is tried once more by
 * itself. */
static int hide_messages(struct scaler *scaler, struct aws *aws, const char *url,
        struct sqs_hidden *messages, size_t n_messages, struct err *err)
{
        struct err first = {0};
        int result = 0;

        if (n_messages > 1) {
                _cleanup_(http_call_freep) struct http_call *call =
                        scaler_call(scaler, sqs_hide_messages(aws, url, messages, n_messages));
                int r = sqs_hide_messages_answer(call, messages, n_messages, err);

                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < n_messages; i++) {
                int r = messages[i].done ? 0 : hide_one(scaler, aws, url, &messages[i], err);

                if (r < 0 && result == 0) {
                        result = r;
                        first = *err;
                }
        }
        *err = first;
        return result;
}

/* A failed message would stay hidden for the queue's whole visibility timeout, which is meant for
 * functions that hang. This one has ended, so its message comes again after 15 s, 60 s, 240 s, or
 * when its handler says. All messages of a batch are of one queue. */
static void set_visibility_timeouts(
        struct scaler *scaler, const struct record *const *records, size_t n_records)
{
        for (size_t i = 0; i < n_records; i += SQS_BATCH_MAX) {
                size_t n = n_records - i < SQS_BATCH_MAX ? n_records - i : SQS_BATCH_MAX;
                _cleanup_free_ char *url = url_of_arn(records[i]->source);
                struct sqs_hidden messages[SQS_BATCH_MAX];
                struct aws *aws;
                struct err err;
                int r;

                if (!url)
                        return;
                for (size_t j = 0; j < n; j++)
                        messages[j] = (struct sqs_hidden){
                                records[i + j]->receipt, seconds_hidden(records[i + j]), false};
                r = scaler_aws(scaler, &aws, &err);
                if (r == 0)
                        r = hide_messages(scaler, aws, url, messages, n, &err);
                if (r < 0)
                        log_warning(&scaler->log,
                                "message comes again only after its visibility timeout",
                                LOG_TEXT("message_id", records[i]->message_id),
                                LOG_NUMBER("of_messages", (int64_t)n), LOG_TEXT("error", err.text));
        }
}

static void add_failure(cJSON *failures, const struct record *record)
{
        cJSON *item = cJSON_CreateObject();

        json_add_string(item, "itemIdentifier", record->message_id);
        cJSON_AddItemToArray(failures, item);
}

void batch_write_answer(struct scaler *scaler, const struct batch *batch, struct buf *answer)
{
        _cleanup_json_ cJSON *object = cJSON_CreateObject();
        cJSON *failures = cJSON_AddArrayToObject(object, "batchItemFailures");
        _cleanup_free_ const struct record **again =
                mem_alloc((batch->n_records + 1) * sizeof(*again));
        _cleanup_free_ char *text = NULL;
        size_t n_again = 0;
        struct err err;

        for (size_t i = 0; i < batch->n_records; i++) {
                const struct record *record = &batch->records[i];

                if (record->result == 0)
                        continue;
                if (is_last_receive(record)) {
                        if (send_dead_letter(scaler, record, &err) == 0)
                                continue;
                        log_error(&scaler->log, "dead letter not sent; SQS will move the message",
                                LOG_TEXT("message_id", record->message_id),
                                LOG_TEXT("error", err.text));
                }
                if (record->receipt)
                        again[n_again++] = record;
                add_failure(failures, record);
        }
        set_visibility_timeouts(scaler, again, n_again);
        text = json_print(object);
        buf_add_string(answer, text);
}
