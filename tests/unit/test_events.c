/* SPDX-License-Identifier: MIT */

/*
 * EventBridge: HTTP status 200 is not enough; an event counts as sent only when EventBridge
 * accepted the entry itself.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "answer.h"
#include "aws/events.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "script.h"
#include "unit.h"

#define TAKEN \
        "{\"FailedEntryCount\":0,\"Entries\":[{\"EventId\":\"11710aed\"},{\"EventId\":\"2\"}]}"

static struct http_call *reports(struct aws *aws)
{
        static const char *const details[] = {"{\"stage\":\"ready\"}", "{\"stage\":\"idle\"}"};

        return events_put(aws, "scale-agent.runner", "Runner Report", details, 2);
}

static void reports_on_the_wire(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = reports(*state);

        assert_contains(buf_string(&call->headers), "X-Amz-Target: AWSEvents.PutEvents\n");
        assert_string_equal(buf_string(&call->body),
                "{\"Entries\":[{\"Source\":\"scale-agent.runner\",\"DetailType\":\"Runner Report\","
                "\"Detail\":\"{\\\"stage\\\":\\\"ready\\\"}\"},"
                "{\"Source\":\"scale-agent.runner\",\"DetailType\":\"Runner Report\","
                "\"Detail\":\"{\\\"stage\\\":\\\"idle\\\"}\"}]}");
}

static void assert_taken(
        struct http_call *call, const char *text, int result, bool first, bool second)
{
        bool taken[] = {!first, !second};
        struct err err;

        answer(call, 200, text);
        assert_int_equal(events_put_answer(call, taken, 2, &err), result);
        assert_int_equal(taken[0], first);
        assert_int_equal(taken[1], second);
        if (result == EVENTS_REFUSED)
                assert_contains(err.text, "PutEvents: EventBridge did not take the event: ");
        else if (result < 0)
                assert_contains(err.text, "PutEvents");
}

static void each_event_is_taken_or_not(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = reports(*state);

        assert_taken(call, TAKEN, 0, true, true);
        assert_taken(call,
                "{\"FailedEntryCount\":1,\"Entries\":[{\"ErrorCode\":\"InternalFailure\","
                "\"ErrorMessage\":\"because\"},{\"EventId\":\"2\"}]}",
                EVENTS_REFUSED, false, true);
        assert_taken(call,
                "{\"FailedEntryCount\":1,\"Entries\":[{\"EventId\":\"1\"},"
                "{\"ErrorCode\":\"ThrottlingException\"}]}",
                EVENTS_REFUSED, true, false);
        /* Rather twice than never. */
        assert_taken(call, "{\"FailedEntryCount\":1,\"Entries\":[{\"EventId\":\"1\"}]}",
                EVENTS_REFUSED, true, false);
        assert_taken(call, "{\"FailedEntryCount\":1}", EVENTS_REFUSED, false, false);
}

static void why_an_event_was_not_taken(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = reports(*state);
        bool taken[2];
        struct err err;

        answer(call, 200,
                "{\"FailedEntryCount\":2,\"Entries\":[{\"ErrorCode\":\"MalformedDetail\","
                "\"ErrorMessage\":\"because\"},{\"ErrorCode\":\"InternalFailure\"}]}");
        assert_int_equal(events_put_answer(call, taken, 2, &err), EVENTS_REFUSED);
        assert_string_equal(err.text,
                "PutEvents: EventBridge did not take the event: MalformedDetail: because");
}

static void an_answer_that_cannot_be_read_takes_nothing(void **state)
{
        static const char *const garbage[] = {"", "{}", "[]", "{\"FailedEntryCount\":\"0\"}", "ok"};
        _cleanup_(http_call_freep) struct http_call *call = reports(*state);
        bool taken[2] = {true, true};
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(garbage); i++)
                assert_taken(call, garbage[i], -EBADMSG, false, false);
        answer(call, 400, "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(events_put_answer(call, taken, 2, &err), -EACCES);
        assert_contains(err.text, "events:PutEvents");
        assert_false(taken[0] || taken[1]);
}

static void assert_tries(struct aws *aws, int status, const char *answer, unsigned tries)
{
        _cleanup_(http_call_freep) struct http_call *call = reports(aws);

        script_assert_tries(
                call, "https://events.eu-central-1.amazonaws.com/", status, answer, tries);
}

/* Those that were taken would come twice. */
static void only_a_call_that_was_refused_is_sent_again(void **state)
{
        assert_tries(*state, 200, TAKEN, 1);
        assert_tries(*state, 200, "{\"FailedEntryCount\":1}", 1);
        assert_tries(*state, 200, "garbage", 1);
        assert_tries(*state, 500, "{\"__type\":\"InternalException\"}", 3);
        assert_tries(*state, 400, "{\"__type\":\"AccessDeniedException\"}", 1);
}

#define TEST(function) \
        cmocka_unit_test_setup_teardown(function, fake_aws_set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(reports_on_the_wire),
                TEST(each_event_is_taken_or_not),
                TEST(why_an_event_was_not_taken),
                TEST(an_answer_that_cannot_be_read_takes_nothing),
                TEST(only_a_call_that_was_refused_is_sent_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
