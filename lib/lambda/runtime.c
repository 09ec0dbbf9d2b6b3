/* SPDX-License-Identifier: MIT */

/*
 * The loop of a Lambda custom runtime: GET the next event, handle it, POST the response or error.
 */

#include "lambda/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define API_VERSION "2018-06-01"

struct runtime {
        struct http *http;
        const char *api;
};

/* Without time-outs: Lambda freezes the process while it waits for an event. */
static struct http_call *next_call(const struct runtime *runtime)
{
        struct http_call *call = http_call_new("Lambda's next event", "GET",
                "http://%s/" API_VERSION "/runtime/invocation/next", runtime->api);

        call->timeout_ms = 0;
        call->try_timeout_ms = 0;
        call->answer_limit = LAMBDA_EVENT_MAX;
        return call;
}

static int read_event(const struct http_call *call, struct lambda_event *ret, struct err *err)
{
        char deadline[24] = "0";

        if (call->result < 0 || call->status != 200)
                return http_call_fail(call, err);
        if (!http_call_answer_header(call, "Lambda-Runtime-Aws-Request-Id", ret->request_id,
                    sizeof(ret->request_id)))
                return err_set(err, -EPROTO, "Lambda's next event has no request id");
        http_call_answer_header(call, "Lambda-Runtime-Invoked-Function-Arn", ret->function_arn,
                sizeof(ret->function_arn));
        http_call_answer_header(call, "Lambda-Runtime-Deadline-Ms", deadline, sizeof(deadline));
        ret->deadline_ms = strtoll(deadline, NULL, 10);
        ret->body = buf_string(&call->answer);
        ret->size = call->answer.size;
        return 0;
}

static struct http_call *response_call(
        const struct runtime *runtime, const char *request_id, const struct buf *answer)
{
        struct http_call *call = http_call_new("Lambda's response", "POST",
                "http://%s/" API_VERSION "/runtime/invocation/%s/response", runtime->api,
                request_id);

        http_call_body(call, "application/json", buf_string(answer), answer->size);
        return call;
}

static struct http_call *error_call(
        const struct runtime *runtime, const char *request_id, int code, const struct err *reason)
{
        _cleanup_json_ cJSON *error = cJSON_CreateObject();
        _cleanup_free_ char *body = NULL;
        struct http_call *call = http_call_new("Lambda's error", "POST",
                "http://%s/" API_VERSION "/runtime/invocation/%s/error", runtime->api, request_id);

        json_add_string(error, "errorType", strerrorname_np(-code));
        json_add_string(error, "errorMessage", reason->text);
        body = json_print(error);
        http_call_header(call, "Lambda-Runtime-Function-Error-Type", "Handler.Failed");
        http_call_body(call, "application/json", body, strlen(body));
        return call;
}

static int serve_one(
        const struct runtime *runtime, lambda_handler handler, void *userdata, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *next =
                http_perform(runtime->http, next_call(runtime));
        _cleanup_(http_call_freep) struct http_call *reply = NULL;
        _cleanup_buf_ struct buf answer = BUF_INIT(LAMBDA_ANSWER_MAX);
        struct lambda_event event = {0};
        struct err reason = {0};
        int r;

        r = read_event(next, &event, err);
        if (r < 0)
                return r;
        r = handler(userdata, &event, &answer, &reason);
        if (r == 0 && answer.overflow)
                r = err_set(&reason, -EFBIG, "the answer is larger than %zu bytes", answer.limit);
        reply = http_perform(
                runtime->http, r < 0 ? error_call(runtime, event.request_id, r, &reason)
                                     : response_call(runtime, event.request_id, &answer));
        /* Lambda refuses the answer to an event whose time is over; then the next event follows. */
        return reply->result < 0 ? http_call_fail(reply, err) : 0;
}

int lambda_run(
        struct http *http, const char *api, lambda_handler handler, void *userdata, struct err *err)
{
        const struct runtime runtime = {.http = http, .api = api};
        int r;

        do
                r = serve_one(&runtime, handler, userdata, err);
        while (r == 0);
        return r;
}
