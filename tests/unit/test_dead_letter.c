/* SPDX-License-Identifier: MIT */

/*
 * Dead letters: people are told about each with everything that is known, and each is kept for
 * `scaler retry`; one that could not be told or kept comes again.
 */

#include <stdlib.h>

#include "stage.h"

#define JOB                                                                             \
        "{\"action\":\"queued\",\"id\":7,\"run_id\":2,\"repository\":\"o/r\",\"name\":" \
        "\"build\",\"labels\":[],\"spec\":\"linux\",\"url\":\"https://github.test/"     \
        "1\",\"runner_name\":\"i-00000001\"}"
#define ATTRIBUTES                                                                         \
        "{\"source\":{\"stringValue\":\"arn:aws:sqs:eu-central-1:1:p-parked\"},\"cause\":" \
        "{\"stringValue\":\"no permission\"}}"

static void a_letter_is_told_and_kept(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"m1", JOB, 0, ATTRIBUTES};

        stage_expect_sent(stage, "Given up: job 7 of o/r");
        stage_expect_sent(stage, "sqs.test/kept");
        assert_string_equal(stage_batch(stage, dead_letter_handle, &message, 1), STAGE_NONE_FAILED);
        assert_sent(stage, "\"StringValue\":\"arn:aws:sqs:eu-central-1:1:p-parked\"");
        assert_sent(stage, "\"StringValue\":\"no permission\"");
        assert_logged(stage, "\"queue\":\"p-parked\",\"cause\":\"no permission\"");
}

static void the_notification_has_job_cause_and_remedy(void **state)
{
        static const char *const parts[] = {"scaler retry --job 7", "https://github.test/1",
                "p-parked", "{\\\"name\\\":\\\"Cause\\\",\\\"value\\\":\\\"no permission\\\"}",
                "{\\\"name\\\":\\\"Job\\\",\\\"value\\\":\\\"build\\\"}",
                "{\\\"name\\\":\\\"Repository\\\",\\\"value\\\":\\\"o/r\\\"}",
                "{\\\"name\\\":\\\"Spec\\\",\\\"value\\\":\\\"linux\\\"}",
                "{\\\"name\\\":\\\"Runner\\\",\\\"value\\\":\\\"i-00000001\\\"}"};
        struct stage *stage = *state;
        const struct stage_message message = {"m1", JOB, 0, ATTRIBUTES};

        unsetenv("KEPT_QUEUE_URL");
        stage_expect_sent(stage, "notify.fifo");
        assert_string_equal(
                stage_batch(stage, dead_letter_handle, &message, 1), STAGE_FAILED("m1"));
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                assert_sent(stage, parts[i]);
}

/* A function that crashed leaves no cause, and the message may be anything. */
static void letters_of_any_kind_are_told(void **state)
{
        static const char *const bodies[] = {"", "garbage", "{}", "[[[",
                "{\"detail-type\":\"Runner Report\",\"detail\":{\"instance_id\":\"i-1\"}}"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                stage_expect_sent(stage, "Given up: a message of queue");
                stage_expect_sent(stage, "sqs.test/kept");
                assert_string_equal(
                        stage_one(stage, dead_letter_handle, bodies[i]), STAGE_NONE_FAILED);
                assert_sent(stage, "not recorded");
        }
}

static void a_letter_about_a_machine_names_it(void **state)
{
        static const struct stage_message message = {"m1",
                "{\"detail-type\":\"Spot\",\"detail\":{\"instance-id\":\"i-00000001\"}}", 0,
                ATTRIBUTES};
        struct stage *stage = *state;

        unsetenv("KEPT_QUEUE_URL");
        stage_expect_sent(stage, "Given up: a message of queue p-parked");
        assert_string_equal(
                stage_batch(stage, dead_letter_handle, &message, 1), STAGE_FAILED("m1"));
        assert_sent(stage, "{\\\"name\\\":\\\"Event\\\",\\\"value\\\":\\\"Spot\\\"}");
        assert_sent(stage, "{\\\"name\\\":\\\"Instance\\\",\\\"value\\\":\\\"i-00000001\\\"}");
}

static void a_letter_that_is_no_jobs_is_retried_with_all(void **state)
{
        struct stage *stage = *state;

        unsetenv("KEPT_QUEUE_URL");
        stage_expect_sent(stage, "notify.fifo");
        assert_string_equal(stage_one(stage, dead_letter_handle, "{}"), STAGE_FAILED("m1"));
        assert_sent(stage, "scaler retry --all");
}

static void what_cannot_be_told_stays(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, "notify.fifo", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(stage_one(stage, dead_letter_handle, JOB), STAGE_FAILED("m1"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_letter_is_told_and_kept),
                TEST(the_notification_has_job_cause_and_remedy),
                TEST(letters_of_any_kind_are_told),
                TEST(a_letter_about_a_machine_names_it),
                TEST(a_letter_that_is_no_jobs_is_retried_with_all),
                TEST(what_cannot_be_told_stays),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
