/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * EventBridge: the agent's reports.
 * https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
 */

#include <stdbool.h>
#include <stddef.h>

#include "aws.h"

/* PutEvents takes at most this many events. */
#define EVENTS_MAX 10

/* Positive result. */
#define EVENTS_REFUSED 1

/* Events on the default bus, EVENTS_MAX at most; each of DETAILS is a JSON object as text. */
struct http_call *events_put(struct aws *aws, const char *source, const char *detail_type,
        const char *const *details, size_t n_details);

/* 0, EVENTS_REFUSED, or negative where EventBridge took none. EventBridge may accept the call and
 * yet refuse some of its events: TAKEN says for each of the N whether it was taken, in all cases,
 * and ERR why the first of the others was not. The call is not repeated for that, since the others
 * would come twice: the caller sends those that were refused again. */
int events_put_answer(const struct http_call *call, bool *taken, size_t n, struct err *err);
