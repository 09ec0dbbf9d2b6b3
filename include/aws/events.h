/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * EventBridge: the agent's reports.
 * https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
 */

#include "aws.h"

/* One event on the default bus; DETAIL is a JSON object as text. */
struct http_call *events_put(
        struct aws *aws, const char *source, const char *detail_type, const char *detail);

/* 0, or negative; an entry that EventBridge refused (FailedEntryCount) is an error as well. */
int events_put_answer(const struct http_call *call, struct err *err);
