/* SPDX-License-Identifier: MIT */

/*
 * Reads and stores what processes tell each other.
 */

#include "shared.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_MS (60 * MSEC_PER_SEC)
#define PAGES_MAX 10

static int read_all(struct scaler *scaler, struct aws *aws, const char *prefix, struct err *err)
{
        _cleanup_free_ char *path = mem_format("%s/breakers", prefix);
        unsigned pages = 0;
        int r;

        ssm_texts_release(&scaler->breakers);
        do {
                _cleanup_(http_call_freep) struct http_call *call =
                        scaler_call(scaler, ssm_get_texts(aws, path, scaler->breakers.next_page));

                r = ssm_get_texts_answer(call, &scaler->breakers, err);
        } while (r == 0 && scaler->breakers.next_page && ++pages < PAGES_MAX);
        return r;
}

static char *name_of(const char *prefix, const char *name)
{
        return mem_format("%s/breakers/%s", prefix, name);
}

static int refresh(struct scaler *scaler, bool again, const char **ret_prefix, struct err *err)
{
        int64_t now = clock_monotonic_ms(scaler->clock);
        const struct config *config;
        struct aws *aws;
        int r = scaler_config(scaler, &config, err);

        if (r < 0)
                return r;
        *ret_prefix = config->prefix;
        if (!again && scaler->breakers_read_ms > 0 && now - scaler->breakers_read_ms < KEPT_MS)
                return 0;
        scaler->breakers_read_ms = now; /* one that fails is not tried for each job */
        r = scaler_aws(scaler, &aws, err);
        return r == 0 ? read_all(scaler, aws, config->prefix, err) : r;
}

/* The prefix of all names, or NULL where nothing can be read. */
static const char *read_texts(struct scaler *scaler, bool again)
{
        const char *prefix = NULL;
        struct err err;

        if (refresh(scaler, again, &prefix, &err) < 0)
                log_warning(&scaler->log,
                        "circuit breakers cannot be read, nor the stored limits of GitHub: "
                        "launches go on without them",
                        LOG_TEXT("error", err.text));
        return prefix;
}

const struct ssm_text *shared_text(struct scaler *scaler, const char *name, bool again)
{
        const char *prefix = read_texts(scaler, again);
        _cleanup_free_ char *full = NULL;

        if (!prefix)
                return NULL;
        full = name_of(prefix, name);
        for (size_t i = 0; i < scaler->breakers.count; i++)
                if (strcmp(scaler->breakers.items[i].name, full) == 0)
                        return &scaler->breakers.items[i];
        return NULL;
}

const char *shared_next_name(struct scaler *scaler, const char *beginning, size_t *index)
{
        const char *prefix = read_texts(scaler, false);
        _cleanup_free_ char *full = NULL;

        if (!prefix)
                return NULL;
        full = name_of(prefix, beginning);
        while (*index < scaler->breakers.count) {
                const char *name = scaler->breakers.items[(*index)++].name;

                if (strncmp(name, full, strlen(full)) == 0)
                        return name + strlen(full);
        }
        return NULL;
}

int shared_store(struct scaler *scaler, const char *name, const char *text, int64_t *ret_version,
        struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_free_ char *full = NULL;
        const struct config *config;
        struct aws *aws = NULL;
        int r = scaler_config(scaler, &config, err);

        if (r == 0)
                r = scaler_aws(scaler, &aws, err);
        if (r < 0)
                return r;
        full = name_of(config->prefix, name);
        call = scaler_call(scaler, ssm_put_text(aws, full, text));
        r = ssm_put_text_answer(call, ret_version, err);
        scaler->breakers_read_ms = 0; /* what we have read is of the past */
        return r;
}
