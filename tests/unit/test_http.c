/* SPDX-License-Identifier: MIT */

/*
 * Retries and deadlines: a call is repeated where that helps and is safe, waits no longer than the
 * server or its own deadline says, and holds up no other call. The script's clock advances by what
 * http.c waits, so a test can assert how long that was.
 */

#include <errno.h>
#include <stdlib.h>

#include "http/http.h"
#include "script.h"
#include "unit.h"

#define URL "https://example.test/a"

struct fixture {
        struct script *script;
        struct http *http;
        struct http_call *call;
        int64_t began_ms;
};

static int set_up(void **state)
{
        struct fixture *fixture = mem_alloc(sizeof(*fixture));

        fixture->script = script_new();
        fixture->http = script_http(fixture->script);
        fixture->call = http_call_new("Test", "GET", URL);
        fixture->call->tries_max = 3;
        fixture->began_ms = clock_monotonic_ms(script_clock(fixture->script));
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        http_free(fixture->http);
        http_call_free(fixture->call);
        free(fixture);
        return 0;
}

static int64_t passed_ms(const struct fixture *fixture)
{
        return clock_monotonic_ms(script_clock(fixture->script)) - fixture->began_ms;
}

static uint32_t shortest(uint32_t below)
{
        (void)below;
        return 0;
}

/* -- retries -- */

static void an_answer_ends_the_call(void **state)
{
        struct fixture *fixture = *state;

        script_expect_headers(
                fixture->script, "GET", URL, NULL, 404, "X-A: 1\r\nx-b:  2 \r\n", "no");
        assert_int_equal(http_perform(fixture->http, fixture->call)->result, 0);
        assert_int_equal(fixture->call->status, 404);
        assert_string_equal(buf_string(&fixture->call->answer), "no");
        assert_int_equal(fixture->call->tries, 1);
        assert_int_equal(fixture->call->ended_ms - fixture->call->started_ms, 1);
}

static void transient_statuses_are_tried_again(void **state)
{
        static const int passing[] = {429, 502, 503, 504};
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(passing); i++) {
                script_expect(fixture->script, "GET", URL, NULL, passing[i], "wait");
                script_expect(fixture->script, "GET", URL, NULL, 200, "ok");
                assert_int_equal(http_perform(fixture->http, fixture->call)->result, 0);
                assert_int_equal(fixture->call->status, 200);
                assert_string_equal(buf_string(&fixture->call->answer), "ok");
                assert_int_equal(fixture->call->tries, 2);
        }
}

static void other_statuses_are_not_tried_again(void **state)
{
        static const int lasting[] = {200, 301, 400, 403, 409, 500, 501};
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(lasting); i++) {
                script_expect(fixture->script, "GET", URL, NULL, lasting[i], "");
                assert_int_equal(http_perform(fixture->http, fixture->call)->result, 0);
                assert_int_equal(fixture->call->tries, 1);
        }
}

static void lost_connections_are_tried_again(void **state)
{
        static const int lost[] = {-ECONNRESET, -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT};
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
                script_expect_failure(fixture->script, "GET", URL, lost[i]);
                script_expect(fixture->script, "GET", URL, NULL, 200, "ok");
                assert_int_equal(http_perform(fixture->http, fixture->call)->result, 0);
                assert_int_equal(fixture->call->status, 200);
        }
        script_expect_failure(fixture->script, "GET", URL, -EKEYREJECTED);
        assert_int_equal(http_perform(fixture->http, fixture->call)->result, -EKEYREJECTED);
        assert_int_equal(fixture->call->tries, 1);
}

static void tries_are_counted(void **state)
{
        struct fixture *fixture = *state;
        struct err err;

        for (int i = 0; i < 3; i++)
                script_expect_failure(fixture->script, "GET", URL, -ECONNRESET);
        assert_int_equal(http_perform(fixture->http, fixture->call)->result, -ECONNRESET);
        assert_int_equal(fixture->call->tries, 3);
        assert_int_equal(http_call_fail(fixture->call, &err), -ECONNRESET);
        assert_string_equal(err.text, "Test: no answer: scripted failure");
}

/* Repeating a call that is not known to be safe could do its work twice. */
static void by_default_there_is_one_try(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *call = http_call_new("Test", "POST", URL);

        script_expect(fixture->script, "POST", URL, NULL, 503, "");
        http_perform(fixture->http, call);
        assert_int_equal(call->status, 503);
        http_call_free(call);
}

static enum http_verdict again_on_500(const struct http_call *call)
{
        return call->status == 500 ? HTTP_AGAIN : HTTP_DONE;
}

static void the_maker_judges_answers(void **state)
{
        struct fixture *fixture = *state;

        fixture->call->judge = again_on_500;
        script_expect(fixture->script, "GET", URL, NULL, 500, "");
        script_expect(fixture->script, "GET", URL, NULL, 503, "capacity");
        http_perform(fixture->http, fixture->call);
        assert_int_equal(fixture->call->status, 503);
        assert_int_equal(fixture->call->tries, 2);
}

/* -- waiting -- */

static void waits_are_full_jitter(void **state)
{
        /* The wait doubles up to 5 s; each answer itself takes 1 ms. */
        static const int64_t longest[] = {200, 400, 800, 1600, 3200, 5000, 5000};
        struct fixture *fixture = *state;
        int64_t sum = 0;

        fixture->call->timeout_ms = 0;
        fixture->call->tries_max = ARRAY_SIZE(longest) + 1;
        for (size_t i = 0; i < ARRAY_SIZE(longest); i++) {
                script_expect(fixture->script, "GET", URL, NULL, 503, "");
                sum += longest[i] + 1;
        }
        script_expect(fixture->script, "GET", URL, NULL, 200, "");
        http_perform(fixture->http, fixture->call);
        assert_int_equal(passed_ms(fixture), sum + 1);

        http_set_random(fixture->http, shortest);
        fixture->began_ms += passed_ms(fixture);
        for (size_t i = 0; i < ARRAY_SIZE(longest); i++)
                script_expect(fixture->script, "GET", URL, NULL, 503, "");
        script_expect(fixture->script, "GET", URL, NULL, 200, "");
        http_perform(fixture->http, fixture->call);
        assert_int_equal(passed_ms(fixture), ARRAY_SIZE(longest) + 1);
}

static void retry_after_is_honoured(void **state)
{
        static const struct {
                const char *header;
                int64_t wait_ms;
        } rows[] = {
                {"Retry-After: 3\r\n", 3000},
                {"retry-after:  0 \r\n", 0},
                {"Retry-After: Fri, 02 Jan 2026 03:00:00 GMT\r\n", 0},
                {"Retry-After: soon\r\n", 200},
                {"Retry-After: -5\r\n", 200},
        };
        struct fixture *fixture = *state;

        fixture->call->timeout_ms = 0;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int64_t before = passed_ms(fixture);

                script_expect_headers(fixture->script, "GET", URL, NULL, 503, rows[i].header, "");
                script_expect(fixture->script, "GET", URL, NULL, 200, "");
                http_perform(fixture->http, fixture->call);
                assert_int_equal(passed_ms(fixture) - before - 2, rows[i].wait_ms);
        }
}

static void retry_after_may_be_a_date(void **state)
{
        struct fixture *fixture = *state;

        /* The script's clock begins at 03:04:05. */
        script_expect_headers(fixture->script, "GET", URL, NULL, 503,
                "Retry-After: Fri, 02 Jan 2026 03:04:12 GMT\r\n", "");
        script_expect(fixture->script, "GET", URL, NULL, 200, "");
        http_perform(fixture->http, fixture->call);
        assert_int_equal(passed_ms(fixture), 7001);
}

/* Such a server must not be asked sooner than it wants, so the answer is final. */
static void a_very_long_retry_after_ends_the_call(void **state)
{
        struct fixture *fixture = *state;

        script_expect_headers(
                fixture->script, "GET", URL, NULL, 429, "Retry-After: 100000\r\n", "rate");
        http_perform(fixture->http, fixture->call);
        assert_int_equal(fixture->call->status, 429);
        assert_int_equal(fixture->call->tries, 1);
        assert_int_equal(passed_ms(fixture), 1);
}

static void no_retry_is_awaited_beyond_the_deadline(void **state)
{
        struct fixture *fixture = *state;

        fixture->call->timeout_ms = 1000;
        script_expect_headers(fixture->script, "GET", URL, NULL, 503, "Retry-After: 1\r\n", "busy");
        assert_int_equal(http_perform(fixture->http, fixture->call)->result, 0);
        assert_int_equal(fixture->call->status, 503);
        assert_string_equal(buf_string(&fixture->call->answer), "busy");
        assert_int_equal(passed_ms(fixture), 1);
}

static void a_try_ends_with_the_deadline(void **state)
{
        struct fixture *fixture = *state;

        fixture->call->timeout_ms = 1000;
        fixture->call->try_timeout_ms = 800;
        script_expect(fixture->script, "GET", URL, NULL, 503, "");
        script_expect(fixture->script, "GET", URL, NULL, 200, "");
        http_start(fixture->http, fixture->call);
        assert_int_equal(http_call_try_ms(fixture->http, fixture->call), 800);
        http_dispatch(fixture->http);
        script_sleep(fixture->script, 400);
        http_dispatch(fixture->http);
        assert_int_equal(http_call_try_ms(fixture->http, fixture->call), 600);
        script_sleep(fixture->script, 5000);
        assert_int_equal(http_call_try_ms(fixture->http, fixture->call), 1);
        fixture->call->deadline_ms = 0;
        fixture->call->try_timeout_ms = 0;
        assert_int_equal(http_call_try_ms(fixture->http, fixture->call), 0);
        http_await(fixture->http, fixture->call);
}

static void too_large_an_answer_is_an_error(void **state)
{
        struct fixture *fixture = *state;

        fixture->call->answer_limit = 3;
        script_expect(fixture->script, "GET", URL, NULL, 200, "four");
        assert_int_equal(http_perform(fixture->http, fixture->call)->result, -E2BIG);
        assert_contains(fixture->call->err.text, "larger than 3 bytes");
        assert_int_equal(fixture->call->tries, 1);
}

/* -- several calls -- */

struct chain {
        struct http *http;
        unsigned left;
        unsigned ended;
};

static void continue_chain(struct http_call *call, void *userdata);

static void start_chained(struct chain *chain)
{
        struct http_call *call = http_call_new("Test", "GET", URL);

        call->done = continue_chain;
        call->userdata = chain;
        http_start(chain->http, call);
}

static void continue_chain(struct http_call *call, void *userdata)
{
        struct chain *chain = userdata;

        assert_int_equal(call->status, 200);
        chain->ended++;
        http_call_free(call);
        if (chain->left > 0) {
                chain->left--;
                start_chained(chain);
        }
}

static void chains_of_calls_run_in_parallel(void **state)
{
        struct fixture *fixture = *state;
        struct chain chains[20] = {{0}};

        for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
                chains[i] = (struct chain){.http = fixture->http, .left = 2};
                for (int step = 0; step < 3; step++) {
                        script_expect(fixture->script, "GET", URL, NULL, 200, "");
                        script_latency(fixture->script, 100);
                }
        }
        for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
                start_chained(&chains[i]);
        http_finish(fixture->http);
        for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
                assert_int_equal(chains[i].ended, 3);
        assert_int_equal(passed_ms(fixture), 300);
}

static void a_waiting_call_holds_up_no_other(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *other = http_call_new("Test", "GET", "https://example.test/b");

        script_expect_headers(fixture->script, "GET", URL, NULL, 503, "Retry-After: 5\r\n", "");
        script_expect(fixture->script, "GET", URL, NULL, 200, "");
        script_expect(fixture->script, "GET", "/b", NULL, 200, "");
        script_latency(fixture->script, 50);
        http_start(fixture->http, fixture->call);
        assert_int_equal(http_perform(fixture->http, other)->result, 0);
        assert_int_equal(passed_ms(fixture), 50);
        assert_int_equal(fixture->call->state, HTTP_CALL_WAITING);
        http_await(fixture->http, fixture->call);
        assert_int_equal(fixture->call->status, 200);
        http_call_free(other);
}

static void never(struct http_call *call, void *userdata)
{
        (void)call;
        (void)userdata;
        fail_msg("a cancelled call was reported as done");
}

static void cancelled_calls_are_not_reported_as_done(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *waiting = http_call_new("Test", "GET", "https://example.test/b");

        script_expect(fixture->script, "GET", URL, NULL, 200, "");
        script_expect_headers(fixture->script, "GET", "/b", NULL, 503, "Retry-After: 5\r\n", "");
        fixture->call->done = never;
        waiting->done = never;
        waiting->tries_max = 2;
        http_start(fixture->http, waiting);
        script_sleep(fixture->script, 1);
        http_dispatch(fixture->http);
        assert_int_equal(waiting->state, HTTP_CALL_WAITING);
        http_start(fixture->http, fixture->call);
        http_cancel(fixture->http, fixture->call);
        http_cancel(fixture->http, waiting);
        http_cancel(fixture->http, waiting);
        assert_int_equal(fixture->call->result, -ECANCELED);
        assert_int_equal(waiting->result, -ECANCELED);
        http_finish(fixture->http);
        http_call_free(waiting);
}

/* The timeout of a call that begins later begins then. */
static void a_call_may_begin_later_and_others_go_on_meanwhile(void **state)
{
        struct fixture *fixture = *state;
        int64_t began = clock_monotonic_ms(script_clock(fixture->script));

        fixture->call->timeout_ms = 100;
        script_expect(fixture->script, "GET", "/", NULL, 200, "");
        http_start_later(fixture->http, fixture->call, 5000);
        http_sleep(fixture->http, 3000);
        assert_int_equal(script_requests(fixture->script), 0);
        assert_int_equal(clock_monotonic_ms(script_clock(fixture->script)) - began, 3000);
        http_sleep(fixture->http, 3000);
        assert_int_equal(fixture->call->status, 200);
        assert_int_equal(clock_monotonic_ms(script_clock(fixture->script)) - began, 6000);
        http_sleep(fixture->http, 1); /* with nothing under way */
        assert_int_equal(clock_monotonic_ms(script_clock(fixture->script)) - began, 6001);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_call_may_begin_later_and_others_go_on_meanwhile),
                TEST(an_answer_ends_the_call),
                TEST(transient_statuses_are_tried_again),
                TEST(other_statuses_are_not_tried_again),
                TEST(lost_connections_are_tried_again),
                TEST(tries_are_counted),
                TEST(by_default_there_is_one_try),
                TEST(the_maker_judges_answers),
                TEST(waits_are_full_jitter),
                TEST(retry_after_is_honoured),
                TEST(retry_after_may_be_a_date),
                TEST(a_very_long_retry_after_ends_the_call),
                TEST(no_retry_is_awaited_beyond_the_deadline),
                TEST(a_try_ends_with_the_deadline),
                TEST(too_large_an_answer_is_an_error),
                TEST(chains_of_calls_run_in_parallel),
                TEST(a_waiting_call_holds_up_no_other),
                TEST(cancelled_calls_are_not_reported_as_done),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
