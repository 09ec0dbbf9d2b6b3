/* SPDX-License-Identifier: MIT */

/*
 * GitHub's limits, as processes tell each other of them: one that lasts is stored once, pauses
 * those who launch until it is nearly over, and is near for a while afterwards.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "job/github_limit.h"
#include "job/pace.h"
#include "stage.h"

#define NOW 1767323045000
#define MINUTE (60 * MSEC_PER_SEC)
#define STORE "{\"Name\":\"/p/breakers/_limit.4711\""

static void expect_stored(struct stage *stage, const char *value)
{
        _cleanup_free_ char *body = mem_format(
                "%s,\"Type\":\"String\",\"Overwrite\":true,\"Value\":\"%s", STORE, value);

        script_expect(stage->script, "POST", STAGE_SSM, body, 200, "{\"Version\":3}");
}

static void note(struct stage *stage, int64_t minutes)
{
        github_limit_note(
                &stage->scaler, 4711, clock_wall_ms(stage->scaler.clock) + minutes * MINUTE);
}

static void one_that_lasts_is_stored_once(void **state)
{
        struct stage *stage = *state;

        expect_stored(stage, "{\\\"version\\\":1,\\\"apps\\\":1,\\\"until_ms\\\":1767325445000,"
                             "\\\"near_until_ms\\\":1767326345000}");
        note(stage, 40);
        for (int i = 0; i < 39; i++) {
                github_limit_note(&stage->scaler, 4711, NOW + 40 * MINUTE);
                github_limit_note(&stage->scaler, 4711, NOW + 40 * MINUTE + 5 * MSEC_PER_SEC);
                note(stage, 1); /* a shorter one changes nothing */
                script_sleep(stage->script, MINUTE);
        }
        assert_int_equal(script_requests(stage->script), 1);
        /* The next hour's. */
        script_sleep(stage->script, 5 * MINUTE);
        expect_stored(stage, "{\\\"version\\\":1,\\\"apps\\\":1,\\\"until_ms\\\":");
        note(stage, 56);
        assert_int_equal(script_requests(stage->script), 2);
}

/* Nobody would hear of it before it has ended. */
static void a_short_one_is_only_near(void **state)
{
        struct stage *stage = *state;

        expect_stored(
                stage, "{\\\"version\\\":1,\\\"apps\\\":1,\\\"near_until_ms\\\":1767324005000}");
        for (int i = 0; i < 6; i++) {
                note(stage, 1);
                script_sleep(stage->script, MINUTE);
        }
        assert_int_equal(script_requests(stage->script), 1);
        expect_stored(stage, "{\\\"version\\\":1,\\\"apps\\\":1,\\\"near_until_ms\\\":");
        note(stage, 1);
        /* One that lasts is told at once. */
        expect_stored(stage, "{\\\"version\\\":1,\\\"apps\\\":1,\\\"until_ms\\\":");
        note(stage, 30);
}

static void what_cannot_be_stored_is_tried_once_a_minute(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SSM, STORE, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        for (int i = 0; i < 5; i++)
                note(stage, 40);
        assert_int_equal(script_requests(stage->script), 1);
        assert_logged(stage, "GitHub's limit could not be stored");
        script_sleep(stage->script, MINUTE);
        expect_stored(stage, "");
        note(stage, 40);
}

static void serve(struct stage *stage, const char *name, const char *value)
{
        _cleanup_json_ cJSON *json = cJSON_CreateObject();
        cJSON *item = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;

        cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "Parameters"), item);
        json_add_string(item, "Name", name);
        json_add_string(item, "Value", value);
        json_add_integer(item, "Version", 1);
        text = json_print(json);
        script_expect(stage->script, "POST", STAGE_SSM, "\"Path\":\"/p/breakers\"", 200, text);
        stage->scaler.breakers_read_ms = 0;
}

static void it_pauses_until_a_boot_before_its_end(void **state)
{
        struct stage *stage = *state;

        serve(stage, "/p/breakers/_limit.4711",
                "{\"until_ms\":1767324245000,\"near_until_ms\":1767325145000}");
        assert_int_equal(github_limit_pause_until(&stage->scaler, 4711), NOW + 19 * MINUTE);
        assert_true(github_limit_is_near(&stage->scaler, 4711));
        /* Of nobody else. */
        assert_int_equal(github_limit_pause_until(&stage->scaler, 471), 0);
        assert_int_equal(github_limit_pause_until(&stage->scaler, PACE_OF_ENTERPRISE), 0);
        assert_false(github_limit_is_near(&stage->scaler, 471));
        script_sleep(stage->script, 19 * MINUTE);
        stage->scaler.breakers_read_ms = stage_now_ms(stage);
        assert_int_equal(github_limit_pause_until(&stage->scaler, 4711), 0);
        assert_true(github_limit_is_near(&stage->scaler, 4711));
        script_sleep(stage->script, 16 * MINUTE);
        stage->scaler.breakers_read_ms = stage_now_ms(stage);
        assert_false(github_limit_is_near(&stage->scaler, 4711));
}

/* It registers at once, and is told of once it is limited as well. */
static void an_app_that_is_added_ends_the_pause(void **state)
{
        struct stage *stage = *state;

        expect_stored(stage, "{\\\"version\\\":1,\\\"apps\\\":1,\\\"until_ms\\\":");
        note(stage, 40);
        serve(stage, "/p/breakers/_limit.4711", "{\"apps\":1,\"until_ms\":1767324245000}");
        assert_true(github_limit_pause_until(&stage->scaler, 4711) > 0);
        stage->scaler.config->n_additional_apps = 1;
        assert_int_equal(github_limit_pause_until(&stage->scaler, 4711), 0);
        expect_stored(stage, "{\\\"version\\\":1,\\\"apps\\\":2,\\\"until_ms\\\":");
        note(stage, 40);
        serve(stage, "/p/breakers/_limit.4711", "{\"apps\":2,\"until_ms\":1767324245000}");
        assert_true(github_limit_pause_until(&stage->scaler, 4711) > 0);
        serve(stage, "/p/breakers/_limit.enterprise", "{\"apps\":1,\"until_ms\":1767324245000}");
        assert_true(github_limit_pause_until(&stage->scaler, PACE_OF_ENTERPRISE) > 0);
        stage->scaler.config->n_additional_apps = 0;
}

static void the_token_of_enterprises_has_its_own(void **state)
{
        struct stage *stage = *state;

        serve(stage, "/p/breakers/_limit.enterprise", "{\"until_ms\":1767324245000}");
        assert_true(github_limit_pause_until(&stage->scaler, PACE_OF_ENTERPRISE) > 0);
        assert_int_equal(github_limit_pause_until(&stage->scaler, 4711), 0);
}

/* Somebody else stored it. */
static void what_is_no_limit_of_github_s_pauses_nobody(void **state)
{
        static const char *const values[] = {"", "{", "[]", "{\"until_ms\":\"x\"}",
                "{\"until_ms\":1767999999000,\"near_until_ms\":1767999999000}",
                "{\"until_ms\":-9000000000000000000,\"near_until_ms\":1e300}",
                "{\"until_ms\":1767322045000,\"near_until_ms\":1767323044000}"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                serve(stage, "/p/breakers/_limit.4711", values[i]);
                assert_int_equal(github_limit_pause_until(&stage->scaler, 4711), 0);
                assert_false(github_limit_is_near(&stage->scaler, 4711));
        }
}

#define TEXT(name, until)                                                         \
        "{\"Name\":\"/p/breakers/" name "\",\"Value\":\"{\\\"until_ms\\\":" until \
        "}\",\"Version\":1}"
#define HALF_AN_HOUR "1767324845000"

/* Not those that are over, nor what a spec has there. */
static void those_that_pause_are_counted(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SSM, "\"Path\":\"/p/breakers\"", 200,
                "{\"Parameters\":[" TEXT("linux", HALF_AN_HOUR) "," TEXT(
                        "_limit.1", HALF_AN_HOUR) "," TEXT("_limit.2",
                        "1767323000000") "," TEXT("_limit.enterprise", HALF_AN_HOUR) "]}");
        assert_int_equal(github_limits_that_pause(&stage->scaler), 2);
        script_sleep(stage->script, MINUTE);
        script_expect(stage->script, "POST", STAGE_SSM, "\"Path\":\"/p/breakers\"", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(github_limits_that_pause(&stage->scaler), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(one_that_lasts_is_stored_once),
                TEST(a_short_one_is_only_near),
                TEST(what_cannot_be_stored_is_tried_once_a_minute),
                TEST(it_pauses_until_a_boot_before_its_end),
                TEST(an_app_that_is_added_ends_the_pause),
                TEST(the_token_of_enterprises_has_its_own),
                TEST(what_is_no_limit_of_github_s_pauses_nobody),
                TEST(those_that_pause_are_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
