/* SPDX-License-Identifier: MIT */

/*
 * Notifications on their way to people: each goes to every channel at once, and reaches no channel
 * twice.
 */

#include <stdlib.h>

#include "notify/notification.h"
#include "stage.h"

#define NOTE(key)                                                                            \
        "{\"severity\":\"error\",\"title\":\"It broke\",\"text\":\"Mend it.\",\"facts\":[]," \
        "\"key\":\"" key "\"}"
#define TEAMS "https://teams.test/secret-of-teams"
#define SLACK "https://slack.test/secret-of-slack"

static int set_up(void **state)
{
        setenv("TEAMS_WEBHOOK_URLS", TEAMS "-1\n\n \t\n  " TEAMS "-2\r\n", 1);
        setenv("SLACK_WEBHOOK_URLS", SLACK, 1);
        return stage_set_up(state);
}

static void expect(struct stage *stage, const char *url, int status)
{
        script_expect(stage->script, "POST", url, "It broke", status, status == 200 ? "ok" : "");
}

/* The two webhooks of Teams and the one of Slack answer with these statuses. */
static void expect_all(struct stage *stage, int first, int second, int slack)
{
        expect(stage, TEAMS "-1", first);
        expect(stage, TEAMS "-2", second);
        expect(stage, SLACK, slack);
}

static const char *notify_once(struct stage *stage, const char *body)
{
        return stage_one(stage, notify_handle, body);
}

static void all_channels_are_told_in_parallel(void **state)
{
        struct stage *stage = *state;
        int64_t before = stage_now_ms(stage);

        expect(stage, TEAMS "-1", 202);
        script_latency(stage->script, 100);
        expect(stage, TEAMS "-2", 202);
        script_latency(stage->script, 100);
        expect(stage, SLACK, 200);
        script_latency(stage->script, 100);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        assert_int_equal(stage_now_ms(stage) - before, 100);
        assert_not_logged(stage, "\"level\":\"error\"");
        assert_not_logged(stage, "secret-of");
}

static void a_key_is_shown_once_in_a_quarter_of_an_hour(void **state)
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

/* Not only the latest is remembered. */
static void each_of_several_is_shown_once(void **state)
{
        static const char *const notes[] = {NOTE("a"), NOTE("b"), NOTE("c")};
        struct stage *stage = *state;

        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        for (size_t i = 0; i < ARRAY_SIZE(notes); i++) {
                expect(stage, SLACK, 200);
                assert_string_equal(notify_once(stage, notes[i]), STAGE_NONE_FAILED);
        }
        for (size_t i = 0; i < ARRAY_SIZE(notes); i++)
                assert_string_equal(notify_once(stage, notes[i]), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), ARRAY_SIZE(notes));
}

static void a_failed_channel_does_not_make_others_repeat(void **state)
{
        struct stage *stage = *state;

        expect_all(stage, 202, 404, 200);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"channel\":\"teams\"");
        expect_all(stage, 404, 404, 200);
        assert_string_equal(notify_once(stage, NOTE("other")), STAGE_NONE_FAILED);
        assert_not_logged(stage, "secret-of");
}

static void a_channel_may_have_many_urls(void **state)
{
        struct stage *stage = *state;
        _cleanup_buf_ struct buf urls = BUF_INIT(4096);

        unsetenv("SLACK_WEBHOOK_URLS");
        for (int i = 10; i < 60; i++) {
                _cleanup_free_ char *url = mem_format(TEAMS "-%d", i);

                buf_add_format(&urls, "%s\n", url);
                expect(stage, url, 202);
        }
        setenv("TEAMS_WEBHOOK_URLS", buf_string(&urls), 1);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
}

static void what_no_channel_took_comes_again(void **state)
{
        struct stage *stage = *state;

        expect_all(stage, 404, 404, 404);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_FAILED("m1"));
        expect_all(stage, 202, 202, 200);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
}

/* A channel whose URLs cannot be read must neither silence the other nor make it repeat. */
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

/* Nobody has seen it, so it comes again. */
static void a_channel_that_is_the_only_one_must_work(void **state)
{
        struct stage *stage = *state;

        unsetenv("TEAMS_WEBHOOK_URLS");
        setenv("SLACK_WEBHOOK_URLS", "ssm:/p/slack", 1);
        for (int i = 0; i < 2; i++) {
                script_expect(stage->script, "POST", STAGE_SSM, "/p/slack", 400,
                        "{\"__type\":\"AccessDeniedException\"}");
                assert_string_equal(notify_once(stage, NOTE("k")), STAGE_FAILED("m1"));
        }
        assert_not_logged(stage, "nobody is told");
        setenv("SLACK_WEBHOOK_URLS", SLACK, 1);
        expect(stage, SLACK, 200);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
}

/* One cannot be read, and the other refuses. */
static void channels_may_fail_in_different_ways(void **state)
{
        struct stage *stage = *state;

        setenv("TEAMS_WEBHOOK_URLS", "ssm:/p/teams", 1);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/teams", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        expect(stage, SLACK, 404);
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_FAILED("m1"));
}

static void without_channels_it_is_only_logged(void **state)
{
        struct stage *stage = *state;

        unsetenv("TEAMS_WEBHOOK_URLS");
        setenv("SLACK_WEBHOOK_URLS", "ssm:/p/slack", 1);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/slack", 200,
                "{\"Parameters\":[],\"InvalidParameters\":[\"/p/slack\"]}");
        assert_string_equal(notify_once(stage, NOTE("k")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"title\":\"It broke\",\"text\":\"Mend it.\"");
        assert_logged(stage, "nobody is told");
        assert_string_equal(notify_once(stage, "{\"text\":\"no title\"}"), STAGE_FAILED("m1"));
}

/* A channel that never answers: only what was not told comes again. */
static void what_was_told_is_not_told_again_for_want_of_time(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", NOTE("1"), 0, NULL}, {"b", NOTE("2"), 0, NULL}, {"c", NOTE("3"), 0, NULL}};

        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 14000);
        expect(stage, SLACK, 200);
        for (int i = 0; i < 2; i++)
                script_expect_silence(stage->script, "POST", SLACK);
        assert_string_equal(stage_batch(stage, notify_handle, messages, 3),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"b\"},{\"itemIdentifier\":\"c\"}]}");
        assert_logged(stage, "\"message_id\":\"c\",\"error\":\"not tried: ");
        assert_true(scaler_time_left(&stage->scaler) > 0);
}

/* -- many at once -- */

#define JOB_URL(number) "https://github.com/octo-org/one/actions/runs/7/job/" number
#define LOST(number)                                                                          \
        "{\"severity\":\"warning\",\"title\":\"Lost " number "\",\"text\":\"Run it again.\"," \
        "\"facts\":[{\"name\":\"Job\",\"value\":\"job " number                                \
        "\"},{\"name\":\"Spec\",\"value\":\"x\"}],"                                           \
        "\"url\":\"" JOB_URL(number) "\",\"key\":\"lost " number "\"}"

static const struct stage_message four[] = {{"a", LOST("1"), 0, NULL}, {"b", NOTE("2"), 0, NULL},
        {"c", LOST("3"), 0, NULL}, {"d", LOST("4"), 0, NULL}};

static void assert_card(struct stage *stage)
{
        _cleanup_free_ char *card = script_take_served(stage->script, "AdaptiveCard");

        assert_contains(card, "\"color\":\"attention\"");
        assert_contains(card, "\"text\":\"Mend it.\"");
        assert_contains(card,
                "{\"title\":\"Lost 1\",\"value\":\"Job: job 1; Spec: x [Open the job](" JOB_URL(
                        "1") ")\"},{\"title\":\"It broke\",\"value\":\"Mend "
                             "it.\"},{\"title\":\"Lost 3\"");
}

static void assert_blocks(struct stage *stage)
{
        _cleanup_free_ char *blocks = script_take_served(stage->script, "mrkdwn");

        assert_contains(blocks, ":rotating_light: *It broke, and 3 more notifications*");
        assert_contains(blocks, "*Lost 4*\\nJob: job 4; Spec: x\\n<" JOB_URL("4") "|Open the job>");
}

/* The gravest gives the title and says what to do; each is a fact, with its own facts and link. */
static void many_at_once_are_shown_as_one(void **state)
{
        struct stage *stage = *state;

        setenv("TEAMS_WEBHOOK_URLS", TEAMS, 1);
        script_serve(stage->script, "POST", TEAMS, NULL, 202, "");
        script_serve(stage->script, "POST", SLACK, NULL, 200, "ok");
        assert_string_equal(stage_batch(stage, notify_handle, four, 4), STAGE_NONE_FAILED);
        assert_card(stage);
        assert_blocks(stage);
        assert_logged(stage, "\"title\":\"Lost 3\",\"text\":\"Run it again.\"");
        assert_string_equal(stage_batch(stage, notify_handle, four, 4), STAGE_NONE_FAILED);
        assert_null(script_take_served(stage->script, "It broke"));
}

/* Nobody has seen any of them. */
static void many_that_no_channel_took_come_again(void **state)
{
        struct stage *stage = *state;

        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        expect(stage, SLACK, 404);
        assert_string_equal(stage_batch(stage, notify_handle, four, 4),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"b\"},"
                "{\"itemIdentifier\":\"c\"},{\"itemIdentifier\":\"d\"}]}");
        expect(stage, SLACK, 200);
        assert_string_equal(stage_batch(stage, notify_handle, four, 4), STAGE_NONE_FAILED);
}

/* One that the channel refuses for ever neither takes others along, nor holds them up: people are
 * told where it is. */
static void what_is_refused_again_and_again_holds_nobody_up(void **state)
{
        struct stage *stage = *state;
        const struct stage_message again[] = {{"a", LOST("1"), 4, NULL}, {"b", NOTE("2"), 4, NULL},
                {"c", LOST("3"), 4, NULL}, {"d", LOST("4"), 4, NULL}};
        const struct stage_message later[] = {{"b", NOTE("2"), 5, NULL}, {"e", LOST("5"), 1, NULL},
                {"f", LOST("6"), 1, NULL}, {"g", LOST("7"), 1, NULL}, {"h", LOST("8"), 1, NULL}};

        unsetenv("MAX_RECEIVE_COUNT"); /* 30: SQS counts them itself */
        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        script_expect(stage->script, "POST", SLACK, "*Lost 1*", 200, "ok");
        expect(stage, SLACK, 400);
        script_expect(stage->script, "POST", SLACK, "cannot be shown", 403, "");
        script_expect(stage->script, "POST", SLACK, "*Lost 3*", 200, "ok");
        script_expect(stage->script, "POST", SLACK, "*Lost 4*", 200, "ok");
        assert_string_equal(stage_batch(stage, notify_handle, again, 4), STAGE_FAILED("b"));
        expect(stage, SLACK, 400);
        script_expect(stage->script, "POST", SLACK, "*Message*\\nb", 200, "ok");
        script_expect(stage->script, "POST", SLACK, "Lost 5, and 3 more", 200, "ok");
        assert_string_equal(stage_batch(stage, notify_handle, later, 5), STAGE_NONE_FAILED);
        assert_logged(stage, "\"title\":\"It broke\",\"text\":\"Mend it.\",\"message_id\":\"b\"");
}

/* What is refused for the first times may be shown yet, and who takes nothing for now will take it
 * later. */
static void a_stand_in_is_for_what_is_refused_again_and_again(void **state)
{
        struct stage *stage = *state;
        const struct stage_message young = {"a", NOTE("1"), 3, NULL};
        const struct stage_message old = {"a", NOTE("1"), 4, NULL};

        unsetenv("MAX_RECEIVE_COUNT");
        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        expect(stage, SLACK, 400);
        assert_string_equal(stage_batch(stage, notify_handle, &young, 1), STAGE_FAILED("a"));
        script_serve(stage->script, "POST", SLACK, "It broke", 429, "");
        assert_string_equal(stage_batch(stage, notify_handle, &old, 1), STAGE_FAILED("a"));
        script_serve(stage->script, "POST", SLACK, "It broke", 503, "");
        assert_string_equal(stage_batch(stage, notify_handle, &old, 1), STAGE_FAILED("a"));
}

/* Such as one of a release that has been taken back. */
static void what_cannot_be_read_does_not_hold_up_others_for_long(void **state)
{
        struct stage *stage = *state;
        const struct stage_message young = {"a", "{\"text\":\"no title\"}", 3, NULL};
        const struct stage_message old = {"a", "{\"text\":\"no title\"}", 4, NULL};

        unsetenv("MAX_RECEIVE_COUNT");
        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        assert_string_equal(stage_batch(stage, notify_handle, &young, 1), STAGE_FAILED("a"));
        script_expect(stage->script, "POST", SLACK, "cannot be shown", 404, "no_service");
        assert_string_equal(stage_batch(stage, notify_handle, &old, 1), STAGE_FAILED("a"));
        script_expect(stage->script, "POST", SLACK, "cannot be shown", 200, "ok");
        assert_string_equal(stage_batch(stage, notify_handle, &old, 1), STAGE_NONE_FAILED);
        assert_logged(stage, "no title");
}

/* What was shown, comes twice or makes no sense is not counted among the many. */
static void only_what_is_new_is_counted(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", NOTE("1"), 0, NULL},
                {"b", NOTE("1"), 0, NULL}, {"c", "{}", 0, NULL}, {"d", NOTE("2"), 0, NULL},
                {"e", NOTE("3"), 0, NULL}};

        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        for (int i = 0; i < 3; i++)
                expect(stage, SLACK, 200);
        assert_string_equal(stage_batch(stage, notify_handle, messages, 5), STAGE_FAILED("c"));
        assert_not_logged(stage, "more notifications");
        assert_int_equal(script_requests(stage->script), 3);
}

/* More than one message to a channel can hold. */
static void very_many_are_shown_as_several(void **state)
{
        struct stage *stage = *state;
        struct stage_message messages[NOTIFICATION_FACTS_MAX + 1];
        char *bodies[ARRAY_SIZE(messages)];

        setenv("TEAMS_WEBHOOK_URLS", "", 1);
        for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
                bodies[i] = mem_format("{\"title\":\"It broke\",\"key\":\"%zu\"}", i);
                messages[i] = (struct stage_message){"m", bodies[i], 0, NULL};
        }
        script_expect(stage->script, "POST", SLACK, "It broke, and 11 more notifications", 200, "");
        script_expect(stage->script, "POST", SLACK, "*It broke*", 200, "");
        assert_string_equal(stage_batch(stage, notify_handle, messages, ARRAY_SIZE(messages)),
                STAGE_NONE_FAILED);
        for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
                free(bodies[i]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(all_channels_are_told_in_parallel),
                TEST(a_key_is_shown_once_in_a_quarter_of_an_hour),
                TEST(each_of_several_is_shown_once),
                TEST(a_failed_channel_does_not_make_others_repeat),
                TEST(a_channel_may_have_many_urls),
                TEST(what_no_channel_took_comes_again),
                TEST(channels_fail_apart),
                TEST(a_channel_that_is_the_only_one_must_work),
                TEST(channels_may_fail_in_different_ways),
                TEST(without_channels_it_is_only_logged),
                TEST(what_was_told_is_not_told_again_for_want_of_time),
                TEST(many_at_once_are_shown_as_one),
                TEST(many_that_no_channel_took_come_again),
                TEST(what_is_refused_again_and_again_holds_nobody_up),
                TEST(a_stand_in_is_for_what_is_refused_again_and_again),
                TEST(what_cannot_be_read_does_not_hold_up_others_for_long),
                TEST(only_what_is_new_is_counted),
                TEST(very_many_are_shown_as_several),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
