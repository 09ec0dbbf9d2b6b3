/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Answers without a network, for functions that read the answer of a call.
 */

#include <string.h>

#include "http/http.h"

/* CALL got this answer; HEADERS are whole lines or NULL. */
static inline void answer_with_headers(
        struct http_call *call, int status, const char *headers, const char *body)
{
        call->result = 0;
        call->status = status;
        call->answer.limit = call->answer_limit;
        buf_clear(&call->answer);
        buf_add(&call->answer, body, strlen(body));
        buf_clear(&call->answer_headers);
        if (headers)
                buf_add_string(&call->answer_headers, headers);
}

static inline void answer(struct http_call *call, int status, const char *body)
{
        answer_with_headers(call, status, NULL, body);
}

/* CALL got no answer. */
static inline void answer_nothing(struct http_call *call, int result)
{
        call->status = 0;
        call->result = err_set(&call->err, result, "%s: no answer: cut off", call->what);
}
