/* SPDX-License-Identifier: MIT */

/*
 * When no job comes: the agent advises to stop the runner only when its parameter is gone, the
 * grace is over, and no worker lives.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent_stand.h"

static struct {
        unsigned reports;
        unsigned questions;
        unsigned n_busy; /* so many questions find a worker */
        bool is_mute;    /* the starter does not answer */
        bool is_over;
        char reason[64];
} seen;

static void on_report(void *userdata, const char *reason)
{
        (void)userdata;
        seen.reports++;
        assert_string_equal(reason, "no job within 300 s");
}

static void on_ask_worker(void *userdata)
{
        struct stand *stand = userdata;

        seen.questions++;
        if (!seen.is_mute)
                idle_worker(&stand->idle, seen.questions <= seen.n_busy);
}

static void on_over(void *userdata, const char *reason)
{
        (void)userdata;
        seen.is_over = true;
        snprintf(seen.reason, sizeof(seen.reason), "%s", reason);
}

static const struct idle_events events = {on_report, on_ask_worker, on_over};

static void start(struct stand *stand)
{
        memset(&seen, 0, sizeof(seen));
        stand->agent.settings.idle_poll_seconds = 0;
        stand->agent.settings.idle_grace_seconds = 0;
        idle_start(&stand->idle, &events, stand);
}

static void expect_look(struct stand *stand, int status, const char *answer)
{
        script_expect(stand->script, "POST", SSM_URL, NAME, status, answer);
}

static void test_the_end_of_the_parameter_is_waited_for(void **state)
{
        static const char *const gone[] = {NOT_FOUND, DENIED};
        struct stand *stand = *state;

        for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
                expect_look(stand, 200, FOUND);
                expect_look(stand, 400, THROTTLED);
                expect_look(stand, 500, "");
                expect_look(stand, 200, FOUND);
                expect_look(stand, 400, gone[i]);
                start(stand);
                assert_int_equal(seen.reports, 1);
                stand_go_on(stand, &seen.is_over);
                assert_int_equal(seen.questions, 1);
                assert_string_equal(seen.reason, "no job within 300 s");
                assert_null(stand->idle.events);
                assert_null(stand->idle.timer);
        }
}

/* The next look is so many seconds away, or up to half as many; then it comes. */
static void assert_next_look(struct stand *stand, uint64_t seconds)
{
        uint64_t look;
        uint64_t now;

        assert_non_null(stand->idle.timer);
        assert_true(sd_event_source_get_time(stand->idle.timer, &look) >= 0);
        assert_true(sd_event_now(agent_event(&stand->agent), CLOCK_MONOTONIC, &now) >= 0);
        /* The timer was set a moment ago; a busy host may need seconds since. */
        assert_in_range(look - now, (seconds / 2 - 5) * 1000000, seconds * 1000000 + 1000);
        assert_true(sd_event_source_set_time(stand->idle.timer, 0) >= 0);
        do
                http_finish(stand->agent.http);
        while (sd_event_run(agent_event(&stand->agent), 0) > 0);
}

/* When SSM refuses to be asked so often. */
static void test_each_refusal_makes_the_next_look_later(void **state)
{
        struct stand *stand = *state;

        for (int i = 0; i < 2; i++) {
                expect_look(stand, 400, THROTTLED);
                expect_look(stand, 400, THROTTLED);
                expect_look(stand, 200, FOUND);
                expect_look(stand, 200, FOUND);
                memset(&seen, 0, sizeof(seen));
                stand->agent.settings.idle_poll_seconds = 30;
                idle_start(&stand->idle, &events, stand);
                assert_next_look(stand, 30);
                assert_next_look(stand, 60);
                assert_next_look(stand, 120);
                assert_next_look(stand, 30);
                /* A job comes and goes, and nothing of this is remembered. */
                stand->idle.failures = 3;
                idle_release(&stand->idle);
        }
}

static void test_the_report_is_repeated_after_ten_polls(void **state)
{
        static const int64_t ages_ms[] = {9000, 10000};
        struct stand *stand = *state;

        for (size_t i = 0; i < ARRAY_SIZE(ages_ms); i++) {
                expect_look(stand, 200, FOUND);
                expect_look(stand, 400, NOT_FOUND);
                start(stand);
                stand->agent.settings.idle_poll_seconds = 1;
                stand->idle.reported_ms -= ages_ms[i];
                stand_go_on(stand, &seen.is_over);
                assert_int_equal(seen.reports, 1 + i);
        }
}

static void test_a_worker_is_left_alone_until_it_ends(void **state)
{
        struct stand *stand = *state;

        stand->agent.log.level = LOG_LEVEL_INFO;
        expect_look(stand, 400, NOT_FOUND);
        start(stand);
        seen.n_busy = 3;
        stand_go_on(stand, &seen.is_over);
        assert_int_equal(seen.questions, 4);
        assert_non_null(stand_logged(stand, "the runner has a worker"));
}

static void test_who_does_not_answer_is_not_waited_for(void **state)
{
        struct stand *stand = *state;

        expect_look(stand, 400, NOT_FOUND);
        start(stand);
        seen.is_mute = true;
        while (seen.questions == 0) {
                http_finish(stand->agent.http);
                assert_true(sd_event_run(agent_event(&stand->agent), 10000) >= 0);
        }
        assert_false(seen.is_over);
        assert_true(sd_event_source_set_time(stand->idle.timer, 0) >= 0);
        stand_go_on(stand, &seen.is_over);
        assert_int_equal(seen.questions, 1);
}

static void test_there_is_an_end_if_nobody_deregisters(void **state)
{
        struct stand *stand = *state;

        stand->agent.log.level = LOG_LEVEL_WARNING;
        stand->agent.handover.job_limit_seconds = 600;
        expect_look(stand, 200, FOUND);
        expect_look(stand, 200, FOUND);
        start(stand);
        stand->idle.started_ms -= 599000;
        while (seen.reports < 2) {
                http_finish(stand->agent.http);
                assert_true(sd_event_run(agent_event(&stand->agent), 10000) >= 0);
        }
        assert_int_equal(seen.questions, 0);
        stand->idle.started_ms -= 1000;
        stand_go_on(stand, &seen.is_over);
        assert_int_equal(seen.questions, 1);
        assert_non_null(stand_logged(stand, "nobody has deregistered the idle runner"));
}

static void test_a_runner_that_goes_on_ends_this(void **state)
{
        struct stand *stand = *state;

        start(stand);
        idle_release(&stand->idle);
        assert_null(stand->idle.timer);
        idle_worker(&stand->idle, false); /* an answer that comes late */
        assert_false(seen.is_over);
}

/* S3 says of an own object whether it exists: a refusal says nothing. */
static void test_a_refusal_of_s3_is_not_the_end_of_the_object(void **state)
{
        struct stand *stand = *state;

        stand_use_s3(stand);
        script_expect(stand->script, "GET", S3_URL, NULL, 200, OBJECT);
        script_expect(stand->script, "GET", S3_URL, NULL, 403, S3_ERROR("AccessDenied"));
        script_expect(stand->script, "GET", S3_URL, NULL, 404, S3_ERROR("NoSuchKey"));
        start(stand);
        stand_go_on(stand, &seen.is_over);
        assert_int_equal(script_requests(stand->script), 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STAND_IDENTIFIED(test_a_refusal_of_s3_is_not_the_end_of_the_object),
                STAND_IDENTIFIED(test_the_end_of_the_parameter_is_waited_for),
                STAND_IDENTIFIED(test_each_refusal_makes_the_next_look_later),
                STAND_IDENTIFIED(test_the_report_is_repeated_after_ten_polls),
                STAND_IDENTIFIED(test_a_worker_is_left_alone_until_it_ends),
                STAND_IDENTIFIED(test_who_does_not_answer_is_not_waited_for),
                STAND_IDENTIFIED(test_there_is_an_end_if_nobody_deregisters),
                STAND_IDENTIFIED(test_a_runner_that_goes_on_ends_this),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
