/* SPDX-License-Identifier: MIT */

/*
 * Batches: exactly the messages that failed are delivered again, and those that failed for the last
 * time become dead letters that say why.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

/* Fails the messages whose body begins with "bad". */
static void judge(struct scaler *scaler, struct batch *batch)
{
        for (size_t i = 0; i < batch->n_records; i++) {
                struct err err;

                if (strncmp(batch->records[i].body, "bad", 3) == 0)
                        record_fail(scaler, &batch->records[i],
                                err_set(&err, -EIO, "%s broke", batch->records[i].body), &err);
        }
}

static void the_right_messages_come_again(void **state)
{
        const struct stage_message messages[] = {{"a", "good", 0, NULL}, {"b", "bad 1", 0, NULL},
                {"c", "good", 4, NULL}, {"d", "bad 2", 3, NULL}};

        assert_string_equal(stage_batch(*state, judge, messages, 4),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"b\"},{\"itemIdentifier\":\"d\"}]}");
        assert_logged(*state, "\"message_id\":\"b\",\"error\":\"bad 1 broke\"");
}

static void the_last_failure_makes_a_dead_letter(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", "bad 1", 4, NULL}, {"b", "bad 2", 3, NULL}, {"c", "bad 3", 5, NULL}};

        stage_expect_sent(stage,
                "{\"QueueUrl\":\"https://sqs.test/dead\",\"MessageBody\":\"bad 1\","
                "\"MessageAttributes\":{\"source\":{\"DataType\":\"String\",\"StringValue\":"
                "\"arn:aws:sqs:eu-central-1:1:source\"},\"cause\":{\"DataType\":\"String\","
                "\"StringValue\":\"bad 1 broke\"}}}");
        stage_expect_sent(stage, "bad 3");
        assert_string_equal(stage_batch(stage, judge, messages, 3), STAGE_FAILED("b"));
}

/* The queue's redrive policy catches what is not buried here. */
static void a_letter_that_cannot_be_sent_stays_with_sqs(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", "bad 1", 4, NULL};

        script_expect(stage->script, "POST", STAGE_SQS, "dead", 400,
                "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}");
        assert_string_equal(stage_batch(stage, judge, &message, 1), STAGE_FAILED("a"));
        assert_logged(stage, "SQS will move the message");
}

/* Runs a batch of one message that has a receipt handle; its handler fails. */
static void fail_with_receipt(struct stage *stage, int receive_count)
{
        _cleanup_free_ char *text = mem_format(
                "{\"Records\":[{\"messageId\":\"a\",\"body\":\"bad\",\"receiptHandle\":\"r-1\","
                "\"eventSourceARN\":\"arn:aws:sqs:eu-central-1:123456789012:p-queued.fifo\","
                "\"attributes\":{\"ApproximateReceiveCount\":\"%d\"}}]}",
                receive_count);
        const struct lambda_event event = {.body = text, .size = strlen(text)};
        struct err err;

        buf_clear(&stage->answer);
        assert_int_equal(batch_run(&stage->scaler, judge, &event, &stage->answer, &err), 0);
        assert_string_equal(buf_string(&stage->answer), STAGE_FAILED("a"));
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

static void without_a_limit_nothing_is_buried(void **state)
{
        const struct stage_message message = {"a", "bad 1", 100, NULL};

        unsetenv("MAX_RECEIVE_COUNT");
        assert_string_equal(stage_batch(*state, judge, &message, 1), STAGE_FAILED("a"));
}

static void what_sqs_never_sends_is_refused(void **state)
{
        static const struct {
                const char *event;
                const char *text;
        } rows[] = {
                {"", "empty"},
                {"[]", "Records: a list of SQS messages is needed, found nothing"},
                {"{\"Records\":{}}", "found an object"},
                {"{\"Records\":[7]}", "Records[0]: messageId: a string is needed"},
                {"{\"Records\":[{\"messageId\":\"a\",\"body\":\"\"},{\"messageId\":\"b\"}]}",
                        "Records[1]: body: a string is needed, found nothing"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct batch batch = {0};
                struct err err = {0};

                assert_int_equal(
                        batch_parse(rows[i].event, strlen(rows[i].event), &batch, &err), -EBADMSG);
                assert_contains(err.text, rows[i].text);
                assert_null(batch.records);
        }
        (void)state;
}

static void records_are_read(void **state)
{
        static const char event[] =
                "{\"Records\":[{\"messageId\":\"a\",\"body\":\"x\",\"attributes\":{"
                "\"ApproximateReceiveCount\":\"3\",\"DeadLetterQueueSourceArn\":\"arn:died\"},"
                "\"messageAttributes\":{\"cause\":{\"stringValue\":\"why\"}}},"
                "{\"messageId\":\"b\",\"body\":\"\",\"messageAttributes\":{\"source\":{"
                "\"stringValue\":\"arn:here\"}},\"attributes\":{\"DeadLetterQueueSourceArn\":"
                "\"arn:redriven\"}}]}";
        struct batch batch = {0};
        struct err err;

        (void)state;
        assert_int_equal(batch_parse(event, strlen(event), &batch, &err), 0);
        assert_int_equal(batch.n_records, 2);
        assert_int_equal(batch.records[0].receive_count, 3);
        assert_string_equal(batch.records[0].dead_source, "arn:died");
        assert_string_equal(batch.records[0].cause, "why");
        /* The queue where a message first failed says more than the one that SQS moved it from. */
        assert_string_equal(batch.records[1].dead_source, "arn:here");
        assert_int_equal(batch.records[1].receive_count, 1);
        batch_release(&batch);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_right_messages_come_again),
                TEST(the_last_failure_makes_a_dead_letter),
                TEST(a_letter_that_cannot_be_sent_stays_with_sqs),
                TEST(a_failed_message_comes_again_soon_and_later_each_time),
                TEST(without_a_limit_nothing_is_buried),
                TEST(what_sqs_never_sends_is_refused),
                TEST(records_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
