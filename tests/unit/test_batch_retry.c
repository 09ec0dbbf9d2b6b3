/* SPDX-License-Identifier: MIT */

/*
 * When a failed message comes again: soon, and later each time, wherever its queue is.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

/* Fails every message. */
static void judge(struct scaler *scaler, struct batch *batch)
{
        struct err err;

        batch_fail(scaler, batch, err_set(&err, -EIO, "broken"), &err);
}

#define QUEUE "arn:aws:sqs:eu-central-1:123456789012:p-queued.fifo"

/* Runs a batch of one message with these members; its handler fails. */
static void fail_with(struct stage *stage, const char *members, int receive_count)
{
        _cleanup_free_ char *text =
                mem_format("{\"Records\":[{\"messageId\":\"a\",\"body\":\"bad\",%s"
                           "\"attributes\":{\"ApproximateReceiveCount\":\"%d\"}}]}",
                        members, receive_count);
        const struct lambda_event event = {.body = text, .size = strlen(text)};
        struct err err;

        buf_clear(&stage->answer);
        assert_int_equal(batch_run(&stage->scaler, judge, &event, &stage->answer, &err), 0);
        assert_string_equal(buf_string(&stage->answer), STAGE_FAILED("a"));
}

/* The same with a receipt handle. */
static void fail_with_receipt(struct stage *stage, int receive_count)
{
        fail_with(stage, "\"receiptHandle\":\"r-1\",\"eventSourceARN\":\"" QUEUE "\",",
                receive_count);
}

/* The queue's visibility time-out is made for functions that hang; a failure is retried sooner. */
static void a_failed_message_comes_again_soon_and_later_each_time(void **state)
{
        static const char *const seconds[] = {"\"VisibilityTimeout\":15}",
                "\"VisibilityTimeout\":60}", "\"VisibilityTimeout\":240}"};
        struct stage *stage = *state;

        for (int i = 0; i < 3; i++) {
                script_expect(stage->script, "POST", STAGE_SQS, seconds[i], 200, "{}");
                fail_with_receipt(stage, i + 1);
                assert_sent(stage,
                        "{\"QueueUrl\":\"https://sqs.eu-central-1.amazonaws.com/123456789012/"
                        "p-queued.fifo\",\"ReceiptHandle\":\"r-1\",");
        }
        script_expect(stage->script, "POST", STAGE_SQS, NULL, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        fail_with_receipt(stage, 1);
        assert_logged(stage, "only after its visibility timeout");
}

static void four_minutes_are_the_longest_wait(void **state)
{
        static const int counts[] = {3, 4, 5, 1000};
        struct stage *stage = *state;

        unsetenv("MAX_RECEIVE_COUNT");
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
                script_expect(
                        stage->script, "POST", STAGE_SQS, "\"VisibilityTimeout\":240}", 200, "{}");
                fail_with_receipt(stage, counts[i]);
        }
}

/* Two failed messages, of the first and of the second receive. */
static void fail_two(struct stage *stage)
{
        static const char text[] =
                "{\"Records\":["
                "{\"messageId\":\"a\",\"body\":\"bad\",\"receiptHandle\":\"r-1\","
                "\"eventSourceARN\":\"" QUEUE "\",\"attributes\":{\"ApproximateReceiveCount\":"
                "\"1\"}},"
                "{\"messageId\":\"b\",\"body\":\"bad\",\"receiptHandle\":\"r-2\","
                "\"eventSourceARN\":\"" QUEUE "\",\"attributes\":{\"ApproximateReceiveCount\":"
                "\"2\"}}]}";
        const struct lambda_event event = {.body = text, .size = strlen(text)};
        struct err err;

        buf_clear(&stage->answer);
        assert_int_equal(batch_run(&stage->scaler, judge, &event, &stage->answer, &err), 0);
}

#define BOTH                                                                 \
        "\"Entries\":[{\"Id\":\"0\",\"ReceiptHandle\":\"r-1\","              \
        "\"VisibilityTimeout\":15},{\"Id\":\"1\",\"ReceiptHandle\":\"r-2\"," \
        "\"VisibilityTimeout\":60}]}"

static void failed_messages_share_a_call(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, BOTH, 200,
                "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"}],\"Failed\":[]}");
        fail_two(stage);
        script_expect(stage->script, "POST", STAGE_SQS, BOTH, 403,
                "{\"__type\":\"AccessDeniedException\"}");
        fail_two(stage);
        assert_logged(stage, "only after its visibility timeout");
}

/* Each of them once more. */
static void what_sqs_left_out_is_tried_again(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, BOTH, 200,
                "{\"Successful\":[{\"Id\":\"0\"}],\"Failed\":[{\"Id\":\"1\",\"Code\":"
                "\"InternalError\"}]}");
        script_expect(stage->script, "POST", STAGE_SQS,
                "\"ReceiptHandle\":\"r-2\",\"VisibilityTimeout\":60}", 200, "{}");
        fail_two(stage);
        script_expect(stage->script, "POST", STAGE_SQS, BOTH, 200,
                "{\"Successful\":[{\"Id\":"
                "\"7\"}]}");
        script_expect(stage->script, "POST", STAGE_SQS, "\"ReceiptHandle\":\"r-1\"", 400,
                "{\"__type\":\"MessageNotInflight\"}");
        script_expect(stage->script, "POST", STAGE_SQS, "\"ReceiptHandle\":\"r-2\"", 200, "{}");
        fail_two(stage);
        assert_logged(stage, "MessageNotInflight");
}

/* Until SQS moves it. */
static void a_letter_that_cannot_be_sent_is_hidden_as_briefly(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/dead", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        script_expect(stage->script, "POST", STAGE_SQS, "\"VisibilityTimeout\":240}", 200, "{}");
        fail_with_receipt(stage, 4);
}

#define LONG_NAME "a-prefix-that-is-long-enough-to-fill-the-eighty-characters-of-a-name-queued.fifo"

/* SQS names the queue by its ARN, but wants its URL. */
static void the_url_of_a_queue_follows_from_its_arn(void **state)
{
        static const struct {
                const char *arn;
                const char *url;
        } rows[] = {
                {"arn:aws-cn:sqs:cn-north-1:123456789012:p-queued.fifo",
                        "\"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/p-queued.fifo\""},
                {"arn:aws-us-gov:sqs:us-gov-west-1:123456789012:parked",
                        "\"https://sqs.us-gov-west-1.amazonaws.com/123456789012/parked\""},
                {"arn:aws:sqs:ap-southeast-3:123456789012:" LONG_NAME,
                        "\"https://sqs.ap-southeast-3.amazonaws.com/123456789012/" LONG_NAME "\""},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *members = mem_format(
                        "\"receiptHandle\":\"r-1\",\"eventSourceARN\":\"%s\",", rows[i].arn);

                script_expect(stage->script, "POST", STAGE_SQS, rows[i].url, 200, "{}");
                fail_with(stage, members, 1);
        }
}

/* Events made by hand, for example. */
static void what_has_no_queue_waits_for_nothing(void **state)
{
        static const char *const members[] = {
                "",
                "\"receiptHandle\":\"r-1\",",
                "\"eventSourceARN\":\"" QUEUE "\",",
                "\"receiptHandle\":\"r-1\",\"eventSourceARN\":\"arn:aws:sns:eu-central-1:1:"
                "topic\",",
                "\"receiptHandle\":\"r-1\",\"eventSourceARN\":\"arn:aws:sqs:eu-central-1:1\",",
                "\"receiptHandle\":\"r-1\",\"eventSourceARN\":\"\",",
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                fail_with(stage, members[i], 1);
        assert_int_equal(script_requests(stage->script), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_failed_message_comes_again_soon_and_later_each_time),
                TEST(failed_messages_share_a_call),
                TEST(what_sqs_left_out_is_tried_again),
                TEST(four_minutes_are_the_longest_wait),
                TEST(a_letter_that_cannot_be_sent_is_hidden_as_briefly),
                TEST(the_url_of_a_queue_follows_from_its_arn),
                TEST(what_has_no_queue_waits_for_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
