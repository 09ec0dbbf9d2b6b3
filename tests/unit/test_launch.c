/* SPDX-License-Identifier: MIT */

/*
 * Launching: the first offer that has capacity is used, no job gets two machines when RunInstances
 * is repeated, and people are told where EC2 refuses.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queued_stage.h"

/* -- the ladder -- */

static void every_subnet_is_tried_before_the_next_rung(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 500, "InsufficientInstanceCapacity");
        expect_refusal(stage, QUEUED_OFFER("m7i.large", "b"), 500, "InsufficientInstanceCapacity");
        expect_refusal(stage, QUEUED_OFFER("m7a.large", "a"), 400, "Unsupported");
        expect_refusal(
                stage, QUEUED_OFFER("m7a.large", "b"), 400, "InsufficientFreeAddressesInSubnet");
        expect_launch(stage, QUEUED_OFFER("m7i.xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"Failovers\":4");

        /* Offers without capacity are not tried again at once; a full subnet says nothing about
         * capacity. */
        expect_launch(stage, QUEUED_OFFER("m7a.large", "b"), 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(queued_one(stage, queued_job(2, "linux")), STAGE_NONE_FAILED);
        script_sleep(stage->script, 4 * 60000);
        expect_launch(stage, QUEUED_OFFER("m7i.large", "a"), 3, 3);
        expect_registration(stage, 3);
        assert_string_equal(queued_one(stage, queued_job(3, "linux")), STAGE_NONE_FAILED);
}

static void a_partial_launch_is_used_and_the_rest_launched(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL}, {"c", queued_job(3, "linux"), 0, NULL}};

        expect_launch(stage, "MaxCount=3&", 1, 1);
        expect_launch(stage, "MaxCount=2&", 2, 3);
        for (int i = 1; i <= 3; i++)
                expect_registration(stage, i);
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
}

static void on_demand_is_the_last_resort(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("t3.2xlarge", "a"), 500, "InsufficientInstanceCapacity");
        expect_refusal(
                stage, QUEUED_OFFER("t3a.2xlarge", "a"), 500, "InsufficientInstanceCapacity");
        expect_launch(stage, QUEUED_OFFER("t3.2xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"market\":\"on-demand\"");
}

static void a_quota_leaves_only_the_other_market(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("t3.2xlarge", "a"), 400, "MaxSpotInstanceCountExceeded");
        expect_launch(stage, QUEUED_OFFER("t3.2xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);

        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 400, "VcpuLimitExceeded");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "quota reached");
        assert_string_equal(queued_one(stage, queued_job(2, "linux")), STAGE_NONE_FAILED);
}

static void a_refused_launch_fails_and_is_told_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 0, NULL}};

        expect_refusal(stage, "MaxCount=2", 403, "UnauthorizedOperation");
        stage_expect_sent(stage, "Jobs of spec linux wait: refused");
        assert_string_equal(queued_batch(stage, messages, 2),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"b\"}]}");
        assert_logged(stage, "allow ec2:RunInstances");
}

/* -- client tokens -- */

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
                queued_job_with(1, "linux", ",\"tries\":1"),
                queued_job_with(1, "linux", ",\"offer\":1"), queued_job(1, "fallback")};
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

static void a_used_token_is_replaced(void **state)
{
        struct stage *stage = *state;
        char token[65];
        char other[65];

        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 400, "IdempotentParameterMismatch");
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(every_subnet_is_tried_before_the_next_rung),
                TEST(a_partial_launch_is_used_and_the_rest_launched),
                TEST(on_demand_is_the_last_resort),
                TEST(a_quota_leaves_only_the_other_market),
                TEST(a_refused_launch_fails_and_is_told_once),
                TEST(tokens_are_the_same_for_the_same_try_only),
                TEST(a_used_token_is_replaced),
                TEST(an_instance_that_shuts_down_is_not_used),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
