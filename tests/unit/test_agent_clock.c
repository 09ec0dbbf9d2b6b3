/* SPDX-License-Identifier: MIT */

/*
 * A machine that boots with a wrong clock: the metadata service knows better.
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
#include "set_clock.h"

/* The script's clock begins at 2026-01-02T03:04:05Z. */
#define NOW_MS INT64_C(1767323045000)
#define YEAR_MS (INT64_C(365) * 86400 * 1000)

static int64_t clock_was_set_to; /* 0: not */
static int setting_fails_with;

static int set_scripted(int64_t wall_ms)
{
        clock_was_set_to = wall_ms;
        return setting_fails_with;
}

struct heard {
        struct log_sink sink;
        char before[CLOCK_TEXT_SIZE];
        char now[CLOCK_TEXT_SIZE];
};

static void hear(struct log_sink *sink, enum log_level level, const char *message,
        const struct log_field *fields, size_t n_fields)
{
        struct heard *heard = (struct heard *)sink;

        if (level != LOG_LEVEL_WARNING || strcmp(message, "the clock was wrong, and is set") != 0)
                return;
        for (size_t i = 0; i < n_fields; i++) {
                if (fields[i].name && strcmp(fields[i].name, "before") == 0)
                        strcpy(heard->before, fields[i].text);
                if (fields[i].name && strcmp(fields[i].name, "now") == 0)
                        strcpy(heard->now, fields[i].text);
        }
}

static struct heard heard;

/* An agent that identifies itself where the metadata service says this time. */
static void identify(struct stand *stand, const char *headers, bool shuts_down, int failure)
{
        struct agent *agent = &stand->agent;

        clock_was_set_to = 0;
        setting_fails_with = failure;
        heard = (struct heard){.sink = {.write = hear}};
        agent->log = (struct log){.sink = &heard.sink, .level = LOG_LEVEL_INFO};
        agent->set_clock = set_scripted;
        agent->shuts_down = shuts_down;
        agent->times[REPORT_TIME_KERNEL] = NOW_MS - 9000;
        agent->times[REPORT_TIME_AGENT] = NOW_MS - 2000;
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect_headers(
                stand->script, "GET", IDENTITY_URL, NULL, 200, headers ? headers : "", IDENTITY);
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner\n");
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        identify_start(&stand->identify, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
}

static void test_a_wrong_clock_is_set(void **state)
{
        struct stand *stand = *state;
        const int64_t right_ms = NOW_MS + YEAR_MS + 500;
        const int64_t *times = stand->agent.times;

        identify(stand, "Date: Sat, 02 Jan 2027 03:04:05 GMT\r\n", true, 0);
        assert_int_equal(clock_was_set_to, right_ms);
        assert_int_equal(times[REPORT_TIME_AGENT] - times[REPORT_TIME_KERNEL], 7000);
        assert_in_range(times[REPORT_TIME_AGENT], right_ms - 2100, right_ms - 2000);
        assert_int_equal(times[REPORT_TIME_RECEIVED], 0);
        assert_string_equal(stand->agent.clock_err.text, "");
        assert_memory_equal(heard.before, "2026-01-02T03:04:05", 19);
        assert_string_equal(heard.now, "2027-01-02T03:04:05.500Z");
}

static void test_a_clock_that_is_ahead_is_set_back(void **state)
{
        identify(*state, "date: Thu, 02 Jan 2025 03:04:05 GMT\r\n", true, 0);
        assert_int_equal(clock_was_set_to, NOW_MS - YEAR_MS + 500);
}

static void test_a_clock_that_is_about_right_is_left_alone(void **state)
{
        identify(*state, "Date: Fri, 02 Jan 2026 03:05:04 GMT\r\n", true, 0);
        assert_int_equal(clock_was_set_to, 0);
        assert_int_equal(((struct stand *)*state)->agent.times[REPORT_TIME_AGENT], NOW_MS - 2000);
}

static void test_a_minute_is_too_much(void **state)
{
        identify(*state, "Date: Fri, 02 Jan 2026 03:05:06 GMT\r\n", true, 0);
        assert_int_equal(clock_was_set_to, NOW_MS + 61500);
}

static void test_who_does_not_say_the_time_is_not_asked(void **state)
{
        identify(*state, NULL, true, 0);
        assert_int_equal(clock_was_set_to, 0);
}

static void test_what_is_no_time_is_none(void **state)
{
        identify(*state, "Date: soon\r\n", true, 0);
        assert_int_equal(clock_was_set_to, 0);
}

static void test_by_hand_the_clock_stays(void **state)
{
        struct stand *stand = *state;

        identify(stand, "Date: Sat, 02 Jan 2027 03:04:05 GMT\r\n", false, 0);
        assert_int_equal(clock_was_set_to, 0);
        assert_int_equal(stand->agent.times[REPORT_TIME_AGENT], NOW_MS - 2000);
        assert_non_null(strstr(stand->agent.clock_err.text, "is 2027-01-02T03:04:05.500Z"));
        assert_non_null(strstr(stand->agent.clock_err.text, "--no-shutdown"));
}

static void test_a_clock_that_cannot_be_set_is_told(void **state)
{
        struct stand *stand = *state;

        identify(stand, "Date: Sat, 02 Jan 2027 03:04:05 GMT\r\n", true, -EPERM);
        assert_int_equal(clock_was_set_to, NOW_MS + YEAR_MS + 500);
        assert_int_equal(stand->agent.times[REPORT_TIME_AGENT], NOW_MS - 2000);
        assert_non_null(strstr(stand->agent.clock_err.text, "it says 2026-01-02T03:04:05"));
        assert_non_null(strstr(stand->agent.clock_err.text, "Operation not permitted"));
}

static void test_dates(void **state)
{
        static const char *const others[] = {"", "0", "2026-01-02T03:04:05Z",
                "Fri, 02 Jan 2026 03:04:05", "Fri, 02 Jan 2026 03:04:05 GMT+1",
                "Fri, 32 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 1926 03:04:05 GMT"};
        int64_t ms = 7;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                assert_int_equal(set_clock_parse(others[i], &ms), -EINVAL);
        assert_int_equal(ms, 7);
        assert_int_equal(set_clock_parse("Fri, 02 Jan 2026 03:04:05 GMT", &ms), 0);
        assert_int_equal(ms, NOW_MS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STAND_FRESH(test_a_wrong_clock_is_set),
                STAND_FRESH(test_a_clock_that_is_ahead_is_set_back),
                STAND_FRESH(test_a_clock_that_is_about_right_is_left_alone),
                STAND_FRESH(test_a_minute_is_too_much),
                STAND_FRESH(test_who_does_not_say_the_time_is_not_asked),
                STAND_FRESH(test_what_is_no_time_is_none),
                STAND_FRESH(test_by_hand_the_clock_stays),
                STAND_FRESH(test_a_clock_that_cannot_be_set_is_told),
                cmocka_unit_test(test_dates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
