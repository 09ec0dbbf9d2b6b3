/* SPDX-License-Identifier: MIT */

/*
 * See fake_aws.h.
 */

#include "fake_aws.h"

#include <stdlib.h>

#include "base/mem.h"
#include "unit.h"

static const char *const variables[] = {
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_EC2",
        "AWS_ENDPOINT_URL_SSM",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_ENDPOINT_URL_EVENTBRIDGE",
        "AWS_ENDPOINT_URL_SERVICE_QUOTAS",
        "AWS_ENDPOINT_URL_S3",
};

struct aws *fake_aws_new(void)
{
        struct aws *aws = mem_alloc(sizeof(*aws));
        struct aws_credentials credentials = {
                .access_key = mem_string("AKIDEXAMPLE"),
                .secret_key = mem_string(FAKE_AWS_SECRET),
                .session_token = mem_string(FAKE_AWS_TOKEN),
        };

        for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
                unsetenv(variables[i]);
        assert_int_equal(aws_init(aws, "eu-central-1", NULL), 0);
        aws_set_credentials(aws, &credentials);
        return aws;
}

int fake_aws_set_up(void **state)
{
        *state = fake_aws_new();
        return 0;
}

int fake_aws_tear_down(void **state)
{
        aws_release(*state);
        free(*state);
        return 0;
}
