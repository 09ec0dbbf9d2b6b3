/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The loop of a Lambda custom runtime: next event, handler, answer.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "http/http.h"

struct lambda_event {
        const char *body; /* JSON; followed by a NUL */
        size_t size;
        char request_id[64];
        char function_arn[256]; /* of the function that was invoked; "" */
        int64_t deadline_ms;    /* wall clock; 0 = none */
};

/* Handles one event: 0 with the answer (JSON) in ANSWER, or negative with the reason in ERR, which
 * becomes the function's error (SQS then delivers the batch again). */
typedef int (*lambda_handler)(
        void *userdata, const struct lambda_event *event, struct buf *answer, struct err *err);

/* Lambda's own limits, in bytes. */
#define LAMBDA_EVENT_MAX (6 * 1024 * 1024 + 100 * 1024)
#define LAMBDA_ANSWER_MAX (6 * 1024 * 1024)

/* Serves events from API (the value of AWS_LAMBDA_RUNTIME_API, "host:port") until the runtime API
 * no longer answers, which is how Lambda ends a process. Always negative; ERR says why. */
int lambda_run(struct http *http, const char *api, lambda_handler handler, void *userdata,
        struct err *err);
