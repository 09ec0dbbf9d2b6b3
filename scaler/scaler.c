/* SPDX-License-Identifier: MIT */

/*
 * Opens each dependency once, when a handler asks for it.
 */

#include "scaler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/reference.h"

#define CONFIG_KEPT_MS (5 * 60 * MSEC_PER_SEC)
/* Of an event's time: for what follows a call that is not answered, and for the event's answer. */
#define RESERVE_MS 2500
#define ANSWER_MS 500
/* Whoever sends us deliveries must not make us read the same thing each time. */
#define READ_AGAIN_MS (60 * MSEC_PER_SEC)

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

/* The longest that a call which starts now may take; 0: as long as it likes. A call may use all of
 * the event's time but the reserve, and one that starts late half of what is left. So what follows
 * a call without an answer, such as undoing a launch, has time, too. */
static int64_t call_limit_ms(const struct scaler *scaler)
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
        int64_t limit = call_limit_ms(scaler);

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

/* Takes the value of REFERENCE, an ssm: one, if it was read with others, or is now: 1, or 0 where
 * it has to be read by itself, or negative. */
static int take_read(struct scaler *scaler, const char *reference, struct buf *ret, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call =
                references_read(&scaler->references, reference, scaler->aws);
        int r = 0;

        if (call)
                r = references_read_answer(&scaler->references, scaler_call(scaler, call), err);
        if (r < 0 && !scaler->references.is_read)
                return r;
        if (r < 0)
                log_warning(&scaler->log, "settings are read one by one, which takes more calls",
                        LOG_TEXT("error", err->text));
        return references_take(&scaler->references, reference, ret) ? 1 : 0;
}

/* Opens AWS only for an ssm: reference, and for an env: reference, which may lead to one. */
int scaler_resolve(struct scaler *scaler, const char *reference, const char *name, struct buf *ret,
        struct err *err)
{
        struct aws *aws = NULL;
        int r;

        if (strncmp(reference, "ssm:", 4) == 0) {
                r = scaler_aws(scaler, &aws, err);
                if (r == 0)
                        r = take_read(scaler, reference, ret, err);
                if (r != 0)
                        return r < 0 ? err_prefix(err, r, "%s", name) : 0;
        } else if (strncmp(reference, "env:", 4) == 0) {
                (void)scaler_aws(scaler, &aws, NULL);
        }
        r = reference_resolve(reference, scaler_http(scaler), call_limit_ms(scaler), aws, ret, err);
        return r < 0 ? err_prefix(err, r, "%s", name) : r;
}

int scaler_resolve_variable(
        struct scaler *scaler, const char *name, struct buf *ret, struct err *err)
{
        const char *reference = getenv(name);

        if (reference && *reference)
                return scaler_resolve(scaler, reference, name, ret, err);
        err_set(err, 0, "environment variable %s is not set", name);
        return REFERENCE_ABSENT;
}

int scaler_need_variable(struct scaler *scaler, const char *name, struct buf *ret, struct err *err)
{
        int r = scaler_resolve_variable(scaler, name, ret, err);

        return r == REFERENCE_ABSENT ? err_prefix(err, -ENOENT, "%s", name) : r;
}

static int read_config(struct scaler *scaler, struct config **ret, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(REFERENCE_LIMIT);
        int r = scaler_need_variable(scaler, "SCALE_AGENT_CONFIG", &text, err);

        if (r < 0)
                return r;
        r = config_parse(buf_string(&text), text.size, ret, NULL, err);
        return r < 0 ? err_prefix(err, r, "configuration (SCALE_AGENT_CONFIG)") : 0;
}

/* Reads it again; if that fails, the old one stays. */
static int refresh_config(struct scaler *scaler, struct err *err)
{
        struct config *fresh = NULL;
        int r = read_config(scaler, &fresh, err);

        if (r < 0 && !scaler->config)
                return r;
        scaler->config_read_ms = clock_monotonic_ms(scaler->clock);
        if (r < 0) {
                log_warning(&scaler->log, "configuration not read again; the old one stays",
                        LOG_TEXT("error", err->text));
                return r;
        }
        if (scaler->config_borrowed)
                scaler->config_before = MEM_STEAL(scaler->config);
        config_free(scaler->config);
        scaler->config = fresh;
        return 0;
}

static int64_t config_age_ms(const struct scaler *scaler)
{
        return clock_monotonic_ms(scaler->clock) - scaler->config_read_ms;
}

int scaler_config(struct scaler *scaler, const struct config **ret, struct err *err)
{
        int r = 0;

        if (!scaler->config || (!scaler->config_borrowed && config_age_ms(scaler) > CONFIG_KEPT_MS))
                r = refresh_config(scaler, err);
        if (!scaler->config)
                return r;
        scaler->config_borrowed = true;
        *ret = scaler->config;
        return 0;
}

const struct config *scaler_config_again(struct scaler *scaler)
{
        struct err err;

        if (scaler->config_before || config_age_ms(scaler) < READ_AGAIN_MS ||
                refresh_config(scaler, &err) < 0)
                return NULL;
        scaler->config_borrowed = true;
        return scaler->config;
}

int scaler_webhook_secrets(struct scaler *scaler, bool again, const char **ret, struct err *err)
{
        int64_t now = clock_monotonic_ms(scaler->clock);
        _cleanup_buf_ struct buf fresh = BUF_INIT(scaler->webhook_secrets.limit);
        bool present = scaler->webhook_secrets.size > 0;
        int r;

        if (again && present && now - scaler->webhook_secrets_read_ms < READ_AGAIN_MS) {
                if (scaler->webhook_secrets_are_old)
                        return err_set(err, -EAGAIN,
                                "GITHUB_WEBHOOK_SECRET could not be read again a moment ago");
                *ret = NULL;
                return 0;
        }
        if (again || !present) {
                scaler->webhook_secrets_read_ms = now;
                scaler->webhook_secrets_are_old = true;
                r = scaler_need_variable(scaler, "GITHUB_WEBHOOK_SECRET", &fresh, err);
                if (r < 0)
                        return r; /* the old secrets stay */
                scaler->webhook_secrets_are_old = false;
                buf_release(&scaler->webhook_secrets);
                scaler->webhook_secrets = fresh;
                fresh = (struct buf)BUF_INIT(0);
        }
        *ret = buf_string(&scaler->webhook_secrets);
        return 0;
}
