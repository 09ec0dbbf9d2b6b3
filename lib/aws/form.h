/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/aws: the parameters of an EC2 call, as "&Name=value" pairs for aws_query_call().
 * Values are encoded as they are added.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
 */

#include <stddef.h>

#include "base/buf.h"

void form_add(struct buf *form, const char *name, const char *value);

/* NAME.1, NAME.2, … */
void form_add_list(struct buf *form, const char *name, const char *const *values, size_t n_values);

/* Filter NUMBER (counted from 1): only what has one of VALUES as its NAME. */
void form_add_filter(struct buf *form, unsigned number, const char *name, const char *const *values,
        size_t n_values);

/* A launch template by its id ("lt-…") or its name, as parameter PARENT plus "LaunchTemplateId" or
 * "LaunchTemplateName". */
void form_add_template(struct buf *form, const char *parent, const char *template);
