/* SPDX-License-Identifier: MIT */

/*
 * What SQS gives to a function: a batch, and in it the messages of jobs and notifications. What is
 * read is complete, and can be written again.
 */

#include "base/json.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "handler.h"
#include "job/job.h"
#include "notify/notification.h"

/* A message that a handler sends on is the same job to the next one. */
static void check_job_again(const struct job *job)
{
        _cleanup_free_ char *message = job_print(job);
        _cleanup_free_ char *message_again = NULL;
        struct job again = {0};
        struct err err = {0};

        CHECK(job_parse(message, strlen(message), &again, &err) == 0);
        message_again = job_print(&again);
        CHECK(strcmp(message, message_again) == 0);
        job_release(&again);
}

/* Teams takes 28 KB: https://learn.microsoft.com/en-us/microsoftteams/limits-specifications-teams
 */
static void check_messages(const struct notification *notification)
{
        for (const struct notify_channel *channel = notify_channels; channel->name; channel++) {
                struct http_call *call = channel->call("https://channel.test/x", notification);

                CHECK(call->body.size <= (size_t)28 * 1024);
                CHECK(utf8_is_valid(buf_string(&call->body), call->body.size));
                http_call_free(call);
        }
}

static void check_notification(const struct notification *notification)
{
        struct notification many[NOTIFICATION_FACTS_MAX];
        struct notification_summary summary;

        check_messages(notification);
        for (size_t i = 0; i < ARRAY_SIZE(many); i++)
                many[i] = *notification;
        notification_sum_up(many, ARRAY_SIZE(many), &summary);
        check_messages(&summary.notification);
        notification_summary_release(&summary);
}

static void read_body(const char *body)
{
        _cleanup_json_ cJSON *json = NULL;
        struct notification notification = {0};
        struct job job = {0};
        struct err err = {0};

        if (job_parse(body, strlen(body), &job, &err) < 0) {
                check_err(&err);
                CHECK(!job.repository);
        } else {
                CHECK(job.id > 0 && job.tries >= 0 && job.offer >= 0 && job.repository);
                check_job_again(&job);
        }
        job_release(&job);
        if (notification_parse(body, strlen(body), &notification, &json, &err) == 0) {
                _cleanup_free_ char *message = notification_print(&notification);

                CHECK(notification.title && message);
                check_notification(&notification);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct batch batch = {0};
        struct err err = {0};
        char *body = mem_alloc(size + 1);

        memcpy(body, data, size);
        read_body(body);
        free(body);
        if (batch_parse((const char *)data, size, &batch, &err) < 0) {
                CHECK(err.text[0] && !batch.records);
                return 0;
        }
        for (size_t i = 0; i < batch.n_records; i++) {
                CHECK(batch.records[i].message_id && batch.records[i].body);
                read_body(batch.records[i].body);
        }
        batch_release(&batch);
        return 0;
}
