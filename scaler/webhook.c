/* SPDX-License-Identifier: MIT */

/*
 * First stage of a job's life: GitHub delivers a workflow_job event to the function URL, when the
 * job is queued, and again when it is in progress and completed. The delivery's signature is
 * verified, its job is matched with a spec, and the job goes to the queue of its action. The answer
 * is an HTTP status and a reason, which people read among the App's deliveries on GitHub. When the
 * secret, the configuration or the queue cannot be reached, the answer is 503: GitHub does not
 * retry, but `recover` has it do so. Which answers are final, recover/attempts.c knows.
 */

#include "handler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "github/webhook.h"
#include "job/delivery.h"
#include "job/forward.h"
#include "job/job.h"
#include "job/match.h"
#include "queue/send.h"

/* The HTTP answer. */
struct reply {
        int status;
        char text[ERR_TEXT_SIZE];
};

static void set_reply(struct reply *reply, int status, const char *text)
{
        reply->status = status;
        snprintf(reply->text, sizeof(reply->text), "%s", text);
}

/* {"statusCode":…,"headers":{…},"body":"{\"message\":…}"} */
static void write_reply(const struct reply *reply, struct buf *answer)
{
        _cleanup_json_ cJSON *object = cJSON_CreateObject();
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        _cleanup_free_ char *body_text = NULL;
        _cleanup_free_ char *text = NULL;

        json_add_string(body, "message", reply->text);
        body_text = json_print(body);
        json_add_integer(object, "statusCode", reply->status);
        json_add_string(json_add_object(object, "headers"), "content-type", "application/json");
        json_add_string(object, "body", body_text);
        text = json_print(object);
        buf_add_string(answer, text);
}

/* Whether the delivery was signed with one of the secrets. Before refusing, reads the secrets
 * again, since one may have been replaced. Negative where that fails: GitHub would not send a
 * refused delivery again. */
static int verify_signature(
        struct scaler *scaler, const struct delivery *delivery, bool *ret_valid, struct err *err)
{
        const char *secrets = NULL;
        int r = scaler_webhook_secrets(scaler, false, &secrets, err);

        if (r < 0)
                return r;
        *ret_valid = webhook_signature_valid(
                secrets, delivery->signature, delivery->body, delivery->body_size);
        if (*ret_valid || !delivery->signature)
                return 0;
        r = scaler_webhook_secrets(scaler, true, &secrets, err);
        if (r == 0 && secrets)
                *ret_valid = webhook_signature_valid(
                        secrets, delivery->signature, delivery->body, delivery->body_size);
        return r;
}

/* The queue of each action but `queued`. */
static const char *const queue_variables[] = {
        [JOB_IN_PROGRESS] = "IN_PROGRESS_QUEUE_URL",
        [JOB_COMPLETED] = "COMPLETED_QUEUE_URL",
};

static int queue_job(struct scaler *scaler, struct job *job, struct err *err)
{
        _cleanup_free_ char *body = NULL;
        struct sqs_message message = {0};

        if (job->action == JOB_QUEUED)
                return forward_job(scaler, job, err);
        body = job_print(job);
        message.body = body;
        return queue_send(scaler, queue_variables[job->action], &message, err);
}

/* Before a job is refused for the configuration, that is read again: it may have been changed. */
static int match(
        struct scaler *scaler, struct job *job, struct mismatch *ret_mismatch, struct err *err)
{
        const struct config *config;
        int r = scaler_config(scaler, &config, err);

        if (r < 0)
                return r;
        *ret_mismatch = match_job(config, job);
        if (!ret_mismatch->may_change || ret_mismatch->status == 0)
                return 0;
        config = scaler_config_again(scaler);
        if (config)
                *ret_mismatch = match_job(config, job);
        return 0;
}

static void log_job(struct scaler *scaler, const struct job *job)
{
        char id[24];

        snprintf(id, sizeof(id), "%lld", (long long)job->id);
        log_context(&scaler->log, "job", id);
        log_context(&scaler->log, "repository", job->repository);
        log_context(&scaler->log, "delivery", job->delivery);
}

/* Sends the job to the queue of its action, if there is something to do for it. */
static void route_job(struct scaler *scaler, struct job *job, struct reply *reply)
{
        struct mismatch mismatch;
        struct err err;

        if (match(scaler, job, &mismatch, &err) < 0) {
                log_error(
                        &scaler->log, "configuration cannot be read", LOG_TEXT("error", err.text));
                set_reply(reply, 503, "the configuration cannot be read; see the function's log");
        } else if (mismatch.status != 0) {
                set_reply(reply, mismatch.status, mismatch.err.text);
        } else if (queue_job(scaler, job, &err) < 0) {
                log_error(&scaler->log, "queue refused the job", LOG_TEXT("error", err.text));
                set_reply(reply, 503, "the job cannot be queued; deliver this again");
        } else {
                set_reply(reply, 202, "queued");
        }
}

/* Reads the job of a verified delivery. */
static void handle_job(struct scaler *scaler, const struct delivery *delivery, struct reply *reply)
{
        _cleanup_(job_release) struct job job = {0};
        _cleanup_json_ cJSON *body = NULL;
        struct err err;
        int r = delivery_payload(delivery, &body, &err);

        if (r == 0)
                r = job_from_delivery(body, &job, &err);
        if (r < 0) {
                set_reply(reply, 400, err.text);
                return;
        }
        job.delivery = mem_string(delivery->id);
        job.webhook_ms = clock_wall_ms(scaler->clock);
        log_job(scaler, &job);
        route_job(scaler, &job, reply);
}

/* Whether DELIVERY comes from another App than the first. A header says so, which GitHub does not
 * sign: for an additional App that is enough to drop it; for any other, the signature must hold.
 * Two Apps may share a secret, and a delivery of the second names an installation that the first
 * cannot use. */
static bool is_of_other_app(
        const struct config *config, const struct delivery *delivery, bool is_signed)
{
        return is_signed ? config_names_other_app(config, delivery->app)
                         : config_has_additional_app(config, delivery->app);
}

/* Drops DELIVERY if it comes from another App. Where it is signed, the configuration is read again
 * before that: the other App may be the first one by now. */
static bool drop_of_other_app(
        struct scaler *scaler, const struct delivery *delivery, bool is_signed, struct reply *reply)
{
        const struct config *config = NULL;
        bool is_additional;

        if (!delivery->app || scaler_config(scaler, &config, NULL) < 0 ||
                !is_of_other_app(config, delivery, is_signed))
                return false;
        is_additional = config_has_additional_app(config, delivery->app);
        if (is_signed)
                config = scaler_config_again(scaler);
        if (config && !is_of_other_app(config, delivery, is_signed))
                return false;
        if (!config && !is_additional)
                set_reply(reply, 503, "the configuration does not name this App yet");
        else
                set_reply(reply, 200,
                        is_additional
                                ? "ignored: this App only registers runners; "
                                  "make its webhook inactive"
                                : "ignored: the configuration names another App as the first one");
        return true;
}

static void handle_delivery(
        struct scaler *scaler, const struct delivery *delivery, struct reply *reply)
{
        bool valid = false;
        struct err err;

        if (verify_signature(scaler, delivery, &valid, &err) < 0) {
                log_error(
                        &scaler->log, "webhook secret cannot be read", LOG_TEXT("error", err.text));
                set_reply(reply, 503, "the webhook secret cannot be read; see the function's log");
        } else if (drop_of_other_app(scaler, delivery, valid, reply)) {
                return;
        } else if (!valid) {
                set_reply(reply, 401,
                        delivery->signature
                                ? "the signature does not match the webhook secret"
                                : "X-Hub-Signature-256 is missing: set a webhook secret on GitHub");
        } else if (!delivery->event) {
                set_reply(reply, 400, "X-GitHub-Event is missing");
        } else if (strcmp(delivery->event, "ping") == 0) {
                set_reply(reply, 200, "pong");
        } else if (strcmp(delivery->event, "workflow_job") != 0) {
                set_reply(reply, 200, "ignored: only workflow_job matters");
        } else {
                handle_job(scaler, delivery, reply);
        }
}

int webhook_handle(struct scaler *scaler, const struct lambda_event *event, struct buf *answer,
        struct err *err)
{
        _cleanup_(delivery_release) struct delivery delivery = {0};
        struct reply reply = {0};
        struct err refusal;
        int r = delivery_parse(event->body, event->size, &delivery, &refusal);

        (void)err;
        if (r > 0)
                set_reply(&reply, r, refusal.text);
        else
                handle_delivery(scaler, &delivery, &reply);
        log_write(&scaler->log, reply.status >= 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "delivery",
                (const struct log_field[]){LOG_NUMBER("status", reply.status),
                        LOG_TEXT("answer", reply.text), LOG_TEXT("event", delivery.event),
                        LOG_TEXT("delivery", delivery.id)},
                4);
        write_reply(&reply, answer);
        return 0;
}
