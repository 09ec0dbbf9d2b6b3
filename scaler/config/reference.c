/* SPDX-License-Identifier: MIT */

/*
 * Resolves "ssm:/NAME", "file:/PATH" and "env:NAME".
 */

#include "reference.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/aws.h"
#include "aws/ssm.h"
#include "http/http.h"

/* An env: reference may lead to another one; a circle must end. */
#define DEPTH_MAX 4

struct resolver {
        struct http *http;
        int64_t limit_ms;
        struct aws *aws;
        struct buf *ret;
        unsigned depth;
        struct err *err;
};

static int resolve(struct resolver *resolver, const char *reference);

/* Editors end files with a line break, and `aws ssm put-parameter --value file://…` keeps it. */
static void drop_line_break(struct buf *value)
{
        if (value->size > 0 && value->data[value->size - 1] == '\n')
                value->data[--value->size] = '\0';
        if (value->size > 0 && value->data[value->size - 1] == '\r')
                value->data[--value->size] = '\0';
}

int reference_keep(const char *text, struct buf *ret)
{
        buf_clear(ret);
        if (buf_add_string(ret, text) < 0) {
                buf_clear(ret);
                return -EFBIG;
        }
        drop_line_break(ret);
        return 0;
}

static int read_parameter(
        const struct resolver *resolver, const struct http_call *call, const char *name)
{
        _cleanup_(ssm_free_parameters) cJSON *found = NULL;
        const char *value;
        int r = ssm_get_parameters_answer(call, &found, resolver->err);

        if (r < 0)
                return err_prefix(resolver->err, r, "SSM parameter %s", name);
        value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(found, name));
        if (!value) {
                err_set(resolver->err, 0, "SSM parameter %s does not exist", name);
                return REFERENCE_ABSENT;
        }
        r = reference_keep(value, resolver->ret);
        return r < 0 ? err_set(resolver->err, r, "SSM parameter %s is larger than %zu bytes", name,
                               resolver->ret->limit)
                     : 0;
}

/* By the call that reads several as well (references.h): so a role needs one permission. */
static int resolve_ssm(struct resolver *resolver, const char *name)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;

        if (!resolver->aws)
                return err_set(resolver->err, -EINVAL,
                        "ssm:%s: SSM parameters cannot be read here; use file: or env:", name);
        call = ssm_get_parameters(resolver->aws, &name, 1);
        if (resolver->limit_ms > 0 && call->timeout_ms > resolver->limit_ms)
                call->timeout_ms = resolver->limit_ms;
        http_perform(resolver->http, call);
        return read_parameter(resolver, call, name);
}

static int resolve_file(struct resolver *resolver, const char *path)
{
        FILE *file = fopen(path, "re");
        int r;

        if (!file) {
                r = errno == ENOENT ? REFERENCE_ABSENT : -errno;
                return err_set(resolver->err, r, "file %s cannot be opened: %m", path);
        }
        r = buf_add_file(resolver->ret, file);
        fclose(file);
        if (r == -EFBIG)
                err_set(resolver->err, r, "file %s is larger than %zu bytes", path,
                        resolver->ret->limit);
        else if (r < 0)
                err_set(resolver->err, r, "file %s cannot be read: %s", path, strerror(-r));
        drop_line_break(resolver->ret);
        return r;
}

static int resolve_env(struct resolver *resolver, const char *name)
{
        const char *value = getenv(name);

        if (!value || !*value) {
                err_set(resolver->err, 0, "environment variable %s is not set", name);
                return REFERENCE_ABSENT;
        }
        if (++resolver->depth > DEPTH_MAX)
                return err_set(resolver->err, -ELOOP,
                        "environment variable %s: references lead in a circle", name);
        return resolve(resolver, value);
}

static int resolve(struct resolver *resolver, const char *reference)
{
        static const struct {
                const char *prefix;
                int (*resolve)(struct resolver *resolver, const char *name);
        } kinds[] = {
                {"ssm:", resolve_ssm},
                {"file:", resolve_file},
                {"env:", resolve_env},
        };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (strncmp(reference, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
                        return kinds[i].resolve(resolver, reference + strlen(kinds[i].prefix));
        if (buf_add_string(resolver->ret, reference) < 0)
                return err_set(resolver->err, -EFBIG, "a setting is larger than %zu bytes",
                        resolver->ret->limit);
        return 0;
}

int reference_resolve(const char *reference, struct http *http, int64_t limit_ms, struct aws *aws,
        struct buf *ret, struct err *err)
{
        struct resolver resolver = {
                .http = http,
                .limit_ms = limit_ms,
                .aws = aws,
                .ret = ret,
                .err = err,
        };

        buf_clear(ret);
        return resolve(&resolver, reference);
}
