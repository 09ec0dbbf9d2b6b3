/* SPDX-License-Identifier: MIT */

/*
 * Watches that come twice: each would be followed by another one, again and again, until its job
 * runs. While `watch` is warm, one of them goes on.
 */

#include "queued_stage.h"

/* Launched at 03:00:00; the stage's clock says 03:04:05. */
#define WATCH(more)                                                                              \
        "{\"action\":\"watched\",\"id\":1,\"run_id\":2,\"attempt\":1,\"repository\":\"o/"        \
        "r\",\"url\":"                                                                           \
        "\"https://github.test/1\",\"labels\":[\"linux\"],\"spec\":\"linux\",\"instance_type\":" \
        "\"m7i.large\",\"launched_ms\":1767322800000" more "}"
#define MACHINE(id) ",\"instance\":\"i-0000000" id "\""

/* Its machine is idle, and GitHub says that it is queued: it is watched again. */
static void expect_looked_at(struct stage *stage, const char *answer)
{
        static const char found[] =
                "<DescribeInstancesResponse><reservationSet><item><instancesSet>%s</instancesSet>"
                "</item></reservationSet></DescribeInstancesResponse>";
        _cleanup_free_ char *none = mem_format(found, "");
        _cleanup_free_ char *machines =
                mem_format(found, STAGE_INSTANCE("i-00000001", "running", "")
                                          STAGE_INSTANCE("i-00000002", "running", ""));

        script_expect(stage->script, "POST", STAGE_EC2, "job-url", 200, none);
        script_expect(stage->script, "POST", STAGE_EC2, "instance-id", 200, machines);
        script_expect(
                stage->script, "GET", "/actions/jobs/1", NULL, 200, "{\"status\":\"waiting\"}");
        if (answer)
                stage_expect_sent(stage, answer);
}

static const char *watch(struct stage *stage, const char *body)
{
        return stage_one(stage, watch_handle, body);
}

static void of_a_watch_that_comes_twice_one_goes_on(void **state)
{
        struct stage *stage = *state;

        expect_looked_at(stage, "\\\"watches\\\":1,");
        assert_string_equal(watch(stage, WATCH(MACHINE("1"))), STAGE_NONE_FAILED);
        assert_string_equal(watch(stage, WATCH(MACHINE("1"))), STAGE_NONE_FAILED);
        /* But those that follow it do, and those of other machines and launches; and after so long
         * nobody knows. */
        expect_looked_at(stage, "\\\"watches\\\":2,");
        assert_string_equal(watch(stage, WATCH(MACHINE("1") ",\"watches\":1")), STAGE_NONE_FAILED);
        expect_looked_at(stage, "\\\"watches\\\":1,");
        assert_string_equal(watch(stage, WATCH(MACHINE("2"))), STAGE_NONE_FAILED);
        expect_looked_at(stage, "\\\"launch\\\":1,");
        assert_string_equal(watch(stage, WATCH(MACHINE("1") ",\"launch\":1")), STAGE_NONE_FAILED);
        expect_looked_at(stage, "\\\"waits\\\":1,");
        assert_string_equal(watch(stage, WATCH(MACHINE("1") ",\"waits\":1")), STAGE_NONE_FAILED);
        script_sleep(stage->script, 15 * 60 * MSEC_PER_SEC);
        expect_looked_at(stage, "\\\"watches\\\":1,");
        assert_string_equal(watch(stage, WATCH(MACHINE("1"))), STAGE_NONE_FAILED);
}

static void of_two_that_come_together_one_goes_on(void **state)
{
        const struct stage_message messages[] = {
                {"a", WATCH(MACHINE("1")), 0, NULL}, {"b", WATCH(MACHINE("1")), 0, NULL}};
        struct stage *stage = *state;

        expect_looked_at(stage, "sqs.test/watch");
        assert_string_equal(stage_batch(stage, watch_handle, messages, 2), STAGE_NONE_FAILED);
}

/* Nothing follows it yet. */
static void one_that_failed_goes_on_when_it_comes_again(void **state)
{
        struct stage *stage = *state;

        expect_looked_at(stage, NULL);
        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/watch", 403, "{}");
        assert_string_equal(watch(stage, WATCH(MACHINE("1"))), STAGE_FAILED("m1"));
        expect_looked_at(stage, "sqs.test/watch");
        assert_string_equal(watch(stage, WATCH(MACHINE("1"))), STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(of_a_watch_that_comes_twice_one_goes_on),
                TEST(of_two_that_come_together_one_goes_on),
                TEST(one_that_failed_goes_on_when_it_comes_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
