/* SPDX-License-Identifier: MIT */

/*
 * Reads several SSM parameters with one GetParameters.
 */

#include "references.h"

#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/ssm.h"
#include "base/mem.h"
#include "notify/notification.h"
#include "reference.h"

#define SSM "ssm:"

static const char *const variables[] = {
        "SCALE_AGENT_CONFIG",
        "GITHUB_WEBHOOK_SECRET",
        "GITHUB_PRIVATE_KEY",
        "GITHUB_TOKEN",
        "GITHUB_ENTERPRISE_TOKEN",
};
#define VARIABLES_MAX (ARRAY_SIZE(variables) + NOTIFY_CHANNELS_MAX)

/* The I-th variable whose value may be a reference: those above, then those of the channels for
 * notifications; NULL after the last. */
static const char *variable_at(size_t i)
{
        return i < ARRAY_SIZE(variables) ? variables[i]
                                         : notify_channels[i - ARRAY_SIZE(variables)].variable;
}

/* SSM refuses a call that names a parameter twice. */
static bool is_among(const char *const *names, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

static size_t list_names(const char *names[static VARIABLES_MAX])
{
        size_t n = 0;

        for (size_t i = 0; variable_at(i); i++) {
                const char *value = getenv(variable_at(i));

                if (value && strncmp(value, SSM, strlen(SSM)) == 0 &&
                        !is_among(names, n, value + strlen(SSM)))
                        names[n++] = value + strlen(SSM);
        }
        return n;
}

struct http_call *references_read(
        const struct references *references, const char *reference, struct aws *aws)
{
        const char *names[VARIABLES_MAX];
        size_t n = references->is_read ? 0 : list_names(names);

        if (n < 2 || !is_among(names, n, reference + strlen(SSM)))
                return NULL;
        return ssm_get_parameters(aws, names, n);
}

int references_read_answer(
        struct references *references, const struct http_call *call, struct err *err)
{
        cJSON *values;
        int r = ssm_get_parameters_answer(call, &values, err);

        references->is_read = r == 0 || !aws_call_is_passing(call);
        if (r < 0)
                return r;
        references_forget(references);
        references->values = values;
        return 0;
}

bool references_take(struct references *references, const char *reference, struct buf *ret)
{
        cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(
                references->values, reference + strlen(SSM));
        const char *text = cJSON_GetStringValue(value);
        bool fits = text && reference_keep(text, ret) == 0;

        ssm_free_parameters(&value);
        return fits;
}

void references_forget(struct references *references)
{
        ssm_free_parameters(&references->values);
        references->values = NULL;
}
