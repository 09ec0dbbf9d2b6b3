/* SPDX-License-Identifier: MIT */

/*
 * Settings, read when a handler asks for them: references in environment variables, the
 * configuration, and the webhook's secrets.
 */

#include "scaler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/reference.h"

#define CONFIG_KEPT_MS (5 * 60 * MSEC_PER_SEC)
/* Whoever sends us deliveries must not make us read the same thing each time. */
#define READ_AGAIN_MS (60 * MSEC_PER_SEC)

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
        r = reference_resolve(
                reference, scaler_http(scaler), scaler_call_limit_ms(scaler), aws, ret, err);
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
