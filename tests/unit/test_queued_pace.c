/* SPDX-License-Identifier: MIT */

/*
 * The pace of launches: in a burst, no more machines are launched than can be registered while they
 * boot, and the rest of the jobs wait their turn for nothing.
 */

#include <stdio.h>

#include "queued_stage.h"

static void expect_count(struct stage *stage, const char *queue, int visible, int delayed)
{
        _cleanup_free_ char *body = mem_format("{\"QueueUrl\":\"https://sqs.test/%s\","
                                               "\"AttributeNames\":[",
                queue);
        _cleanup_free_ char *answer =
                mem_format("{\"Attributes\":{\"ApproximateNumberOfMessages\":\"%d\","
                           "\"ApproximateNumberOfMessagesNotVisible\":\"10\","
                           "\"ApproximateNumberOfMessagesDelayed\":\"%d\"}}",
                        visible, delayed);

        script_expect(stage->script, "POST", STAGE_SQS, body, 200, answer);
}

/* Ten jobs, from FIRST on, or one that was parked for the pace. */
static const char *full_batch(struct stage *stage, const char *more)
{
        static char bodies[10][512];
        struct stage_message messages[10];
        static char ids[10][8];

        for (int i = 0; i < 10; i++) {
                snprintf(bodies[i], sizeof(bodies[i]), "%s", queued_job_with(i + 1, "linux", more));
                snprintf(ids[i], sizeof(ids[i]), "m%d", i + 1);
                messages[i] = (struct stage_message){ids[i], bodies[i], 0, NULL};
        }
        return queued_alone(stage, messages, 10);
}

static void as_many_are_launched_as_can_be_registered_in_time(void **state)
{
        struct stage *stage = *state;

        expect_count(stage, "register.fifo", 0, 0);
        expect_launch(stage, "MaxCount=10&", 1, 10);
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
        /* 10 are in flight: of 180, three are left. */
        expect_count(stage, "register.fifo", 167, 0);
        expect_launch(stage, "MaxCount=3&", 1, 3);
        expect_count(stage, "parked", 60, 300);
        for (int i = 4; i <= 10; i++) {
                _cleanup_free_ char *job = mem_format("\\\"id\\\":%d,", i);

                stage_expect_sent(stage, job);
        }
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
        /* 360 others come again at twice the pace. */
        assert_sent(stage, "\"DelaySeconds\":60}");
        assert_sent(stage, "\\\"paced\\\":1,");
        assert_not_sent(stage, "stale");
        assert_logged(stage, "\"reason\":\"keeps the pace\"");
}

static void few_jobs_ask_nobody(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        assert_string_equal(
                queued_alone(stage,
                        &(const struct stage_message){"a", queued_job(1, "linux"), 0, NULL}, 1),
                STAGE_NONE_FAILED);
}

/* It may come alone, and is no more welcome for that; and GitHub is not asked. */
static void one_that_was_parked_for_the_pace_asks(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {
                "a", queued_job_with(1, "linux", ",\"paced\":3,\"waits\":3,\"sends\":3"), 0, NULL};

        expect_count(stage, "register.fifo", 170, 0);
        expect_count(stage, "parked", 0, 7);
        stage_expect_sent(stage, "\\\"paced\\\":4,");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
        assert_sent(stage, "\"DelaySeconds\":10}");
        expect_count(stage, "register.fifo", 169, 0);
        expect_launch(stage, NULL, 1, 1);
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
}

/* It may have a machine already, or have lost one. */
static void what_is_not_its_first_launch_is_not_kept_back(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a",
                queued_job_with(1, "linux", ",\"launch\":1,\"stale\":1,\"paced\":1"), 0, NULL}};

        expect_count(stage, "register.fifo", 170, 0);
        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
        script_expect(
                stage->script, "GET", "/actions/jobs/1", NULL, 200, "{\"status\":\"queued\"}");
        expect_launch(stage, NULL, 1, 1);
        assert_string_equal(queued_alone(stage, messages, 1), STAGE_NONE_FAILED);
}

/* Who cannot be asked keeps nobody back. */
static void without_an_answer_all_are_launched(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, "AttributeNames", 403,
                "{\"__type\":\"AccessDenied\"}");
        expect_launch(stage, "MaxCount=10&", 1, 10);
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
        assert_logged(stage, "launched jobs could not be counted");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(as_many_are_launched_as_can_be_registered_in_time),
                TEST(few_jobs_ask_nobody),
                TEST(one_that_was_parked_for_the_pace_asks),
                TEST(what_is_not_its_first_launch_is_not_kept_back),
                TEST(without_an_answer_all_are_launched),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
