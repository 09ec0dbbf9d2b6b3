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

static int judge_record(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        (void)scaler;
        *(int *)userdata += 1;
        return strncmp(record->body, "bad", 3) == 0 ? err_set(err, -EIO, "%s broke", record->body)
                                                    : 0;
}

static void judge_each(struct scaler *scaler, struct batch *batch)
{
        int n_seen = 0;

        batch_each(scaler, batch, judge_record, &n_seen);
        assert_int_equal(n_seen, batch->n_records);
}

static void judge_all(struct scaler *scaler, struct batch *batch)
{
        struct err err;

        batch_fail(scaler, batch, err_set(&err, -EIO, "all broke"), &err);
}

static void one_failure_stops_no_other_message(void **state)
{
        const struct stage_message messages[] = {
                {"a", "bad 1", 0, NULL}, {"b", "good", 0, NULL}, {"c", "bad 2", 0, NULL}};

        assert_string_equal(stage_batch(*state, judge_each, messages, 3),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"c\"}]}");
        assert_string_equal(stage_batch(*state, judge_all, messages, 3),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"b\"},"
                "{\"itemIdentifier\":\"c\"}]}");
        assert_logged(*state, "\"message_id\":\"b\",\"error\":\"all broke\"");
}

static void judge_a_job(struct scaler *scaler, struct batch *batch)
{
        log_context(&scaler->log, "job", "11");
        judge(scaler, batch);
}

/* What SQS hears of the whole batch is not about the job that was handled last. */
static void a_job_is_logged_only_where_it_is_handled(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", "bad 1", 4, NULL};

        script_expect(stage->script, "POST", STAGE_SQS, "dead", 400,
                "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}");
        assert_string_equal(stage_batch(stage, judge_a_job, &message, 1), STAGE_FAILED("a"));
        assert_logged(stage, "\"job\":\"11\"");
        assert_not_logged(stage, "\"message\":\"dead letter not sent; SQS will move the message\","
                                 "\"job\":\"11\"");
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

static void without_a_limit_nothing_is_buried(void **state)
{
        const struct stage_message message = {"a", "bad 1", 100, NULL};

        unsetenv("MAX_RECEIVE_COUNT");
        assert_string_equal(stage_batch(*state, judge, &message, 1), STAGE_FAILED("a"));
}

/* Handles a record in 8 s. */
static int take_long(struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        (void)record;
        (void)err;
        (void)scaler;
        script_sleep(userdata, 8000);
        return 0;
}

static int take_nothing(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        (void)record;
        (void)err;
        (void)scaler;
        (void)userdata;
        return 0;
}

static struct script *slow_script;

static void judge_slowly(struct scaler *scaler, struct batch *batch)
{
        batch_each(scaler, batch, take_long, slow_script);
}

/* Ended by Lambda, the function would get the first two again. */
static void what_there_is_no_time_for_comes_again_alone(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", "1", 0, NULL}, {"b", "2", 0, NULL}, {"c", "3", 0, NULL}};

        slow_script = stage->script;
        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 20000);
        assert_string_equal(stage_batch(stage, judge_slowly, messages, 3), STAGE_FAILED("c"));
        assert_logged(stage, "\"message_id\":\"c\",\"error\":\"not tried: ");
}

static void judge_at_once(struct scaler *scaler, struct batch *batch)
{
        batch_each(scaler, batch, take_nothing, NULL);
}

static void a_message_needs_five_seconds(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", "1", 0, NULL};
        int64_t now_ms = clock_wall_ms(stage->scaler.clock);

        scaler_begin_event(&stage->scaler, now_ms + 5000);
        assert_string_equal(stage_batch(stage, judge_at_once, &message, 1), STAGE_NONE_FAILED);
        scaler_begin_event(&stage->scaler, now_ms + 4999);
        assert_string_equal(stage_batch(stage, judge_at_once, &message, 1), STAGE_FAILED("a"));
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

static void no_batch_is_larger_than_sqs_makes_it(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(1024 * 1024);
        struct batch batch = {0};
        struct err err;

        (void)state;
        buf_add_string(&text, "{\"Records\":[{\"messageId\":\"a\",\"body\":\"\"}");
        for (int i = 1; i < BATCH_MAX; i++)
                buf_add_string(&text, ",{\"messageId\":\"a\",\"body\":\"\"}");
        buf_add_string(&text, "]}");
        assert_int_equal(batch_parse(buf_string(&text), text.size, &batch, &err), 0);
        assert_int_equal(batch.n_records, BATCH_MAX);
        batch_release(&batch);
        text.size -= 2;
        buf_add_string(&text, ",{\"messageId\":\"a\",\"body\":\"\"}]}");
        assert_int_equal(batch_parse(buf_string(&text), text.size, &batch, &err), -EBADMSG);
}

static void records_are_read(void **state)
{
        static const char event[] =
                "{\"Records\":[{\"messageId\":\"a\",\"body\":\"x\",\"attributes\":{"
                "\"ApproximateReceiveCount\":\"3\",\"DeadLetterQueueSourceArn\":\"arn:died\"},"
                "\"messageAttributes\":{\"cause\":{\"stringValue\":\"why\"},"
                "\"group\":{\"stringValue\":\"enterprise\"}}},"
                "{\"messageId\":\"b\",\"body\":\"\",\"messageAttributes\":{\"source\":{"
                "\"stringValue\":\"arn:here\"}},\"attributes\":{\"DeadLetterQueueSourceArn\":"
                "\"arn:redriven\",\"MessageGroupId\":\"4711\"}}]}";
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
        assert_string_equal(batch.records[0].group, "enterprise");
        assert_string_equal(batch.records[1].group, "4711");
        batch_release(&batch);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_right_messages_come_again),
                TEST(one_failure_stops_no_other_message),
                TEST(a_job_is_logged_only_where_it_is_handled),
                TEST(the_last_failure_makes_a_dead_letter),
                TEST(a_letter_that_cannot_be_sent_stays_with_sqs),
                TEST(without_a_limit_nothing_is_buried),
                TEST(what_there_is_no_time_for_comes_again_alone),
                TEST(a_message_needs_five_seconds),
                TEST(what_sqs_never_sends_is_refused),
                TEST(no_batch_is_larger_than_sqs_makes_it),
                TEST(records_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
