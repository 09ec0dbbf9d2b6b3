/* SPDX-License-Identifier: MIT */

/*
 * The loop of the Lambda runtime: events are handled one after another, and neither a failure nor a
 * refused answer ends the process.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lambda/runtime.h"
#include "script.h"
#include "unit.h"

#define NEXT "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next"
#define INVOCATION "http://127.0.0.1:9001/2018-06-01/runtime/invocation/"
#define HEADERS                                                                               \
        "Lambda-Runtime-Aws-Request-Id: r-1\r\nLambda-Runtime-Deadline-Ms: 1767323055000\r\n" \
        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:"      \
        "function:queued\r\n"

struct fixture {
        struct script *script;
        struct http *http;
        struct err err;
        unsigned events;
        struct lambda_event last;
        char last_body[64];
        int result;
        const char *answer;
};

static int set_up(void **state)
{
        struct fixture *fixture = mem_alloc(sizeof(*fixture));

        fixture->script = script_new();
        fixture->http = script_http(fixture->script);
        fixture->answer = "{\"ok\":true}";
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        http_free(fixture->http);
        free(fixture);
        return 0;
}

static int handle(
        void *userdata, const struct lambda_event *event, struct buf *answer, struct err *err)
{
        struct fixture *fixture = userdata;

        fixture->events++;
        fixture->last = *event;
        memcpy(fixture->last_body, event->body, event->size < 63 ? event->size : 63);
        if (fixture->result < 0)
                return err_set(err, fixture->result, "it broke");
        buf_add_string(answer, fixture->answer);
        return 0;
}

static void expect_event(struct fixture *fixture, const char *headers, const char *body)
{
        script_expect_headers(fixture->script, "GET", NEXT, NULL, 200, headers, body);
}

/* The runtime API goes away, which ends lambda_run(). */
static void expect_end(struct fixture *fixture)
{
        script_expect_failure(fixture->script, "GET", NEXT, -ECONNRESET);
}

static int run(struct fixture *fixture)
{
        return lambda_run(fixture->http, "127.0.0.1:9001", handle, fixture, &fixture->err);
}

static void events_are_answered_one_after_the_other(void **state)
{
        struct fixture *fixture = *state;

        expect_event(fixture, HEADERS, "{\"a\":1}");
        script_latency(fixture->script, 3600000); /* The process was frozen meanwhile. */
        script_expect(fixture->script, "POST", INVOCATION "r-1/response", "{\"ok\":true}", 202, "");
        expect_event(fixture, "lambda-runtime-aws-request-id: r-2\r\n", "{}");
        script_expect(fixture->script, "POST", INVOCATION "r-2/response", NULL, 202, "");
        expect_end(fixture);
        assert_int_equal(run(fixture), -ECONNRESET);
        assert_int_equal(fixture->events, 2);
        assert_string_equal(fixture->last.request_id, "r-2");
        assert_int_equal(fixture->last.deadline_ms, 0);
        assert_string_equal(fixture->err.text, "Lambda's next event: no answer: scripted failure");
}

static void an_event_has_its_deadline(void **state)
{
        struct fixture *fixture = *state;

        expect_event(fixture, HEADERS, "{\"a\":1}");
        script_expect(fixture->script, "POST", "/response", NULL, 202, "");
        expect_end(fixture);
        run(fixture);
        assert_int_equal(fixture->last.deadline_ms, INT64_C(1767323055000));
        assert_string_equal(fixture->last.function_arn,
                "arn:aws:lambda:eu-central-1:123456789012:function:queued");
        assert_string_equal(fixture->last_body, "{\"a\":1}");
        assert_int_equal(fixture->last.size, 7);
}

static void a_failure_is_reported_and_the_next_event_served(void **state)
{
        struct fixture *fixture = *state;

        fixture->result = -EIO;
        expect_event(fixture, HEADERS, "{}");
        script_expect(fixture->script, "POST", INVOCATION "r-1/error",
                "{\"errorType\":\"EIO\",\"errorMessage\":\"it broke\"}", 202, "");
        expect_event(fixture, HEADERS, "{}");
        script_expect(fixture->script, "POST", INVOCATION "r-1/error", NULL, 202, "");
        expect_end(fixture);
        run(fixture);
        assert_int_equal(fixture->events, 2);
}

/* Lambda itself reports an answer that came too late or is too large. */
static void a_refused_answer_does_not_end_the_loop(void **state)
{
        struct fixture *fixture = *state;

        expect_event(fixture, HEADERS, "{}");
        script_expect(fixture->script, "POST", "/response", NULL, 400, "InvalidRequestID");
        expect_event(fixture, HEADERS, "{}");
        script_expect(fixture->script, "POST", "/response", NULL, 413, "too large");
        expect_end(fixture);
        run(fixture);
        assert_int_equal(fixture->events, 2);
}

static void too_large_an_answer_is_a_failure(void **state)
{
        struct fixture *fixture = *state;
        char *large = mem_alloc(LAMBDA_ANSWER_MAX + 2);

        memset(large, 'x', LAMBDA_ANSWER_MAX + 1);
        fixture->answer = large;
        expect_event(fixture, HEADERS, "{}");
        script_expect(fixture->script, "POST", INVOCATION "r-1/error", "larger than", 202, "");
        expect_end(fixture);
        run(fixture);
        free(large);
}

static void without_a_request_id_there_is_no_event(void **state)
{
        struct fixture *fixture = *state;

        expect_event(fixture, "", "{}");
        assert_int_equal(run(fixture), -EPROTO);
        assert_contains(fixture->err.text, "no request id");
        script_expect(fixture->script, "GET", NEXT, NULL, 403, "no");
        assert_int_equal(run(fixture), -EPROTO);
        assert_int_equal(fixture->events, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(events_are_answered_one_after_the_other),
                TEST(an_event_has_its_deadline),
                TEST(a_failure_is_reported_and_the_next_event_served),
                TEST(a_refused_answer_does_not_end_the_loop),
                TEST(too_large_an_answer_is_a_failure),
                TEST(without_a_request_id_there_is_no_event),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
