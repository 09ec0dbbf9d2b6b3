/* SPDX-License-Identifier: MIT */

/*
 * EventBridge: an event counts as sent only when EventBridge took it, not when it took the call.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "aws/events.h"
#include "base/mem.h"
#include "script.h"
#include "unit.h"

#define TAKEN "{\"FailedEntryCount\":0,\"Entries\":[{\"EventId\":\"11710aed\"}]}"
#define FAILED(code)                                                  \
        "{\"FailedEntryCount\":1,\"Entries\":[{\"ErrorCode\":\"" code \
        "\",\"ErrorMessage\":\"because\"}]}"

static int set_up(void **state)
{
        struct aws *aws = mem_alloc(sizeof(*aws));

        unsetenv("AWS_ENDPOINT_URL");
        unsetenv("AWS_ENDPOINT_URL_EVENTBRIDGE");
        if (aws_init(aws, "eu-central-1", NULL) != 0)
                return -1;
        *state = aws;
        return 0;
}

static int tear_down(void **state)
{
        aws_release(*state);
        free(*state);
        return 0;
}

static struct http_call *report(struct aws *aws)
{
        return events_put(aws, "scale-agent.runner", "Runner Report", "{\"stage\":\"ready\"}");
}

static void a_report_on_the_wire(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = report(*state);

        assert_contains(buf_string(&call->headers), "X-Amz-Target: AWSEvents.PutEvents\n");
        assert_string_equal(buf_string(&call->body),
                "{\"Entries\":[{\"Source\":\"scale-agent.runner\",\"DetailType\":\"Runner Report\","
                "\"Detail\":\"{\\\"stage\\\":\\\"ready\\\"}\"}]}");
}

static void an_event_that_was_not_taken_is_an_error(void **state)
{
        static const char *const garbage[] = {"", "{}", "[]", "{\"FailedEntryCount\":\"0\"}", "ok"};
        _cleanup_(http_call_freep) struct http_call *call = report(*state);
        struct err err;

        answer(call, 200, TAKEN);
        assert_int_equal(events_put_answer(call, &err), 0);
        answer(call, 200, FAILED("MalformedDetail"));
        assert_int_equal(events_put_answer(call, &err), -EREMOTEIO);
        assert_string_equal(err.text,
                "PutEvents: EventBridge did not take the event: MalformedDetail: because");
        answer(call, 200, "{\"FailedEntryCount\":1}");
        assert_int_equal(events_put_answer(call, &err), -EREMOTEIO);
        for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
                answer(call, 200, garbage[i]);
                assert_int_equal(events_put_answer(call, &err), -EBADMSG);
                assert_contains(err.text, "PutEvents");
        }
        answer(call, 400, "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(events_put_answer(call, &err), -EACCES);
        assert_contains(err.text, "events:PutEvents");
}

/* Makes the call, which is always answered so: it must be made so often and no more. */
static void perform(struct aws *aws, int status, const char *body, unsigned tries)
{
        struct script *script = script_new();
        struct http *http = script_http(script);
        _cleanup_(http_call_freep) struct http_call *call = report(aws);

        for (unsigned i = 0; i < tries; i++)
                script_expect(script, "POST", "https://events.eu-central-1.amazonaws.com/", NULL,
                        status, body);
        assert_int_equal(http_perform(http, call)->result, 0);
        http_free(http);
}

static void what_may_be_taken_later_is_sent_again(void **state)
{
        perform(*state, 200, TAKEN, 1);
        perform(*state, 200, FAILED("ThrottlingException"), 3);
        perform(*state, 200, FAILED("InternalFailure"), 3);
        perform(*state, 200, FAILED("MalformedDetail"), 1);
        perform(*state, 200, "garbage", 1);
        perform(*state, 500, "{\"__type\":\"InternalException\"}", 3);
        perform(*state, 400, "{\"__type\":\"AccessDeniedException\"}", 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_report_on_the_wire),
                TEST(an_event_that_was_not_taken_is_an_error),
                TEST(what_may_be_taken_later_is_sent_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
