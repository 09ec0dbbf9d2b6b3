/* SPDX-License-Identifier: MIT */

/*
 * Queued jobs: a batch becomes as few launches as possible, each job gets a registered machine, and
 * whatever goes wrong, only the message that it concerns fails.
 */

#include <stdlib.h>

#include "fake_aws.h"
#include "queued_stage.h"

/* -- launching -- */

static void a_batch_is_one_launch(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL}, {"c", queued_job(3, "linux"), 0, NULL}};
        int64_t before = stage_now_ms(stage);

        expect_launch(stage, "&MinCount=1&MaxCount=3&", 1, 3);
        script_latency(stage->script, 100);
        for (int i = 1; i <= 3; i++) {
                expect_jit(stage, i);
                script_latency(stage->script, 100);
                expect_put(stage, i, 200, "{\"Version\":1}");
                script_latency(stage->script, 100);
        }
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
        /* The three registrations run in parallel. */
        assert_int_equal(stage_now_ms(stage) - before, 300);
        assert_sent(stage, "\"Tags\":[{\"Key\":\"scale-agent:instance\",\"Value\":"
                           "\"arn:aws:ec2:eu-central-1:123456789012:instance/i-00000003\"}]");
        assert_sent(stage, "\\\"jit_config\\\":\\\"c2VjcmV0\\\"");
        assert_sent(stage, "\\\"runner_id\\\":103");
        assert_sent(stage, "\\\"id\\\":3,");
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000003\",\"job\":3");
        assert_logged(stage, "\"WebhookToLaunched\":1100");
        assert_logged(stage, "\"LaunchedToHandedOver\":");
        assert_not_logged(stage, "c2VjcmV0");
        assert_not_logged(stage, "token-of-github");
        assert_not_logged(stage, FAKE_AWS_SECRET);
        assert_not_logged(stage, FAKE_AWS_TOKEN);
}

static void different_jobs_are_launched_apart(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "fallback"), 0, NULL},
                {"c",
                        "{\"action\":\"queued\",\"id\":3,\"run_id\":2,\"repository\":\"o/other\","
                        "\"labels\":[],\"spec\":\"linux\",\"instance_type\":\"m7i.large\"}",
                        0, NULL}};

        expect_launch(stage, "Value=repos%2Fo%2Fr&", 1, 1);
        expect_launch(stage, "InstanceType=t3.2xlarge&", 2, 2);
        expect_launch(stage, "Value=repos%2Fo%2Fother&", 3, 3);
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        script_expect(stage->script, "POST", "/repos/o/other/", "i-00000003", 201,
                "{\"runner\":{\"id\":9},\"encoded_jit_config\":\"c2VjcmV0\"}");
        expect_put(stage, 3, 200, "{\"Version\":1}");
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
        /* The third job does not say when its delivery arrived. */
        assert_not_logged(stage, "\"WebhookToLaunched\":1767");
}

/* What one RunInstances cannot give both. */
static void jobs_that_differ_in_one_thing_are_launched_apart(void **state)
{
        static const char *const others[] = {
                ",\"instance_type\":\"m7i.2xlarge\"",
                ",\"spec\":\"fallback\"",
                ",\"installation\":4711",
                ",\"offer\":1",
        };
        static const char *const bodies[] = {
                QUEUED_OFFER("m7i.2xlarge", "a"),
                "Value=fallback&",
                "Value=4711&",
                QUEUED_OFFER("m7i.large", "b"),
        };
        static const char alone[] =
                "MaxCount=1&LaunchTemplate.LaunchTemplateName=runner&LaunchTemplate.Version="
                "%24Default&" QUEUED_OFFER("m7i.large", "a");
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                _cleanup_free_ char *other = mem_format(
                        "{\"action\":\"queued\",\"id\":2,\"run_id\":2,\"repository\":\"o/r\","
                        "\"labels\":[]%s%s%s}",
                        others[i], i == 0 ? "" : ",\"instance_type\":\"m7i.large\"",
                        i == 1 ? "" : ",\"spec\":\"linux\"");
                const struct stage_message messages[] = {
                        {"a", queued_job(1, "linux"), 0, NULL}, {"b", other, 0, NULL}};

                expect_launch(stage, bodies[i], 2, 2);
                expect_launch(stage, alone, 1, 1);
                expect_registration(stage, 1);
                expect_registration(stage, 2);
                assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        }
}

/* Somebody ran it again on GitHub. */
static void another_attempt_of_a_job_is_another_job(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL},
                {"b",
                        "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"attempt\":2,\"repository\":"
                        "\"o/r\",\"labels\":[],\"spec\":\"linux\",\"instance_type\":\"m7i.large\"}",
                        0, NULL},
        };

        expect_launch(stage, "MaxCount=2&", 1, 2);
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
}

static void duplicate_messages_share_an_instance(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(1, "linux"), 0, NULL}};

        expect_launch(stage, "MaxCount=1&", 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
}

static void tokens_are_requested_while_ec2_launches(void **state)
{
        struct stage *stage = *state;
        int64_t before = stage_now_ms(stage);

        stage_become_app(stage);
        script_expect(stage->script, "POST", "/app/installations/4711/access_tokens", NULL, 201,
                "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        script_latency(stage->script, 150);
        expect_launch(stage, NULL, 1, 1);
        script_latency(stage->script, 100);
        expect_registration(stage, 1);
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"installation\":4711")),
                STAGE_NONE_FAILED);
        assert_int_equal(stage_now_ms(stage) - before, 152);
        /* The token is kept. */
        expect_launch(stage, NULL, 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(
                queued_one(stage, queued_job_with(2, "linux", ",\"installation\":4711")),
                STAGE_NONE_FAILED);
        assert_not_logged(stage, "ghs_x");
}

static void each_installation_has_its_token(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job_with(1, "linux", ",\"installation\":1"), 0, NULL},
                {"b", queued_job_with(2, "linux", ",\"installation\":2"), 0, NULL}};
        int64_t before = stage_now_ms(stage);

        stage_become_app(stage);
        for (int i = 1; i <= 2; i++) {
                _cleanup_free_ char *url = mem_format("/app/installations/%d/access_tokens", i);
                _cleanup_free_ char *tag = mem_format("Tag.4.Value=%d&", i);

                script_expect(stage->script, "POST", url, NULL, 201,
                        "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
                script_latency(stage->script, 100 * i);
                expect_launch(stage, tag, i, i);
                expect_registration(stage, i);
        }
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        /* The second registration waits for the second token, although there is a first one. */
        assert_int_equal(stage_now_ms(stage) - before, 202);
}

/* -- messages and tokens -- */

/* GitHub cancels a job that has been queued for a day. */
static void old_jobs_are_dropped(void **state)
{
        struct stage *stage = *state;
        const char *const old[] = {
                queued_job_with(1, "linux", ",\"queued_ms\":1767236645000"),
                "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\",\"labels\":[],"
                "\"spec\":\"linux\",\"instance_type\":\"m7i.large\",\"webhook_ms\":1767236644000}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(old); i++)
                assert_string_equal(queued_one(stage, old[i]), STAGE_NONE_FAILED);
        assert_logged(stage, "job dropped");
        assert_int_equal(script_requests(stage->script), 0);
        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"queued_ms\":1767236645001")),
                STAGE_NONE_FAILED);
}

static void bad_messages_fail_alone(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", "{\"action\":", 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL}, {"c", queued_job(3, "gone"), 0, NULL},
                {"d",
                        "{\"action\":\"queued\",\"id\":4,\"run_id\":2,\"repository\":\"o/r\","
                        "\"labels\":[],\"spec\":\"linux\"}",
                        0, NULL}};

        expect_launch(stage, "MaxCount=1&", 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_batch(stage, messages, 4),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"c\"},"
                "{\"itemIdentifier\":\"d\"}]}");
        assert_logged(stage, "its spec \\\"gone\\\" is not in the configuration any more");
}

static void without_a_token_nothing_more_is_launched(void **state)
{
        struct stage *stage = *state;
        const char *body = queued_job_with(1, "linux", ",\"installation\":4711");

        stage_become_app(stage);
        script_expect(stage->script, "POST", "/access_tokens", NULL, 401, "{\"message\":\"bad\"}");
        expect_launch(stage, NULL, 1, 1);
        expect_parameter_deleted(stage, 1);
        expect_terminated(stage, "InstanceId.1=i-00000001");
        assert_string_equal(queued_one(stage, body), STAGE_FAILED("m1"));
        /* From now on nothing is launched before there is a token. */
        script_expect(stage->script, "POST", "/access_tokens", NULL, 401, "{\"message\":\"bad\"}");
        stage_expect_sent(stage, "refused");
        assert_string_equal(queued_one(stage, body), STAGE_FAILED("m1"));
        script_expect(stage->script, "POST", "/access_tokens", NULL, 201,
                "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
}

/* A personal token that was replaced in SSM takes effect in a warm process. */
static void a_refused_token_is_read_again(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "new-token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        expect_launch(stage, NULL, 1, 1);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 401, "{\"message\":\"bad\"}");
        expect_parameter_deleted(stage, 1);
        expect_terminated(stage, "InstanceId.1=i-00000001");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_FAILED("m1"));
        expect_launch(stage, NULL, 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_string_equal(github_kept_token(stage->scaler.github, 0), "new-token");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_batch_is_one_launch),
                TEST(different_jobs_are_launched_apart),
                TEST(jobs_that_differ_in_one_thing_are_launched_apart),
                TEST(another_attempt_of_a_job_is_another_job),
                TEST(duplicate_messages_share_an_instance),
                TEST(tokens_are_requested_while_ec2_launches),
                TEST(each_installation_has_its_token),
                TEST(old_jobs_are_dropped),
                TEST(bad_messages_fail_alone),
                TEST(without_a_token_nothing_more_is_launched),
                TEST(a_refused_token_is_read_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
