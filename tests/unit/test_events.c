/* SPDX-License-Identifier: MIT */

/*
 * EventBridge: HTTP status 200 is not enough; an event counts as sent only when EventBridge
 * accepted the entry itself.
 */

#include <errno.h>
#include <stdlib.h>

#include "answer.h"
#include "aws/events.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "script.h"
#include "unit.h"

#define TAKEN "{\"FailedEntryCount\":0,\"Entries\":[{\"EventId\":\"11710aed\"}]}"
#define FAILED(code)                                                  \
        "{\"FailedEntryCount\":1,\"Entries\":[{\"ErrorCode\":\"" code \
        "\",\"ErrorMessage\":\"because\"}]}"

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

static void assert_tries(struct aws *aws, int status, const char *answer, unsigned tries)
{
        _cleanup_(http_call_freep) struct http_call *call = report(aws);

        script_assert_tries(
                call, "https://events.eu-central-1.amazonaws.com/", status, answer, tries);
}

static void what_may_be_accepted_later_is_sent_again(void **state)
{
        assert_tries(*state, 200, TAKEN, 1);
        assert_tries(*state, 200, FAILED("ThrottlingException"), 3);
        assert_tries(*state, 200, FAILED("InternalFailure"), 3);
        assert_tries(*state, 200, FAILED("MalformedDetail"), 1);
        assert_tries(*state, 200, "garbage", 1);
        assert_tries(*state, 500, "{\"__type\":\"InternalException\"}", 3);
        assert_tries(*state, 400, "{\"__type\":\"AccessDeniedException\"}", 1);
}

#define TEST(function) \
        cmocka_unit_test_setup_teardown(function, fake_aws_set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_report_on_the_wire),
                TEST(an_event_that_was_not_taken_is_an_error),
                TEST(what_may_be_accepted_later_is_sent_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
