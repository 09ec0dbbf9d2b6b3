/* SPDX-License-Identifier: MIT */

/*
 * What the agent reports, and how it cleans up.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "agent_stand.h"
#include "base/mem.h"

/* -- reports -- */

static void test_reports_that_wait_go_with_one_call(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 400, THROTTLED);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        reporter_send(&stand->reporter, REPORT_READY, NULL);
        reporter_send(&stand->reporter, REPORT_FAILED, "because");
        reporter_finish(&stand->reporter, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_non_null(strstr(script_last_body(stand->script), "because"));
        assert_int_equal(script_requests(stand->script), 2);
}

static void note_taken(void *userdata, enum report_stage stage)
{
        struct stand *stand = userdata;

        stand->told.stage = stage;
        stand->told.idles++;
}

/* A job has mostly started by then. */
static void test_ready_waits_for_the_start_of_a_job(void **state)
{
        struct stand *stand = *state;

        stand->reporter.taken = note_taken;
        stand->reporter.taken_userdata = stand;
        reporter_send(&stand->reporter, REPORT_READY, NULL);
        http_finish(stand->agent.http);
        assert_int_equal(script_requests(stand->script), 0);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        reporter_send(&stand->reporter, REPORT_JOB_STARTED, NULL);
        assert_non_null(strstr(script_last_body(stand->script), "\\\"job_started\\\""));
        http_finish(stand->agent.http);
        assert_int_equal(stand->told.idles, 2);
        assert_int_equal(stand->told.stage, REPORT_JOB_STARTED);
        assert_int_equal(stand->reporter.n_waiting, 0);
        assert_null(stand->reporter.hold);
}

static void test_ready_waits_for_a_second_at_most(void **state)
{
        struct stand *stand = *state;
        uint64_t now_us;
        uint64_t at_us;

        reporter_send(&stand->reporter, REPORT_READY, NULL);
        assert_true(sd_event_now(stand->agent.event, CLOCK_MONOTONIC, &now_us) >= 0);
        assert_true(sd_event_source_get_time(stand->reporter.hold, &at_us) >= 0);
        assert_in_range(at_us - now_us, 500000, 1000000);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        assert_true(sd_event_source_set_time(stand->reporter.hold, 0) >= 0);
        assert_true(sd_event_run(stand->agent.event, 1000000) > 0);
        http_finish(stand->agent.http);
        assert_int_equal(stand->reporter.n_waiting, 0);
}

static void test_ready_is_not_lost_at_the_end(void **state)
{
        struct stand *stand = *state;

        reporter_send(&stand->reporter, REPORT_READY, NULL);
        assert_int_equal(script_requests(stand->script), 0);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        reporter_finish(&stand->reporter, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
}

static void test_only_an_entry_that_was_refused_is_sent_again(void **state)
{
        struct stand *stand = *state;

        stand->reporter.taken = note_taken;
        stand->reporter.taken_userdata = stand;
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"job_started\\\"", 200,
                "{\"FailedEntryCount\":1,\"Entries\":[{\"ErrorCode\":\"InternalFailure\"},"
                "{\"EventId\":\"2\"}]}");
        reporter_send(&stand->reporter, REPORT_READY, NULL);
        reporter_send(&stand->reporter, REPORT_JOB_STARTED, NULL);
        http_finish(stand->agent.http);
        assert_int_equal(stand->told.idles, 1);
        assert_int_equal(stand->told.stage, REPORT_JOB_STARTED);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        reporter_finish(&stand->reporter, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_null(strstr(script_last_body(stand->script), "job_started"));
        assert_int_equal(stand->told.idles, 2);
}

static void test_reports_give_up_in_time(void **state)
{
        struct stand *stand = *state;

        stand->agent.log.level = LOG_LEVEL_ERROR;
        script_expect(stand->script, "POST", EVENTS_URL, NULL, 400, DENIED);
        reporter_send(&stand->reporter, REPORT_READY, NULL);
        reporter_finish(&stand->reporter, 20, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -ETIMEDOUT);
        assert_int_equal(stand->reporter.n_waiting, 1);
}

static void test_without_credentials_nothing_is_reported(void **state)
{
        struct stand *stand = *state;

        reporter_send(&stand->reporter, REPORT_FAILED, "x");
        reporter_finish(&stand->reporter, 1000, stand_done, stand);
        assert_int_equal(stand->told.calls, 1);
        assert_int_equal(stand->told.result, 0);
}

static void test_a_report_that_waits_is_not_queued_again(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        reporter_send(&stand->reporter, REPORT_READY, NULL);
        for (int i = 0; i < 20; i++)
                reporter_send(&stand->reporter, REPORT_IDLE, NULL);
        reporter_finish(&stand->reporter, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"idle\\\"", 200, EVENT_TAKEN);
        reporter_send(&stand->reporter, REPORT_IDLE, NULL); /* the first was taken */
        reporter_finish(&stand->reporter, 4000, stand_done, stand);
        stand_go_on_until(stand, 2);
}

static void test_a_report_that_is_no_longer_true_is_not_sent(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", EVENTS_URL, "\\\"idle\\\"", 400, THROTTLED);
        reporter_send(&stand->reporter, REPORT_IDLE, NULL);
        http_finish(stand->agent.http);
        reporter_send(&stand->reporter, REPORT_JOB_STARTED, NULL);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"job_started\\\"", 200, EVENT_TAKEN);
        reporter_forget(&stand->reporter, REPORT_IDLE);
        assert_null(strstr(script_last_body(stand->script), "\\\"idle\\\""));
        reporter_finish(&stand->reporter, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
}

/* If it fails, it must not be tried again, and the next one does not wait for it. */
static void test_a_report_under_way_that_is_forgotten_is_given_up(void **state)
{
        struct stand *stand = *state;

        script_expect_silence(stand->script, "POST", EVENTS_URL);
        reporter_send(&stand->reporter, REPORT_IDLE, NULL);
        reporter_send(&stand->reporter, REPORT_JOB_STARTED, NULL);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"job_started\\\"", 200, EVENT_TAKEN);
        reporter_forget(&stand->reporter, REPORT_IDLE);
        reporter_finish(&stand->reporter, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
}

static bool waits_to_try_again(const struct stand *stand)
{
        return stand->reporter.timer && !stand->reporter.call;
}

static void test_the_last_report_that_is_forgotten_is_not_tried_again(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", EVENTS_URL, "\\\"idle\\\"", 400, THROTTLED);
        reporter_send(&stand->reporter, REPORT_IDLE, NULL);
        http_finish(stand->agent.http);
        assert_true(waits_to_try_again(stand));
        reporter_forget(&stand->reporter, REPORT_IDLE);
        assert_null(stand->reporter.timer);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        reporter_send(&stand->reporter, REPORT_READY, NULL);
        reporter_finish(&stand->reporter, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
}

/* -- clean up -- */

static void test_a_parameter_is_deleted_once(void **state)
{
        struct stand *stand = *state;

        stand->agent.has_parameter = true;
        stand->agent.times[REPORT_TIME_JOB_STARTED] = 1;
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, THROTTLED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, "{}");
        clean_up_start(&stand->clean_up);
        stand_go_on(stand, &stand->agent.has_deleted_parameter);
        clean_up_start(&stand->clean_up);
        clean_up_finish(&stand->clean_up, 4000, stand_done, stand);
        assert_int_equal(stand->told.calls, 1);
        assert_int_equal(stand->told.result, 0);
        assert_int_equal(script_requests(stand->script), 2);
}

/* The last report tells the scaler whether there is something left to do. */
static void test_a_report_says_that_the_parameter_was_deleted(void **state)
{
        struct stand *stand = *state;

        for (int i = 0; i < 2; i++) {
                stand->agent.has_deleted_parameter = i == 1;
                script_expect(
                        stand->script, "POST", EVENTS_URL, "\\\"finished\\\"", 200, EVENT_TAKEN);
                reporter_send(&stand->reporter, REPORT_FINISHED, NULL);
                assert_int_equal(
                        !!strstr(script_last_body(stand->script), "\\\"hand_over_deleted\\\":true"),
                        i);
                http_finish(stand->agent.http);
        }
}

/* Somebody else may have deleted it: the agent does not say that it has. */
static void test_what_can_neither_be_deleted_nor_read_is_gone(void **state)
{
        struct stand *stand = *state;

        stand->agent.has_parameter = true;
        stand->agent.times[REPORT_TIME_JOB_STARTED] = 1;
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        clean_up_finish(&stand->clean_up, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_false(stand->agent.has_deleted_parameter);
        assert_int_equal(script_requests(stand->script), 2);
}

static void test_what_can_be_read_and_not_deleted_is_left_behind(void **state)
{
        struct stand *stand = *state;

        stand->agent.has_parameter = true;
        stand->agent.times[REPORT_TIME_JOB_STARTED] = 1;
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, FOUND);
        clean_up_finish(&stand->clean_up, 50, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -ETIMEDOUT);
        assert_non_null(strstr(stand->told.err.text, "ssm:DeleteParameter"));
        assert_non_null(stand_logged(stand, "parameter left behind, the scaler will delete it"));
}

/* Unlike SSM, S3 does not refuse what is gone. */
static void test_what_s3_refuses_to_delete_is_left_behind(void **state)
{
        struct stand *stand = *state;

        stand_use_s3(stand);
        stand->agent.has_parameter = true;
        stand->agent.times[REPORT_TIME_JOB_STARTED] = 1;
        script_expect(stand->script, "DELETE", S3_URL, NULL, 403, S3_ERROR("AccessDenied"));
        clean_up_finish(&stand->clean_up, 50, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -ETIMEDOUT);
        assert_non_null(strstr(stand->told.err.text, "s3:DeleteObject"));
}

static void test_an_object_is_deleted(void **state)
{
        struct stand *stand = *state;

        stand_use_s3(stand);
        stand->agent.has_parameter = true;
        stand->agent.times[REPORT_TIME_JOB_STARTED] = 1;
        script_expect(stand->script, "DELETE", S3_URL, NULL, 204, "");
        clean_up_start(&stand->clean_up);
        clean_up_finish(&stand->clean_up, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_true(stand->agent.has_deleted_parameter);
}

static void test_nothing_is_deleted_that_was_not_there(void **state)
{
        struct stand *stand = *state;

        stand->agent.times[REPORT_TIME_JOB_STARTED] = 1;
        clean_up_start(&stand->clean_up);
        clean_up_finish(&stand->clean_up, 4000, stand_done, stand);
        assert_int_equal(stand->told.calls, 1);
        assert_int_equal(stand->told.result, 0);
        assert_int_equal(script_requests(stand->script), 0);
}

/* It is the evidence by which the scaler gives the job back. */
static void test_without_a_job_the_parameter_stays(void **state)
{
        struct stand *stand = *state;

        stand->agent.has_parameter = true;
        clean_up_finish(&stand->clean_up, 4000, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_int_equal(script_requests(stand->script), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STAND_IDENTIFIED(test_reports_that_wait_go_with_one_call),
                STAND_IDENTIFIED(test_ready_waits_for_the_start_of_a_job),
                STAND_IDENTIFIED(test_ready_waits_for_a_second_at_most),
                STAND_IDENTIFIED(test_ready_is_not_lost_at_the_end),
                STAND_IDENTIFIED(test_only_an_entry_that_was_refused_is_sent_again),
                STAND_IDENTIFIED(test_reports_give_up_in_time),
                STAND_FRESH(test_without_credentials_nothing_is_reported),
                STAND_IDENTIFIED(test_a_report_that_waits_is_not_queued_again),
                STAND_IDENTIFIED(test_a_report_that_is_no_longer_true_is_not_sent),
                STAND_IDENTIFIED(test_a_report_under_way_that_is_forgotten_is_given_up),
                STAND_IDENTIFIED(test_the_last_report_that_is_forgotten_is_not_tried_again),
                STAND_IDENTIFIED(test_a_parameter_is_deleted_once),
                STAND_IDENTIFIED(test_a_report_says_that_the_parameter_was_deleted),
                STAND_IDENTIFIED(test_what_can_neither_be_deleted_nor_read_is_gone),
                STAND_IDENTIFIED(test_what_can_be_read_and_not_deleted_is_left_behind),
                STAND_IDENTIFIED(test_what_s3_refuses_to_delete_is_left_behind),
                STAND_IDENTIFIED(test_an_object_is_deleted),
                STAND_IDENTIFIED(test_nothing_is_deleted_that_was_not_there),
                STAND_IDENTIFIED(test_without_a_job_the_parameter_stays),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
