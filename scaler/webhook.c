/* SPDX-License-Identifier: MIT */

/*
 * First stage of a job's life: GitHub delivers a workflow_job event to the function URL, when the
 * job is queued, and again when it is in progress and completed. The delivery's signature is
 * verified, its job is matched with a spec, and the job goes to the queue of its action. The answer
 * is an HTTP status and a reason, which people read among the App's deliveries on GitHub. When the
 * secret, the configuration or the queue cannot be reached, the answer is 503: GitHub does not
 * retry, so a person must redeliver.
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
 * again, since one may have been replaced. */
static int verify_signature(
        struct scaler *scaler, const struct delivery *delivery, bool *ret_valid, struct err *err)
{
        const char *secrets = NULL;
        struct err again;
        int r = scaler_webhook_secrets(scaler, false, &secrets, err);

        if (r < 0)
                return r;
        *ret_valid = webhook_signature_valid(
                secrets, delivery->signature, delivery->body.data, delivery->body.size);
        if (*ret_valid || !delivery->signature)
                return 0;
        if (scaler_webhook_secrets(scaler, true, &secrets, &again) < 0)
                log_warning(&scaler->log, "webhook secret not read again",
                        LOG_TEXT("error", again.text));
        else if (secrets)
                *ret_valid = webhook_signature_valid(
                        secrets, delivery->signature, delivery->body.data, delivery->body.size);
        return 0;
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

/* Whether the configuration allows the repository and the installation. Replies if not. */
static bool is_allowed(const struct config *config, const struct job *job, struct reply *reply)
{
        if (!config_allows_repository(config, job->repository)) {
                set_reply(reply, 403,
                        "this repository is not in github.repositories of the configuration");
                return false;
        }
        if (job->installation != 0 && !config_allows_installation(config, job->installation)) {
                set_reply(reply, 403,
                        "this installation is not in github.installations of the configuration");
                return false;
        }
        return true;
}

/* A job that an environment has yet to approve is "waiting", and delivered again once it is. */
static void reply_held(struct reply *reply, const struct job *job)
{
        struct err text;

        if (strcmp(job->held, "waiting") == 0)
                err_set(&text, 0, "ignored: the job waits for its environment's approval");
        else
                err_set(&text, 0, "ignored: the job's status is \"%s\", not \"queued\"", job->held);
        set_reply(reply, 200, text.text);
}

/* Finds the job's spec and instance type. False, with a reply: there is nothing to do for it. */
static bool match_job(const struct config *config, struct job *job, struct reply *reply)
{
        const struct config_spec *spec;
        const char *type;

        if (job->action == JOB_OTHER) {
                set_reply(reply, 200, "ignored: only queued, in_progress and completed matter");
                return false;
        }
        if (job->held) {
                reply_held(reply, job);
                return false;
        }
        spec = config_match(config, (const char *const *)job->labels, job->n_labels, &type);
        if (!spec) {
                set_reply(reply, 200,
                        job->n_labels > 0
                                ? "ignored: no spec has all of the job's labels"
                                : "ignored: the job has no labels, and no spec is unlabelled");
                return false;
        }
        /* The webhook of a repository or organization names no installation. */
        if (job->installation == 0 && config->app_id && config->n_installations > 0)
                job->installation = config->installations[0];
        job->spec = mem_string(spec->name);
        job->instance_type = mem_string(type);
        return true;
}

static void log_job(struct scaler *scaler, const struct job *job)
{
        char id[24];

        snprintf(id, sizeof(id), "%lld", (long long)job->id);
        log_context(&scaler->log, "job", id);
        log_context(&scaler->log, "repository", job->repository);
        log_context(&scaler->log, "delivery", job->delivery);
}

/* Reads the job of a verified delivery and sends it to the queue of its action. */
static void route_job(struct scaler *scaler, const struct delivery *delivery, struct reply *reply)
{
        _cleanup_(job_release) struct job job = {0};
        _cleanup_json_ cJSON *body = NULL;
        const struct config *config;
        struct err err;
        int r;

        r = delivery_payload(delivery, &body, &err);
        if (r == 0)
                r = job_from_delivery(body, &job, &err);
        if (r < 0) {
                set_reply(reply, 400, err.text);
                return;
        }
        job.delivery = mem_string(delivery->id);
        job.webhook_ms = clock_wall_ms(scaler->clock);
        log_job(scaler, &job);
        r = scaler_config(scaler, &config, &err);
        if (r < 0) {
                log_error(
                        &scaler->log, "configuration cannot be read", LOG_TEXT("error", err.text));
                set_reply(reply, 503, "the configuration cannot be read; see the function's log");
                return;
        }
        if (!is_allowed(config, &job, reply) || !match_job(config, &job, reply))
                return;
        r = queue_job(scaler, &job, &err);
        if (r < 0) {
                log_error(&scaler->log, "queue refused the job", LOG_TEXT("error", err.text));
                set_reply(reply, 503, "the job cannot be queued; deliver this again");
                return;
        }
        set_reply(reply, 202, "queued");
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
                route_job(scaler, delivery, reply);
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
