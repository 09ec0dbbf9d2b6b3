/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A struct aws of region eu-central-1 with made-up credentials, to make calls with. None of this
 * machine's settings for AWS is left in the environment.
 */

#include "aws/aws.h"

#define FAKE_AWS_SECRET "secret-of-aws"
#define FAKE_AWS_TOKEN "session-of-aws"

struct aws *fake_aws_new(void);

/* For cmocka: *state is the struct aws. */
int fake_aws_set_up(void **state);
int fake_aws_tear_down(void **state);
