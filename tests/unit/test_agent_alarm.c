/* SPDX-License-Identifier: MIT */

/*
 * What alarms the agent while the runner works: spot notices and limits.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent_stand.h"

static void test_a_spot_notice_is_an_alarm(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:06:05Z\"}");
        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        alarm_runner_started(&stand->alarm);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.stage, REPORT_INTERRUPTED);
        assert_non_null(strstr(stand->told.err.text, "terminate at 2026-01-02T03:06:05.000Z"));
        assert_in_range(stand->told.grace_ms, 111900, 112000); /* settings: 30 s */
}

static void test_a_late_notice_leaves_less_time(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"stop\",\"time\":\"2026-01-02T03:04:25Z\"}");
        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        alarm_runner_started(&stand->alarm);
        stand_go_on_until(stand, 1);
        assert_in_range(stand->told.grace_ms, 11900, 12000);
}

static void test_a_notice_in_the_past_leaves_none(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:00:00Z\"}");
        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        alarm_runner_started(&stand->alarm);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.grace_ms, 0);
}

static void test_an_ended_metadata_token_is_replaced(void **state)
{
        struct stand *stand = *state;
        struct agent *agent = &stand->agent;

        stand->agent.settings.spot_poll_seconds = 1;
        script_expect(stand->script, "GET", SPOT_URL, NULL, 401, "");
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN2");
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:06:05Z\"}");
        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        alarm_runner_started(&stand->alarm);
        stand_go_on_until(stand, 1);
        assert_string_equal(agent->metadata_token, "TOKEN2");
        assert_non_null(strstr(script_last_headers(stand->script), "TOKEN2"));
}

static void test_failures_in_a_row_are_counted_until_one_answer_comes(void **state)
{
        struct stand *stand = *state;
        static const int statuses[] = {500, 500, 500, 500, 404, 500, 500, 500, 500};

        stand->agent.settings.spot_poll_seconds = 0;
        stand->agent.log.level = LOG_LEVEL_WARNING;
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
                script_expect(stand->script, "GET", SPOT_URL, NULL, statuses[i], "");
        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:06:05Z\"}");
        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        alarm_runner_started(&stand->alarm);
        stand_go_on_until(stand, 1);
        assert_null(stand_logged(stand, "spot notices cannot be read"));
}

static void test_spot_notices_that_cannot_be_read_are_logged_once(void **state)
{
        struct stand *stand = *state;

        stand->agent.settings.spot_poll_seconds = 0;
        stand->agent.log.level = LOG_LEVEL_WARNING;
        for (size_t i = 0; i < 8; i++)
                script_expect(stand->script, "GET", SPOT_URL, NULL, 500, "");
        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:06:05Z\"}");
        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        alarm_runner_started(&stand->alarm);
        stand_go_on_until(stand, 1);
        assert_non_null(stand_logged(stand, "spot notices cannot be read"));
        assert_string_equal(stand->logged, "spot notices cannot be read\n");
}

/* How long a limit runs from now on, in ms. */
static int64_t limit_ms(const struct stand *stand)
{
        sd_event *event = agent_event((struct agent *)&stand->agent);
        uint64_t now;
        uint64_t at;

        assert_int_equal(sd_event_source_get_time(stand->alarm.limit, &at), 0);
        assert_true(sd_event_now(event, CLOCK_BOOTTIME, &now) >= 0);
        return ((int64_t)at - (int64_t)now) / 1000;
}

static void let_limit_run(struct stand *stand)
{
        assert_true(sd_event_source_set_time(stand->alarm.limit, 0) >= 0);
}

static void test_each_step_of_the_runner_has_its_own_limit(void **state)
{
        struct stand *stand = *state;

        stand->agent.settings.idle_limit_seconds = 300;
        stand->agent.settings.job_limit_seconds = 3000;
        stand->agent.settings.stop_grace_seconds = 30;
        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        assert_in_range(limit_ms(stand), 290000, 300000);
        let_limit_run(stand);
        alarm_listening(&stand->alarm);
        assert_in_range(limit_ms(stand), 290000, 300000);
        let_limit_run(stand);
        alarm_updating(&stand->alarm);
        assert_in_range(limit_ms(stand), 590000, 600000);
        let_limit_run(stand);
        alarm_listening(&stand->alarm);
        assert_in_range(limit_ms(stand), 290000, 300000);
        alarm_job_started(&stand->alarm);
        assert_in_range(limit_ms(stand), 2990000, 3000000);
        alarm_job_finished(&stand->alarm);
        assert_in_range(limit_ms(stand), 20000, 30000);
}

static void test_a_runner_that_never_listened_is_an_alarm(void **state)
{
        struct stand *stand = *state;

        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        let_limit_run(stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.stage, REPORT_FAILED);
        assert_string_equal(stand->told.err.text, "the runner did not listen within 300 s");
        assert_int_equal(stand->told.idles, 0);
}

/* GitHub may give it a job at this very moment. */
static void test_a_runner_that_listens_is_not_stopped_at_the_idle_limit(void **state)
{
        struct stand *stand = *state;

        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        stand->agent.times[REPORT_TIME_LISTENING] = 1;
        alarm_listening(&stand->alarm);
        let_limit_run(stand);
        while (stand->told.idles == 0)
                assert_true(sd_event_run(agent_event(&stand->agent), 10000) >= 0);
        assert_int_equal(stand->told.calls, 0);
}

static void test_an_update_that_does_not_end_is_an_alarm(void **state)
{
        struct stand *stand = *state;

        alarm_start(&stand->alarm, &stand_alarm_events, stand);
        alarm_updating(&stand->alarm);
        let_limit_run(stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.stage, REPORT_FAILED);
        assert_non_null(strstr(stand->told.err.text, "update of itself took longer than 600 s"));
        assert_non_null(strstr(stand->told.err.text, "build a new image"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STAND_IDENTIFIED(test_a_spot_notice_is_an_alarm),
                STAND_IDENTIFIED(test_a_late_notice_leaves_less_time),
                STAND_IDENTIFIED(test_a_notice_in_the_past_leaves_none),
                STAND_IDENTIFIED(test_an_ended_metadata_token_is_replaced),
                STAND_IDENTIFIED(test_failures_in_a_row_are_counted_until_one_answer_comes),
                STAND_IDENTIFIED(test_spot_notices_that_cannot_be_read_are_logged_once),
                STAND_FRESH(test_each_step_of_the_runner_has_its_own_limit),
                STAND_FRESH(test_a_runner_that_never_listened_is_an_alarm),
                STAND_FRESH(test_a_runner_that_listens_is_not_stopped_at_the_idle_limit),
                STAND_FRESH(test_an_update_that_does_not_end_is_an_alarm),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
