/* SPDX-License-Identifier: MIT */

/*
 * SQS: whatever the cause of a dead letter looks like, SQS accepts the message; and what is
 * received is read as a whole or refused.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "aws/sqs.h"
#include "base/json.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "unit.h"

#define QUEUE "https://sqs.eu-central-1.amazonaws.com/123456789012/queued"

/* -- sending -- */

static void assert_sent(struct aws *aws, const struct sqs_message *message, const char *body)
{
        _cleanup_(http_call_freep) struct http_call *call = sqs_send_message(aws, message);

        assert_contains(buf_string(&call->headers), "X-Amz-Target: AmazonSQS.SendMessage\n");
        assert_string_equal(buf_string(&call->body), body);
}

static void messages_on_the_wire(void **state)
{
        assert_sent(*state, &(const struct sqs_message){.queue_url = QUEUE, .body = "{\"a\":1}"},
                "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"{\\\"a\\\":1}\"}");
        assert_sent(*state,
                &(const struct sqs_message){
                        .queue_url = QUEUE, .body = "b", .group = "42", .deduplication_id = "42-1"},
                "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"b\",\"MessageGroupId\":\"42\","
                "\"MessageDeduplicationId\":\"42-1\"}");
        assert_sent(*state,
                &(const struct sqs_message){.queue_url = QUEUE, .body = "b", .delay_seconds = 60},
                "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"b\",\"DelaySeconds\":60}");
        assert_sent(*state,
                &(const struct sqs_message){.queue_url = QUEUE, .body = "b", .delay_seconds = 9999},
                "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"b\",\"DelaySeconds\":900}");
}

static void dead_letters_carry_source_and_cause(void **state)
{
        assert_sent(*state,
                &(const struct sqs_message){.queue_url = QUEUE,
                        .body = "b",
                        .source = "arn:aws:sqs:eu-central-1:1:queued.fifo",
                        .cause = "AWS said \"no\""},
                "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"b\",\"MessageAttributes\":{"
                "\"source\":{\"DataType\":\"String\","
                "\"StringValue\":\"arn:aws:sqs:eu-central-1:1:queued.fifo\"},"
                "\"cause\":{\"DataType\":\"String\",\"StringValue\":\"AWS said \\\"no\\\"\"}}}");
        /* SQS refuses a message that has an attribute without a value. */
        assert_sent(*state,
                &(const struct sqs_message){.queue_url = QUEUE, .body = "b", .cause = ""},
                "{\"QueueUrl\":\"" QUEUE "\",\"MessageBody\":\"b\"}");
}

/* The form in which CAUSE is sent; the caller frees. */
static char *sent_cause(struct aws *aws, const char *cause)
{
        _cleanup_(http_call_freep) struct http_call *call = sqs_send_message(
                aws, &(const struct sqs_message){.queue_url = QUEUE, .body = "b", .cause = cause});
        _cleanup_json_ cJSON *body = NULL;
        struct err err;

        assert_int_equal(
                json_parse(buf_string(&call->body), call->body.size, "body", &body, &err), 0);
        return mem_string(json_string(body, "MessageAttributes.cause.StringValue"));
}

/* SQS accepts #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF. */
static void causes_are_made_fit_for_sqs(void **state)
{
        static const struct {
                const char *cause;
                const char *sent;
        } cases[] = {
                {"tab\tline\nreturn\r.", "tab\tline\nreturn\r."},
                {"bell\a and escape\x1b[1m", "bell? and escape?[1m"},
                {"\x01\x1f\x7f", "??\x7f"},
                {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
                        "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
                {"\xef\xbf\xbd", "\xef\xbf\xbd"},
                {"\xef\xbf\xbe\xef\xbf\xbf", "??"},
                {"\xff\xfe", "??"},
                {"\xc3", "?"},
                {"\xe2\x82", "??"},
                {"\xed\xa0\x80", "???"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *sent = sent_cause(*state, cases[i].cause);

                assert_string_equal(sent, cases[i].sent);
        }
}

static void causes_are_cut_between_characters(void **state)
{
        char cause[3001];
        _cleanup_free_ char *plain = NULL;
        _cleanup_free_ char *euros = NULL;

        memset(cause, 'x', sizeof(cause) - 1);
        cause[sizeof(cause) - 1] = '\0';
        plain = sent_cause(*state, cause);
        assert_int_equal(strlen(plain), 1000);
        for (size_t i = 0; i < sizeof(cause) - 1; i += 3)
                memcpy(cause + i, "\xe2\x82\xac", 3);
        euros = sent_cause(*state, cause);
        assert_int_equal(strlen(euros), 999);
        assert_memory_equal(euros + 996, "\xe2\x82\xac", 3);
}

static void only_a_message_with_an_id_counts_as_sent(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = sqs_send_message(
                *state, &(const struct sqs_message){.queue_url = QUEUE, .body = "b"});
        struct err err;

        answer(call, 200, "{\"MD5OfMessageBody\":\"92eb\",\"MessageId\":\"5fea7756\"}");
        assert_int_equal(sqs_send_message_answer(call, &err), 0);
        answer(call, 200, "{}");
        assert_int_equal(sqs_send_message_answer(call, &err), -EBADMSG);
        assert_string_equal(err.text, "SendMessage: MessageId: a string is needed, found nothing");
        answer(call, 200, "<html>");
        assert_int_equal(sqs_send_message_answer(call, &err), -EBADMSG);
        answer(call, 400,
                "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"The specified "
                "queue does not exist.\"}");
        assert_int_equal(sqs_send_message_answer(call, &err), -EREMOTEIO);
        assert_string_equal(err.text,
                "AWS refused SendMessage with QueueDoesNotExist: The specified queue does not "
                "exist.");
        answer(call, 403, "{\"__type\":\"com.amazon.coral.service#AccessDeniedException\"}");
        assert_int_equal(sqs_send_message_answer(call, &err), -EACCES);
        assert_contains(err.text, "sqs:SendMessage");
        answer_nothing(call, -ECONNREFUSED);
        assert_int_equal(sqs_send_message_answer(call, &err), -ECONNREFUSED);
}

/* -- receiving -- */

static void messages_are_received_with_their_attributes(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                sqs_receive_messages(*state, QUEUE, 120);
        _cleanup_(sqs_received_list_release) struct sqs_received_list list = {0};
        struct err err;

        assert_string_equal(buf_string(&call->body),
                "{\"QueueUrl\":\"" QUEUE "\",\"MaxNumberOfMessages\":10,\"VisibilityTimeout\":120,"
                "\"WaitTimeSeconds\":1,\"MessageAttributeNames\":[\"All\"],"
                "\"MessageSystemAttributeNames\":[\"SentTimestamp\"]}");
        answer(call, 200,
                "{\"Messages\":[{\"MessageId\":\"m1\",\"ReceiptHandle\":\"r1\",\"Body\":\"{}\","
                "\"MD5OfBody\":\"9\",\"Attributes\":{\"SentTimestamp\":\"1764000000123\"},"
                "\"MessageAttributes\":{\"source\":{\"StringValue\":\"arn:x\","
                "\"DataType\":\"String\"},\"cause\":{\"StringValue\":\"why\","
                "\"DataType\":\"String\"}}},"
                "{\"MessageId\":\"m2\",\"ReceiptHandle\":\"r2\",\"Body\":\"\"}]}");
        assert_int_equal(sqs_receive_messages_answer(call, &list, &err), 0);
        assert_int_equal(list.count, 2);
        assert_string_equal(list.items[0].id, "m1");
        assert_string_equal(list.items[0].receipt, "r1");
        assert_string_equal(list.items[0].body, "{}");
        assert_string_equal(list.items[0].source, "arn:x");
        assert_string_equal(list.items[0].cause, "why");
        assert_int_equal(list.items[0].sent_ms, 1764000000123);
        assert_string_equal(list.items[1].body, "");
        assert_null(list.items[1].source);
        assert_null(list.items[1].cause);
        assert_int_equal(list.items[1].sent_ms, 0);
}

static void an_empty_queue_is_answered_in_several_forms(void **state)
{
        static const char *const bodies[] = {"{}", "{\"Messages\":[]}", "{\"Messages\":null}"};
        _cleanup_(http_call_freep) struct http_call *call = sqs_receive_messages(*state, QUEUE, 1);
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                struct sqs_received_list list = {.count = 77};

                answer(call, 200, bodies[i]);
                assert_int_equal(sqs_receive_messages_answer(call, &list, &err), 0);
                assert_int_equal(list.count, 0);
        }
}

static void broken_messages_are_refused_with_their_place(void **state)
{
        static const struct {
                const char *body;
                const char *text;
        } cases[] = {
                {"", "ReceiveMessage: "},
                {"[]", "ReceiveMessage: AWS's answer is a list"},
                {"{\"Messages\":{}}", "Messages: a list is needed, found an object"},
                {"{\"Messages\":[7]}", "message 0: MessageId: a string is needed"},
                {"{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"b\"},"
                 "{\"MessageId\":\"m\",\"ReceiptHandle\":\"\",\"Body\":\"b\"}]}",
                        "message 1: ReceiptHandle: a string is needed, found an empty one"},
                {"{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\"}]}",
                        "message 0: Body: a string is needed, found nothing"},
        };
        _cleanup_(http_call_freep) struct http_call *call = sqs_receive_messages(*state, QUEUE, 1);
        struct sqs_received_list list = {.count = 77};
        _cleanup_buf_ struct buf many = BUF_INIT(4096);
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                answer(call, 200, cases[i].body);
                assert_int_equal(sqs_receive_messages_answer(call, &list, &err), -EBADMSG);
                assert_contains(err.text, cases[i].text);
        }
        buf_add_string(&many, "{\"Messages\":[");
        for (int i = 0; i < 11; i++)
                buf_add_format(&many,
                        "%s{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"b\"}",
                        i ? "," : "");
        buf_add_string(&many, "]}");
        answer(call, 200, buf_string(&many));
        assert_int_equal(sqs_receive_messages_answer(call, &list, &err), -EBADMSG);
        answer(call, 400, "{\"__type\":\"com.amazonaws.sqs#OverLimit\"}");
        assert_int_equal(sqs_receive_messages_answer(call, &list, &err), -EREMOTEIO);
        assert_int_equal(list.count, 77);
}

static void the_other_calls(void **state)
{
        _cleanup_(http_call_freep) struct http_call *delete =
                sqs_delete_message(*state, QUEUE, "AQEB+/=");
        _cleanup_(http_call_freep) struct http_call *find = sqs_get_queue_url(*state, "q.fifo");
        _cleanup_free_ char *url = NULL;
        struct err err;

        assert_string_equal(buf_string(&delete->body),
                "{\"QueueUrl\":\"" QUEUE "\",\"ReceiptHandle\":\"AQEB+/=\"}");
        answer(delete, 200, "");
        assert_int_equal(sqs_delete_message_answer(delete, &err), 0);
        answer(delete, 400, "{\"__type\":\"com.amazonaws.sqs#ReceiptHandleIsInvalid\"}");
        assert_int_equal(sqs_delete_message_answer(delete, &err), -EREMOTEIO);

        assert_string_equal(buf_string(&find->body), "{\"QueueName\":\"q.fifo\"}");
        answer(find, 200, "{\"QueueUrl\":\"\"}");
        assert_int_equal(sqs_get_queue_url_answer(find, &url, &err), -EBADMSG);
        answer(find, 400, "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}");
        assert_int_equal(sqs_get_queue_url_answer(find, &url, &err), -EREMOTEIO);
        assert_null(url);
        answer(find, 200, "{\"QueueUrl\":\"" QUEUE "\"}");
        assert_int_equal(sqs_get_queue_url_answer(find, &url, &err), 0);
        assert_string_equal(url, QUEUE);
}

/* SQS gives numbers as strings. */
static void counts_are_read_as_a_whole_or_not(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = sqs_count_messages(*state, QUEUE);
        struct sqs_count count = {7, 7, 7};
        struct err err;

        assert_string_equal(buf_string(&call->body),
                "{\"QueueUrl\":\"" QUEUE "\",\"AttributeNames\":["
                "\"ApproximateNumberOfMessages\",\"ApproximateNumberOfMessagesNotVisible\","
                "\"ApproximateNumberOfMessagesDelayed\"]}");
        answer(call, 200,
                "{\"Attributes\":{\"ApproximateNumberOfMessages\":\"1\","
                "\"ApproximateNumberOfMessagesNotVisible\":\"2\"}}");
        assert_int_equal(sqs_count_messages_answer(call, &count, &err), -EBADMSG);
        assert_int_equal(count.visible, 7);
        answer(call, 200,
                "{\"Attributes\":{\"ApproximateNumberOfMessages\":\"1\","
                "\"ApproximateNumberOfMessagesNotVisible\":\"2\","
                "\"ApproximateNumberOfMessagesDelayed\":\"3\"}}");
        assert_int_equal(sqs_count_messages_answer(call, &count, &err), 0);
        assert_int_equal(count.visible, 1);
        assert_int_equal(count.in_flight, 2);
        assert_int_equal(count.delayed, 3);
        answer(call, 400, "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}");
        assert_true(sqs_count_messages_answer(call, &count, &err) < 0);
}

#define TEST(function) \
        cmocka_unit_test_setup_teardown(function, fake_aws_set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(counts_are_read_as_a_whole_or_not),
                TEST(messages_on_the_wire),
                TEST(dead_letters_carry_source_and_cause),
                TEST(causes_are_made_fit_for_sqs),
                TEST(causes_are_cut_between_characters),
                TEST(only_a_message_with_an_id_counts_as_sent),
                TEST(messages_are_received_with_their_attributes),
                TEST(an_empty_queue_is_answered_in_several_forms),
                TEST(broken_messages_are_refused_with_their_place),
                TEST(the_other_calls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
