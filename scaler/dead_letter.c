/* SPDX-License-Identifier: MIT */

/*
 * The end of what failed: a message that failed for the last time, from any of the queues, comes
 * here as a dead letter. People are told its job, its cause and the command that tries again; then
 * the letter is sent to the kept queue, where that command finds it. When either fails, the letter
 * stays in its queue and is delivered again.
 */

#include "handler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "job/job.h"
#include "queue/send.h"
#include "queue/tell_people.h"

#define CAUSE_UNKNOWN \
        "not recorded: the function crashed or ran out of time; its log has the message id"

static const char *queue_name(const char *arn)
{
        const char *colon = arn ? strrchr(arn, ':') : NULL;

        return colon ? colon + 1 : arn;
}

/* The title and the facts of the letter itself, which is a job or an event about a machine. */
static void describe_letter(const struct record *record, const struct job *job, const cJSON *event,
        char *title, size_t size, struct notification *notification)
{
        if (job->id != 0) {
                snprintf(title, size, "Given up: job %lld of %s", (long long)job->id,
                        job->repository);
                notification->url = job->url;
                notification_fact(notification, "Job", job->name);
                notification_fact(notification, "Repository", job->repository);
                notification_fact(notification, "Spec", job->spec);
                notification_fact(notification, "Runner", job->runner_name);
                return;
        }
        snprintf(title, size, "Given up: a message of queue %s",
                record->dead_source ? queue_name(record->dead_source) : "(unknown)");
        notification_fact(notification, "Event", json_string(event, "detail-type"));
        notification_fact(notification, "Instance", json_string(event, "detail.instance-id"));
        notification_fact(notification, "Instance", json_string(event, "detail.instance_id"));
}

/* What to do about a letter, with the command as it works on a person's shell. */
static void describe_retry(const struct job *job, char *text, size_t size)
{
        char which[32] = "--all";

        const char *url = NULL;

        if (job->id != 0)
                snprintf(which, sizeof(which), "--job %lld", (long long)job->id);
        (void)queue_url("KEPT_QUEUE_URL", &url, NULL); /* keeping the letter says what is wrong */
        snprintf(text, size,
                "The message is kept for 14 days. Fix the cause, then retry with: "
                "scaler retry %s%s%s",
                which, url ? " --queue " : "", url ? url : "");
}

static int tell_letter(struct scaler *scaler, const struct record *record, struct err *err)
{
        _cleanup_(job_release) struct job job = {0};
        _cleanup_json_ cJSON *event = NULL;
        char text[512];
        struct notification notification = {
                .severity = NOTIFICATION_ERROR,
                .text = text,
                .key = record->message_id,
        };
        char title[256];

        /* People are told of every letter, even one that cannot be read. */
        if (job_parse(record->body, strlen(record->body), &job, NULL) < 0 &&
                json_parse(record->body, strlen(record->body), "the letter", &event, NULL) < 0)
                event = NULL;
        describe_retry(&job, text, sizeof(text));
        describe_letter(record, &job, event, title, sizeof(title), &notification);
        notification.title = title;
        notification_fact(&notification, "Cause", record->cause ? record->cause : CAUSE_UNKNOWN);
        notification_fact(&notification, "Queue", queue_name(record->dead_source));
        notification_fact(&notification, "Message", record->message_id);
        return tell_people(scaler, &notification, err);
}

static int keep_letter(struct scaler *scaler, const struct record *record, struct err *err)
{
        struct sqs_message message = {
                .body = record->body,
                .source = record->dead_source,
                .kept_group = record->group,
                .cause = record->cause ? record->cause : CAUSE_UNKNOWN,
        };

        return queue_send(scaler, "KEPT_QUEUE_URL", &message, err);
}

static int handle_letter(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        int r;

        (void)userdata;
        log_error(&scaler->log, "dead letter", LOG_TEXT("message_id", record->message_id),
                LOG_TEXT("queue", queue_name(record->dead_source)),
                LOG_TEXT("cause", record->cause ? record->cause : CAUSE_UNKNOWN));
        r = tell_letter(scaler, record, err);
        return r < 0 ? r : keep_letter(scaler, record, err);
}

void dead_letter_handle(struct scaler *scaler, struct batch *batch)
{
        batch_each(scaler, batch, handle_letter, NULL);
}
