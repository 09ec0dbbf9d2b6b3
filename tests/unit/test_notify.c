/* SPDX-License-Identifier: MIT */

/*
 * Notifications on their way to people: every channel, and nobody twice.
 */

#include <stdlib.h>
#include <string.h>

#include "stage.h"

#define NOTE(key)                                                                            \
        "{\"severity\":\"error\",\"title\":\"It broke\",\"text\":\"Mend it.\",\"facts\":[]," \
        "\"key\":\"" key "\"}"
#define TEAMS "https://teams.test/secret-of-teams"
#define SLACK "https://slack.test/secret-of-slack"

static int set_up(void **state)
{
        setenv("TEAMS_WEBHOOK_URLS", TEAMS "-1\n\n  " TEAMS "-2\r\n", 1);
        setenv("SLACK_WEBHOOK_URLS", SLACK, 1);
        return stage_set_up(state);
}

static void expect(struct stage *stage, const char *url, int status)
{
        script_expect(stage->script, "POST", url, "It broke", status, status == 200 ? "ok" : "");
}

static const char *notify_once(struct stage *stage, const char *body)
{
        return stage_one(stage, notify_handle, body);
}

static void every_channel_is_told_side_by_side(void **state)
{
        struct stage *stage = *state;
        int64_t before = clock_monotonic_ms(stage->scaler.clock);

        expect(stage, TEAMS "-1", 202);
        script_latency(stage->script, 100);
        expect(stage, TEAMS "-2", 202);
        script_latency(stage->script, 100);
        expect(stage, SLACK, 200);
        script_latency(stage->script, 100);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        assert_int_equal(clock_monotonic_ms(stage->scaler.clock) - before, 100);
        assert_not_logged(stage, "secret-of");
}

static void one_of_a_key_is_enough_for_a_quarter_of_an_hour(void **state)
{
        struct stage *stage = *state;

        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        expect(stage, SLACK, 200);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        script_sleep(stage->script, 14 * 60000);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        assert_logged(stage, "told already");
        expect(stage, SLACK, 200);
        assert_string_equal(notify_once(stage, NOTE("other")), STAGE_NONE_FAILED);
        script_sleep(stage->script, 2 * 60000);
        expect(stage, SLACK, 200);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
}

static void who_was_told_is_not_told_again_for_others(void **state)
{
        struct stage *stage = *state;

        expect(stage, TEAMS "-1", 202);
        expect(stage, TEAMS "-2", 404);
        expect(stage, SLACK, 200);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"channel\":\"teams\"");
        assert_not_logged(stage, "secret-of");
}

static void nobody_told_means_once_more(void **state)
{
        struct stage *stage = *state;

        expect(stage, TEAMS "-1", 404);
        expect(stage, TEAMS "-2", 404);
        expect(stage, SLACK, 404);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_FAILED("m1"));
        expect(stage, TEAMS "-1", 202);
        expect(stage, TEAMS "-2", 202);
        expect(stage, SLACK, 200);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
}

/* One channel whose URLs cannot be read must not silence, or repeat, the other. */
static void channels_fail_apart(void **state)
{
        struct stage *stage = *state;

        setenv("TEAMS_WEBHOOK_URLS", "ssm:/p/teams", 1);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/teams", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        expect(stage, SLACK, 200);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        assert_logged(stage, "TEAMS_WEBHOOK_URLS");
}

static void without_channels_the_log_is_all(void **state)
{
        struct stage *stage = *state;

        unsetenv("TEAMS_WEBHOOK_URLS");
        setenv("SLACK_WEBHOOK_URLS", "ssm:/p/slack", 1);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/slack", 400,
                "{\"__type\":\"ParameterNotFound\"}");
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"title\":\"It broke\",\"text\":\"Mend it.\"");
        assert_logged(stage, "nobody is told");
        assert_string_equal(notify_once(stage, "{\"text\":\"no title\"}"), STAGE_FAILED("m1"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(every_channel_is_told_side_by_side),
                TEST(one_of_a_key_is_enough_for_a_quarter_of_an_hour),
                TEST(who_was_told_is_not_told_again_for_others),
                TEST(nobody_told_means_once_more),
                TEST(channels_fail_apart),
                TEST(without_channels_the_log_is_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
