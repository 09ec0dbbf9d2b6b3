/* SPDX-License-Identifier: MIT */

/*
 * Opens each dependency once, when a handler asks for it.
 */

#include "scaler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/reference.h"

/* What calls leave of an event's time: RESERVE_MS for what follows a call without an answer, and
 * ANSWER_MS for the event's own answer. */
#define RESERVE_MS 2500
#define ANSWER_MS 500

void scaler_init(struct scaler *scaler)
{
        const char *level = getenv("LOG_LEVEL");

        scaler->clock = &clock_system;
        scaler->log_fd = STDERR_FILENO;
        scaler->webhook_secrets = (struct buf)BUF_INIT(4096);
        scaler->ticket_keys = (struct buf)BUF_INIT(4096);
        log_json_sink_init(&scaler->sink, scaler->log_fd, scaler->clock);
        scaler->log = (struct log){.sink = &scaler->sink.sink, .level = LOG_LEVEL_INFO};
        if (level && log_level_parse(level, &scaler->log.level) < 0)
                log_warning(&scaler->log, "LOG_LEVEL must be error, warning, info or debug",
                        LOG_TEXT("found", level));
}

void scaler_release(struct scaler *scaler)
{
        scaler_forget_github(scaler);
        scaler_forget_apps(scaler);
        config_free(MEM_STEAL(scaler->config));
        config_free(MEM_STEAL(scaler->config_before));
        references_forget(&scaler->references);
        if (scaler->aws)
                aws_release(scaler->aws);
        free(MEM_STEAL(scaler->aws));
        http_free(MEM_STEAL(scaler->http));
        free(MEM_STEAL(scaler->limits.counts));
        free(MEM_STEAL(scaler->limits.grants));
        free(MEM_STEAL(scaler->limits.heads));
        ec2_subnets_release(&scaler->zones);
        buf_release(&scaler->webhook_secrets);
        ssm_texts_release(&scaler->breakers);
        buf_release(&scaler->ticket_keys);
        free(scaler->github_budgets);
        free(scaler->app_installations);
        free(scaler->stored_limits);
        free(scaler->known_jobs);
}

void scaler_begin_event(struct scaler *scaler, int64_t deadline_ms)
{
        scaler->deadline_ms = deadline_ms;
        scaler->config_borrowed = false;
        config_free(MEM_STEAL(scaler->config_before));
        references_forget(&scaler->references);
        log_context_clear(&scaler->log);
}

void scaler_note_account(struct scaler *scaler, const char *function_arn)
{
        char account[sizeof(scaler->account)] = "";

        if (sscanf(function_arn, "arn:%*[^:]:lambda:%*[^:]:%15[0-9]:", account) == 1)
                memcpy(scaler->account, account, sizeof(account));
}

int64_t scaler_time_left(const struct scaler *scaler)
{
        return scaler->deadline_ms > 0 ? scaler->deadline_ms - clock_wall_ms(scaler->clock)
                                       : INT64_MAX;
}

struct http *scaler_http(struct scaler *scaler)
{
        struct http_transport *transport;
        struct err err;

        if (scaler->http)
                return scaler->http;
        if (http_curl_new("scale-agent", &transport, &err) < 0) {
                log_error(&scaler->log, err.text);
                abort();
        }
        scaler->http = http_new(transport, scaler->clock);
        return scaler->http;
}

/* A call may use all of the event's time but the reserve, and one that starts late half of what is
 * left. So what follows a call without an answer, such as undoing a launch, has time, too. */
int64_t scaler_call_limit_ms(const struct scaler *scaler)
{
        int64_t left = scaler_time_left(scaler);
        int64_t early = left - RESERVE_MS;
        int64_t late = (left - ANSWER_MS) / 2;

        if (left == INT64_MAX)
                return 0;
        if (early < 1 && late < 1)
                return 1;
        return early > late ? early : late;
}

void scaler_start_later(struct scaler *scaler, struct http_call *call, int64_t delay_ms)
{
        int64_t limit = scaler_call_limit_ms(scaler);

        if (limit > 0)
                limit = limit > delay_ms ? limit - delay_ms : 1;
        if (limit > 0 && (call->timeout_ms == 0 || call->timeout_ms > limit))
                call->timeout_ms = limit;
        http_start_later(scaler_http(scaler), call, delay_ms);
}

void scaler_start(struct scaler *scaler, struct http_call *call)
{
        scaler_start_later(scaler, call, 0);
}

struct http_call *scaler_call(struct scaler *scaler, struct http_call *call)
{
        scaler_start(scaler, call);
        http_await(scaler_http(scaler), call);
        return call;
}

void scaler_emit_metrics(const struct scaler *scaler, const char *spec,
        const struct metric *metrics, size_t n_metrics, const struct log_field *properties,
        size_t n_properties)
{
        metric_emit(
                scaler->log_fd, scaler->clock, spec, metrics, n_metrics, properties, n_properties);
}

/* NULL where it is not set, or is empty. */
static char *parameter_key(void)
{
        const char *key = getenv("PARAMETER_KMS_KEY");

        return key && *key ? mem_string(key) : NULL;
}

int scaler_aws(struct scaler *scaler, struct aws **ret, struct err *err)
{
        _cleanup_free_ struct aws *aws = NULL;
        int r;

        if (!scaler->aws) {
                aws = mem_alloc(sizeof(*aws));
                r = aws_init(aws, NULL, err);
                if (r < 0)
                        return r;
                r = aws_credentials_from_environment(&aws->credentials, err);
                if (r < 0) {
                        aws_release(aws);
                        return r;
                }
                aws->parameter_key = parameter_key();
                scaler->aws = MEM_STEAL(aws);
        }
        *ret = scaler->aws;
        return 0;
}
