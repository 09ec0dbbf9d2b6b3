/* SPDX-License-Identifier: MIT */

/*
 * The container: a dependency is opened when it is first needed and kept as long as it is good, and
 * one event sees one configuration.
 */

#include <errno.h>
#include <stdlib.h>

#include "stage.h"

#define MINUTE_MS INT64_C(60000)
#define OTHER                                                                                \
        "{\\\"github\\\":{\\\"repositories\\\":[\\\"o/r\\\"]},\\\"specs\\\":[{\\\"name\\\":" \
        "\\\"other\\\",\\\"labels\\\":[\\\"a\\\"],\\\"instance_type\\\":\\\"m7i.large\\\","  \
        "\\\"launch_template\\\":\\\"runner\\\",\\\"subnets\\\":[\\\"subnet-0000000a\\\"]}]}"

static void expect_config(struct stage *stage, const char *value)
{
        _cleanup_free_ char *answer =
                mem_format("{\"Parameters\":[{\"Name\":\"/p/config\",\"Value\":\"%s\"}]}", value);

        script_expect(stage->script, "POST", STAGE_SSM, "/p/config", 200, answer);
}

static const char *first_spec(struct stage *stage)
{
        const struct config *config = NULL;
        struct err err;

        assert_int_equal(scaler_config(&stage->scaler, &config, &err), 0);
        return config->specs[0].name;
}

static void the_configuration_is_kept_for_five_minutes(void **state)
{
        struct stage *stage = *state;

        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        script_sleep(stage->script, 5 * MINUTE_MS);
        assert_string_equal(first_spec(stage), "linux");
        scaler_begin_event(&stage->scaler, 0);
        script_sleep(stage->script, 1);
        expect_config(stage, OTHER);
        assert_string_equal(first_spec(stage), "other");
        scaler_begin_event(&stage->scaler, 0);
        assert_string_equal(first_spec(stage), "other");
}

static void a_bad_new_configuration_does_not_replace_a_good_one(void **state)
{
        struct stage *stage = *state;

        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        script_sleep(stage->script, 6 * MINUTE_MS);
        expect_config(stage, "{");
        assert_string_equal(first_spec(stage), "linux");
        assert_logged(stage, "the old one stays");
        /* The next attempt is five minutes away. */
        scaler_begin_event(&stage->scaler, 0);
        assert_string_equal(first_spec(stage), "linux");
}

/* Handlers keep pointers to specs while they wait for the network. */
static void an_event_sees_one_configuration(void **state)
{
        struct stage *stage = *state;
        const char *name = first_spec(stage);

        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        script_sleep(stage->script, 6 * MINUTE_MS);
        assert_ptr_equal(first_spec(stage), name);
}

/* Who refuses something reads it again, and what others hold stays as it is. */
static void a_configuration_that_is_read_again_leaves_the_borrowed_one(void **state)
{
        struct stage *stage = *state;
        const struct config *borrowed;
        const struct config *fresh;
        struct err err;

        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        assert_int_equal(scaler_config(&stage->scaler, &borrowed, &err), 0);
        assert_null(scaler_config_again(&stage->scaler));
        script_sleep(stage->script, 60000);
        expect_config(stage, OTHER);
        fresh = scaler_config_again(&stage->scaler);
        assert_non_null(fresh);
        assert_string_equal(fresh->specs[0].name, "other");
        assert_string_equal(borrowed->specs[0].name, "linux");
        assert_string_equal(first_spec(stage), "other");
        /* At most once in an event, so that no more than two are kept. */
        script_sleep(stage->script, 60000);
        assert_null(scaler_config_again(&stage->scaler));
        scaler_begin_event(&stage->scaler, 0);
        assert_string_equal(first_spec(stage), "other");
}

static void without_a_configuration_nothing_goes_on(void **state)
{
        struct stage *stage = *state;
        const struct config *config;
        struct err err;

        config_free(MEM_STEAL(stage->scaler.config));
        unsetenv("SCALE_AGENT_CONFIG");
        assert_int_equal(scaler_config(&stage->scaler, &config, &err), -ENOENT);
        assert_contains(err.text, "SCALE_AGENT_CONFIG");
        setenv("SCALE_AGENT_CONFIG", "{\"specs\":[]}", 1);
        assert_int_equal(scaler_config(&stage->scaler, &config, &err), -EINVAL);
        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/config", 200,
                "{\"Parameters\":[],\"InvalidParameters\":[\"/p/config\"]}");
        assert_int_equal(scaler_config(&stage->scaler, &config, &err), -ENOENT);
        assert_contains(err.text, "SSM parameter /p/config does not exist");
}

/* `aws ssm put-parameter --value file://token` also stores the file's final line break. */
static void a_line_break_behind_a_token_does_not_matter(void **state)
{
        struct stage *stage = *state;
        struct github *github = NULL;
        struct err err;

        scaler_forget_github(&stage->scaler);
        setenv("GITHUB_TOKEN", "ssm:/p/token", 1);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/token", 200,
                "{\"Parameters\":[{\"Name\":\"/p/token\",\"Value\":\"ghp_x\\n\"}]}");
        assert_int_equal(scaler_github(&stage->scaler, &github, &err), 0);
        assert_string_equal(github_kept_token(github, 0), "ghp_x");
}

/* -- what is read with one call -- */

#define BOTH                                                               \
        "{\"Parameters\":[{\"Name\":\"/p/token\",\"Value\":\"ghp_x\\n\"}," \
        "{\"Name\":\"/p/config\",\"Value\":\"" OTHER "\"}]}"

static void begin_cold(struct stage *stage)
{
        config_free(MEM_STEAL(stage->scaler.config));
        scaler_forget_github(&stage->scaler);
        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        setenv("GITHUB_TOKEN", "ssm:/p/token", 1);
}

static const char *token(struct stage *stage)
{
        struct github *github = NULL;
        struct err err;

        assert_int_equal(scaler_github(&stage->scaler, &github, &err), 0);
        return github_kept_token(github, 0);
}

static void configuration_and_secrets_are_read_with_one_call(void **state)
{
        struct stage *stage = *state;

        begin_cold(stage);
        setenv("GITHUB_PRIVATE_KEY", "ssm:/p/token", 1); /* a name counts once */
        script_expect(stage->script, "POST", STAGE_SSM,
                "{\"Names\":[\"/p/config\",\"/p/token\"],\"WithDecryption\":true}", 200, BOTH);
        assert_string_equal(first_spec(stage), "other");
        assert_string_equal(token(stage), "ghp_x");
        assert_int_equal(script_requests(stage->script), 1);
        assert_null(stage->scaler.references.values->child);
        unsetenv("GITHUB_PRIVATE_KEY");
}

/* It may have been replaced, or has to be read again for another reason. */
static void a_value_is_given_out_once(void **state)
{
        struct stage *stage = *state;

        begin_cold(stage);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/token", 200, BOTH);
        assert_string_equal(token(stage), "ghp_x");
        scaler_forget_github(&stage->scaler);
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/token\"],", 200,
                "{\"Parameters\":[{\"Name\":\"/p/token\",\"Value\":\"ghp_y\"}]}");
        assert_string_equal(token(stage), "ghp_y");
}

static void a_secret_that_nobody_took_is_forgotten_with_its_event(void **state)
{
        struct stage *stage = *state;

        begin_cold(stage);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/config", 200, BOTH);
        assert_string_equal(first_spec(stage), "other");
        scaler_begin_event(&stage->scaler, 0);
        assert_null(stage->scaler.references.values);
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/token\"],", 200, BOTH);
        assert_string_equal(token(stage), "ghp_x");
}

/* One that may not be read does not keep the others from whoever needs no more. */
static void what_may_not_be_read_together_is_read_one_by_one(void **state)
{
        struct stage *stage = *state;

        begin_cold(stage);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/token", 400,
                "{\"__type\":\"AccessDeniedException\",\"message\":\"on /p/token\"}");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/config\"],", 200,
                "{\"Parameters\":[{\"Name\":\"/p/config\",\"Value\":\"" OTHER "\"}]}");
        assert_string_equal(first_spec(stage), "other");
        assert_logged(stage, "settings are read one by one");
        assert_logged(stage, "on /p/token");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/token\"],", 200,
                "{\"Parameters\":[{\"Name\":\"/p/token\",\"Value\":\"ghp_x\"}]}");
        assert_string_equal(token(stage), "ghp_x");
}

static void what_passes_is_tried_again_by_the_next_event(void **state)
{
        struct stage *stage = *state;
        const struct config *config = NULL;
        struct err err;

        begin_cold(stage);
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", STAGE_SSM, "/p/token", 400,
                        "{\"__type\":\"ThrottlingException\"}");
        assert_true(scaler_config(&stage->scaler, &config, &err) < 0);
        assert_contains(err.text, "SCALE_AGENT_CONFIG");
        scaler_begin_event(&stage->scaler, 0);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/token", 200, BOTH);
        assert_string_equal(first_spec(stage), "other");
}

static void settings_may_lead_through_the_environment_to_ssm(void **state)
{
        struct stage *stage = *state;
        _cleanup_buf_ struct buf value = BUF_INIT(64);
        struct err err;

        setenv("OUTER", "env:INNER", 1);
        setenv("INNER", "ssm:/p/a", 1);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/a", 200,
                "{\"Parameters\":[{\"Name\":\"/p/a\",\"Value\":\"x\"}]}");
        assert_int_equal(scaler_resolve_variable(&stage->scaler, "OUTER", &value, &err), 0);
        assert_string_equal(buf_string(&value), "x");
}

static void the_time_left_follows_the_deadline(void **state)
{
        struct stage *stage = *state;

        assert_true(scaler_time_left(&stage->scaler) == INT64_MAX);
        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 1000);
        script_sleep(stage->script, 400);
        assert_int_equal(scaler_time_left(&stage->scaler), 600);
}

/* What follows a call without an answer has time, too. */
static void a_call_ends_before_the_event(void **state)
{
        static const int64_t ends_ms[] = {7500, 8500, 9000, 9250};
        struct stage *stage = *state;
        int64_t begin_ms = stage_now_ms(stage);

        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 10000);
        for (size_t i = 0; i < ARRAY_SIZE(ends_ms); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        http_call_new("a call", "GET", "https://silent.test/");

                call->try_timeout_ms = 0;
                script_expect_silence(stage->script, "GET", "https://silent.test/");
                assert_int_equal(scaler_call(&stage->scaler, call)->result, -ETIMEDOUT);
                assert_int_equal(stage_now_ms(stage) - begin_ms, ends_ms[i]);
        }
}

static void a_parameter_is_awaited_no_longer_than_the_event(void **state)
{
        struct stage *stage = *state;
        _cleanup_buf_ struct buf value = BUF_INIT(64);
        int64_t begin_ms = stage_now_ms(stage);
        struct err err;

        setenv("SECRET", "ssm:/p/a", 1);
        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 4000);
        script_expect_silence(stage->script, "POST", STAGE_SSM);
        assert_int_equal(
                scaler_resolve_variable(&stage->scaler, "SECRET", &value, &err), -ETIMEDOUT);
        assert_int_equal(stage_now_ms(stage) - begin_ms, 1750);
}

static void the_account_is_that_of_the_function(void **state)
{
        static const char *const others[] = {"", "arn", "arn:aws:sqs:eu-central-1:1:x",
                "arn:aws:lambda:eu-central-1::function:x",
                "arn:aws:lambda:eu-central-1:a:function:x"};
        struct stage *stage = *state;

        scaler_note_account(
                &stage->scaler, "arn:aws-cn:lambda:cn-north-1:123456789012:function:queued:live");
        assert_string_equal(stage->scaler.account, "123456789012");
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                scaler_note_account(&stage->scaler, others[i]);
                assert_string_equal(stage->scaler.account, "123456789012");
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_configuration_is_kept_for_five_minutes),
                TEST(a_bad_new_configuration_does_not_replace_a_good_one),
                TEST(an_event_sees_one_configuration),
                TEST(a_configuration_that_is_read_again_leaves_the_borrowed_one),
                TEST(without_a_configuration_nothing_goes_on),
                TEST(a_line_break_behind_a_token_does_not_matter),
                TEST(configuration_and_secrets_are_read_with_one_call),
                TEST(a_value_is_given_out_once),
                TEST(a_secret_that_nobody_took_is_forgotten_with_its_event),
                TEST(what_may_not_be_read_together_is_read_one_by_one),
                TEST(what_passes_is_tried_again_by_the_next_event),
                TEST(settings_may_lead_through_the_environment_to_ssm),
                TEST(the_account_is_that_of_the_function),
                TEST(the_time_left_follows_the_deadline),
                TEST(a_call_ends_before_the_event),
                TEST(a_parameter_is_awaited_no_longer_than_the_event),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
