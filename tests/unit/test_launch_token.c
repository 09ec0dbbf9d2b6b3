/* SPDX-License-Identifier: MIT */

/*
 * Client tokens: a RunInstances that is repeated launches nothing twice, and no two that differ
 * have the same token.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queued_stage.h"

/* Copies the client token of the latest RunInstances. */
static void last_token(struct stage *stage, char token[static 65])
{
        const char *found = strstr(script_last_body(stage->script), "&ClientToken=");

        assert_non_null(found);
        snprintf(token, 65, "%s", found + strlen("&ClientToken="));
        assert_int_equal(strspn(token, "0123456789abcdef"), 64);
}

static void tokens_are_the_same_for_the_same_try_only(void **state)
{
        struct stage *stage = *state;
        const char *const others[] = {queued_job(2, "linux"),
                queued_job_with(1, "linux", ",\"offer\":1"),
                queued_job_with(1, "linux", ",\"offer\":2"), queued_job(1, "fallback"),
                "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"attempt\":2,\"repository\":\"o/r\","
                "\"labels\":[],\"webhook_ms\":1767323044000,\"spec\":\"linux\",\"instance_type\":"
                "\"m7i.large\"}"};
        char token[65];
        char other[65];

        unsetenv("NOTIFY_QUEUE_URL");
        for (int i = 0; i < 2; i++) {
                expect_refusal(stage, "RunInstances", 400, "UnauthorizedOperation");
                queued_one(stage, queued_job(1, "linux"));
                last_token(stage, i == 0 ? token : other);
        }
        assert_string_equal(token, other);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                expect_refusal(stage, "RunInstances", 400, "UnauthorizedOperation");
                queued_one(stage, others[i]);
                last_token(stage, other);
                assert_string_not_equal(token, other);
        }
}

/* EC2 compares the tokens of an account, in which another stack may serve the same jobs. */
static void another_stack_has_other_tokens(void **state)
{
        struct stage *stage = *state;
        const struct config *config;
        struct err err;
        char token[65];
        char other[65];

        unsetenv("NOTIFY_QUEUE_URL");
        expect_refusal(stage, "RunInstances", 400, "UnauthorizedOperation");
        queued_one(stage, queued_job(1, "linux"));
        last_token(stage, token);
        assert_int_equal(scaler_config(&stage->scaler, &config, &err), 0);
        config->prefix[1] = 'q';
        expect_refusal(stage, "RunInstances", 400, "UnauthorizedOperation");
        queued_one(stage, queued_job(1, "linux"));
        last_token(stage, other);
        assert_string_not_equal(token, other);
}

/* The token of the RunInstances for BODIES, which EC2 refuses. */
static void token_of(struct stage *stage, const char *const *bodies, char token[static 65])
{
        const struct stage_message messages[] = {
                {"a", bodies[0], 0, NULL}, {"b", bodies[1], 0, NULL}};

        expect_refusal(stage, "RunInstances", 403, "UnauthorizedOperation");
        queued_batch(stage, messages, bodies[1] ? 2 : 1);
        last_token(stage, token);
}

static void every_job_and_the_market_are_in_the_token(void **state)
{
        struct stage *stage = *state;
        const char *const batches[][2] = {
                {queued_job(1, "fallback"), NULL},
                {queued_job(1, "fallback"), queued_job(2, "fallback")},
                {queued_job(1, "fallback"), queued_job(3, "fallback")},
                {queued_job_with(1, "fallback", ",\"offer\":2"), NULL}, /* on demand */
        };
        char tokens[ARRAY_SIZE(batches)][65];

        unsetenv("NOTIFY_QUEUE_URL");
        for (size_t i = 0; i < ARRAY_SIZE(batches); i++) {
                token_of(stage, batches[i], tokens[i]);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(tokens[i], tokens[j]);
        }
}

/* EC2 may have launched it, although nobody heard: the same token finds out. */
static void the_rest_of_a_launch_keeps_its_token_when_parked(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 0, NULL}};
        const char *const parked[] = {queued_job_with(2, "linux", ",\"offer\":1"), NULL};
        char token[65];
        _cleanup_free_ char *part = NULL;

        unsetenv("NOTIFY_QUEUE_URL");
        token_of(stage, parked, token);
        part = mem_format("&ClientToken=%s&", token);
        expect_launch(stage, "MaxCount=2&", 1, 1);
        for (int i = 0; i < 6; i++)
                expect_refusal(stage, part, 503, "RequestLimitExceeded");
        expect_registration(stage, 1);
        stage_expect_sent(stage, "\\\"offer\\\":1,");
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
}

static void a_used_token_is_replaced(void **state)
{
        struct stage *stage = *state;
        char token[65];
        char other[65];

        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 400, "IdempotentInstanceTerminated");
        expect_launch(stage, QUEUED_OFFER("m7i.large", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        unsetenv("NOTIFY_QUEUE_URL");
        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 403, "UnauthorizedOperation");
        queued_one(stage, queued_job(2, "linux"));
        last_token(stage, token);
        for (int i = 0; i < 4; i++)
                expect_refusal(
                        stage, QUEUED_OFFER("m7i.large", "a"), 400, "IdempotentInstanceTerminated");
        assert_string_equal(queued_one(stage, queued_job(2, "linux")), STAGE_FAILED("m1"));
        last_token(stage, other);
        assert_string_not_equal(token, other);
}

/* The one that an earlier try launched is asked for first: it may have its hand-over. */
static void expect_no_handover(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "\"WithDecryption\":true", 400,
                "{\"__type\":\"ParameterNotFound\"}");
}

/* The configuration was changed between a request and its repetition. */
static void a_token_of_other_parameters_finds_its_instances(void **state)
{
        static const char *const states[] = {"running", "terminated"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *found = mem_format(
                        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
                        "<instanceId>i-00000001</instanceId><instanceState><name>%s</name>"
                        "</instanceState><amiLaunchIndex>0</amiLaunchIndex></item></instancesSet>"
                        "</item></reservationSet></DescribeInstancesResponse>",
                        states[i]);

                expect_refusal(stage, "RunInstances", 400, "IdempotentParameterMismatch");
                script_expect(stage->script, "POST", STAGE_EC2,
                        "DescribeInstances&Version=2016-11-15&Filter.1.Name=client-token&", 200,
                        found);
                if (i == 0)
                        expect_no_handover(stage);
                else
                        expect_launch(stage, "RunInstances", 1, 1);
                expect_registration(stage, 1);
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
}

/* Whether they may be looked for is a matter of the role, which no waiting changes. */
static void instances_that_may_not_be_looked_for_fail_the_launch(void **state)
{
        static const struct {
                int status;
                const char *code;
                const char *told;
                const char *answer;
        } rows[] = {
                {403, "UnauthorizedOperation", "wait: refused", STAGE_FAILED("m1")},
                {401, "AuthFailure", "wait: refused", STAGE_FAILED("m1")},
                {503, "RequestLimitExceeded", "wait: no answer", STAGE_NONE_FAILED},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                bool passes = rows[i].status == 503;
                _cleanup_free_ char *queued = mem_format(
                        ",\"queued_ms\":%lld", (long long)clock_wall_ms(stage->scaler.clock));

                expect_refusal(stage, "RunInstances", 400, "IdempotentParameterMismatch");
                for (int j = 0; j < (passes ? 3 : 1); j++)
                        expect_refusal(stage, "client-token", rows[i].status, rows[i].code);
                if (passes)
                        stage_expect_sent(stage, "sqs.test/parked");
                stage_expect_sent(stage, rows[i].told);
                assert_string_equal(
                        queued_one(stage, queued_job_with(1, "linux", queued)), rows[i].answer);
                script_sleep(stage->script, 15 * 60 * MSEC_PER_SEC); /* told once in that time */
        }
}

/* After a failed registration the retry has the same client token, for which EC2 returns the old
 * instance while that shuts down. */
static void an_instance_that_shuts_down_is_not_used(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, QUEUED_OFFER("m7i.large", "a"), 200,
                "<RunInstancesResponse><instancesSet><item><instanceId>i-00000001</instanceId>"
                "<instanceState><name>shutting-down</name></instanceState></item></instancesSet>"
                "</RunInstancesResponse>");
        expect_launch(stage, QUEUED_OFFER("m7i.large", "a"), 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* A retry after a lost answer gets the instance of the first try, which may have booted by now. */
static void an_instance_of_an_earlier_try_is_taken_over(void **state)
{
        static const char *const states[] = {
                "<instanceState><name>pending</name></instanceState>",
                "<instanceState><name>running</name></instanceState>",
                "",
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *xml = mem_format(
                        "<RunInstancesResponse><instancesSet><item><instanceId>i-00000001"
                        "</instanceId>%s</item></instancesSet></RunInstancesResponse>",
                        states[i]);

                script_expect(stage->script, "POST", STAGE_EC2, NULL, 200, xml);
                if (i == 1)
                        expect_no_handover(stage);
                expect_registration(stage, 1);
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
}

/* It may work: what cannot be registered now is no reason to end it. */
static void an_instance_of_an_earlier_try_is_not_ended(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, NULL, 200,
                "<RunInstancesResponse><instancesSet><item><instanceId>i-00000001</instanceId>"
                "<instanceState><name>running</name></instanceState></item></instancesSet>"
                "</RunInstancesResponse>");
        expect_no_handover(stage);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 403, "{\"message\":\"no\"}");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(tokens_are_the_same_for_the_same_try_only),
                TEST(another_stack_has_other_tokens),
                TEST(every_job_and_the_market_are_in_the_token),
                TEST(the_rest_of_a_launch_keeps_its_token_when_parked),
                TEST(a_used_token_is_replaced),
                TEST(a_token_of_other_parameters_finds_its_instances),
                TEST(instances_that_may_not_be_looked_for_fail_the_launch),
                TEST(an_instance_that_shuts_down_is_not_used),
                TEST(an_instance_of_an_earlier_try_is_taken_over),
                TEST(an_instance_of_an_earlier_try_is_not_ended),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
