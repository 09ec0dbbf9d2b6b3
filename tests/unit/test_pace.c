/* SPDX-License-Identifier: MIT */

/*
 * The pace of registration: what GitHub's answers say of the calls that are left of the hour, and
 * how fast parameters are stored.
 */

#include "job/pace.h"

#include <errno.h>
#include <stdlib.h>

#include "stage.h"

#define ANYTHING STAGE_GITHUB "/anything"
#define NOW_S 1767323045 /* when the stage begins */
#define HOUR_MS (60 * 60 * MSEC_PER_SEC)

/* An answer with these headers, of INSTALLATION. SETBACK: what it means, or NULL. */
static void note(struct stage *stage, const char *headers, const struct setback *setback)
{
        struct http *http = scaler_http(&stage->scaler);
        struct http_call *call = http_call_new("A call", "GET", ANYTHING);

        script_expect_headers(stage->script, "GET", ANYTHING, NULL, 200, headers, "{}");
        assert_int_equal(http_perform(http, call)->result, 0);
        pace_note_github(&stage->scaler, STAGE_INSTALLATION, call, setback);
        http_call_free(call);
}

/* So many calls of an hour of 5,000 are left, for SECONDS. They are decimal, whatever they begin
 * with. */
static void note_left(struct stage *stage, const char *left, int seconds)
{
        _cleanup_free_ char *headers = mem_format("x-ratelimit-remaining: %s\r\nx-ratelimit-limit: "
                                                  "05000\r\nx-ratelimit-reset: 0%d\r\n",
                left, NOW_S + seconds);

        note(stage, headers, NULL);
}

static int64_t hour_left(struct stage *stage)
{
        return pace_hour_left(&stage->scaler, STAGE_INSTALLATION);
}

/* -- the hour -- */

static void nothing_is_known_before_an_answer_says_so(void **state)
{
        struct stage *stage = *state;
        int64_t age_ms;
        int64_t until_ms;

        assert_true(hour_left(stage) == INT64_MAX);
        assert_true(pace_hour_room(&stage->scaler, STAGE_INSTALLATION, &age_ms, &until_ms) ==
                    INT64_MAX);
        assert_int_equal(pace_used_up_until(&stage->scaler, STAGE_INSTALLATION), 0);
        note(stage, "x-ratelimit-remaining: 70\r\n", NULL); /* until when, it does not say */
        assert_true(hour_left(stage) == INT64_MAX);
}

static void what_is_left_counts_until_the_hour_ends(void **state)
{
        struct stage *stage = *state;

        note_left(stage, "0300", 600);
        assert_int_equal(hour_left(stage), 300);
        pace_spend_github(&stage->scaler, STAGE_INSTALLATION, PACE_POINTS_POST);
        assert_int_equal(hour_left(stage), 299);
        assert_true(pace_hour_left(&stage->scaler, STAGE_INSTALLATION + 1) == INT64_MAX);
        script_sleep(stage->script, 600 * MSEC_PER_SEC);
        assert_true(hour_left(stage) == INT64_MAX);
}

static void an_hour_that_is_used_up_says_until_when(void **state)
{
        struct stage *stage = *state;
        int64_t end_ms = (NOW_S + 600) * MSEC_PER_SEC;

        note_left(stage, "1", 600);
        assert_int_equal(pace_used_up_until(&stage->scaler, STAGE_INSTALLATION), 0);
        note_left(stage, "0", 600);
        assert_int_equal(pace_used_up_until(&stage->scaler, STAGE_INSTALLATION), end_ms);
        script_sleep(stage->script, 600 * MSEC_PER_SEC);
        assert_int_equal(pace_used_up_until(&stage->scaler, STAGE_INSTALLATION), 0);
}

/* GitHub's hours are no longer than that; a clock may be. */
static void no_hour_is_longer_than_one(void **state)
{
        struct stage *stage = *state;

        note_left(stage, "0", 24 * 3600);
        assert_in_range(pace_used_up_until(&stage->scaler, STAGE_INSTALLATION),
                NOW_S * MSEC_PER_SEC + HOUR_MS, (NOW_S + 1) * MSEC_PER_SEC + SETBACK_MAX_MS);
}

/* The last fifty are left to others. */
static void few_calls_that_are_left_close_the_budget(void **state)
{
        struct stage *stage = *state;
        const struct budget *budget = pace_of_github(&stage->scaler, STAGE_INSTALLATION);

        note_left(stage, "51", 600);
        assert_int_equal(budget_wait(budget, stage_now_ms(stage), PACE_POINTS_POST), 0);
        note_left(stage, "50", -10); /* of an hour that is over, by our clock */
        assert_int_equal(budget_wait(budget, stage_now_ms(stage), PACE_POINTS_POST), 0);
        note_left(stage, "50", 600);
        assert_in_range(budget_wait(budget, stage_now_ms(stage), PACE_POINTS_POST),
                599 * MSEC_PER_SEC, 601 * MSEC_PER_SEC);
}

static void a_limit_closes_the_budget_and_no_other_setback_does(void **state)
{
        struct stage *stage = *state;
        const struct budget *budget = pace_of_github(&stage->scaler, STAGE_INSTALLATION);
        struct setback setback = {
                .result = -EAGAIN, .by_github = true, .until_ms = (NOW_S + 90) * MSEC_PER_SEC};

        note(stage, "", &setback);
        assert_int_equal(budget_wait(budget, stage_now_ms(stage), PACE_POINTS_POST), 0);
        setback.is_limit = true;
        note(stage, "", &setback);
        assert_in_range(budget_wait(budget, stage_now_ms(stage), PACE_POINTS_POST),
                89 * MSEC_PER_SEC, 91 * MSEC_PER_SEC);
}

/* -- room of the hour -- */

static int64_t room(struct stage *stage, int64_t *ret_until_s)
{
        int64_t age_ms;
        int64_t until_ms = 0;
        int64_t found = pace_hour_room(&stage->scaler, STAGE_INSTALLATION, &age_ms, &until_ms);

        *ret_until_s = until_ms / MSEC_PER_SEC - NOW_S;
        return found;
}

/* A registrar may have used 180 a minute since. What is launched in the last minute is registered
 * in the next hour. */
static void room_is_what_is_left_when_a_machine_has_booted(void **state)
{
        struct stage *stage = *state;
        int64_t until_s;

        note_left(stage, "1000", 600);
        assert_int_equal(room(stage, &until_s), 1000 - 50);
        assert_int_equal(until_s, 540);
        script_sleep(stage->script, 120 * MSEC_PER_SEC);
        assert_int_equal(room(stage, &until_s), 1000 - 50 - 2 * PACE_PER_MINUTE);
        script_sleep(stage->script, 421 * MSEC_PER_SEC);
        assert_int_equal(room(stage, &until_s), 5000 - 50);
        assert_int_equal(until_s, 601);
        script_sleep(stage->script, 119 * MSEC_PER_SEC); /* a minute of the next hour */
        assert_in_range(room(stage, &until_s), 5000 - 50 - PACE_PER_MINUTE - 1,
                5000 - 50 - PACE_PER_MINUTE + 1);
        script_sleep(stage->script, HOUR_MS - 61 * MSEC_PER_SEC);
        assert_true(room(stage, &until_s) < 0);
        script_sleep(stage->script, 2 * MSEC_PER_SEC); /* the hour after that is not known */
        assert_true(room(stage, &until_s) == INT64_MAX);
}

/* -- Apps -- */

/* A limit holds for those that were configured when it was met. */
static void apps_are_counted_with_the_one_that_delivers(void **state)
{
        struct stage *stage = *state;

        assert_int_equal(pace_apps(&stage->scaler), 1);
        stage->scaler.config->n_additional_apps = 2;
        assert_int_equal(pace_apps(&stage->scaler), 3);
        stage->scaler.config->n_additional_apps = 0;
}

/* All enterprises have one token. Without the configuration, nobody knows what a spec is for. */
static void a_job_spends_the_budget_of_its_installation_or_of_the_enterprise(void **state)
{
        struct stage *stage = *state;
        struct config *config = stage->scaler.config;
        struct job job = {.installation = STAGE_INSTALLATION};

        assert_int_equal(pace_registrar(config, &job), STAGE_INSTALLATION);
        job.spec = mem_string("linux");
        assert_int_equal(pace_registrar(config, &job), STAGE_INSTALLATION);
        config->specs[0].enterprise = mem_string("octo-corp");
        assert_true(pace_registrar(config, &job) == PACE_OF_ENTERPRISE);
        assert_int_equal(pace_registrar(NULL, &job), STAGE_INSTALLATION);
        free(job.spec);
}

/* -- parameters -- */

/* Stores N, one as soon as the one before it; gives how long the last one has to wait. */
static int64_t store(struct stage *stage, int n)
{
        int64_t wait = 0;

        while (n-- > 0)
                wait = pace_next_parameter(&stage->scaler);
        return wait;
}

/* Forty a second, as AWS publishes; three once it has refused one. */
static void parameters_are_stored_as_fast_as_ssm_takes_them(void **state)
{
        struct stage *stage = *state;

        assert_int_equal(store(stage, 40), 0);
        assert_int_equal(store(stage, 1), 25);
        assert_int_equal(store(stage, 40), 1025);
        pace_note_throttled(&stage->scaler);
        assert_in_range(store(stage, 1), 333, 334);
        assert_in_range(store(stage, 3), 1333, 1334);
        pace_note_throttled(&stage->scaler); /* what was spent in advance counts */
        assert_in_range(store(stage, 1), 1666, 1667);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(nothing_is_known_before_an_answer_says_so),
                TEST(what_is_left_counts_until_the_hour_ends),
                TEST(an_hour_that_is_used_up_says_until_when),
                TEST(no_hour_is_longer_than_one),
                TEST(few_calls_that_are_left_close_the_budget),
                TEST(a_limit_closes_the_budget_and_no_other_setback_does),
                TEST(room_is_what_is_left_when_a_machine_has_booted),
                TEST(apps_are_counted_with_the_one_that_delivers),
                TEST(a_job_spends_the_budget_of_its_installation_or_of_the_enterprise),
                TEST(parameters_are_stored_as_fast_as_ssm_takes_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
