/* SPDX-License-Identifier: MIT */

/*
 * Answers of AWS: an error is recognized in all forms that the services use, and tells people what
 * to do without showing a secret.
 */

#include <errno.h>
#include <string.h>

#include "answer.h"
#include "aws/answer.h"
#include "aws/aws.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "unit.h"

/* -- outcomes -- */

/* Each row is a form in which a service has answered. */
static void errors_are_decoded_in_all_their_forms(void **state)
{
        static const struct {
                int status;
                const char *headers;
                const char *body;
                const char *code;
                const char *message;
        } cases[] = {
                {400, NULL, "{\"__type\":\"ParameterNotFound\"}", "ParameterNotFound", ""},
                {400, NULL,
                        "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\","
                        "\"message\":\"The specified queue does not exist.\"}",
                        "QueueDoesNotExist", "The specified queue does not exist."},
                {400, NULL,
                        "{\"__type\":\"a.b#ThrottlingException\",\"Message\":\"Rate exceeded\"}",
                        "ThrottlingException", "Rate exceeded"},
                {400,
                        "HTTP/1.1 400 Bad Request\r\nX-Amzn-ErrorType: ValidationException:"
                        "http://internal.amazon.com/coral/com.amazon.coral.validate/\r\n\r\n",
                        "{\"message\":\"no\"}", "ValidationException", "no"},
                {400, "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n", "",
                        "AWS.SimpleQueueService.NonExistentQueue", ""},
                {400, "x-amzn-query-error: Other;Sender\r\n", "{\"__type\":\"x#First\"}", "First",
                        ""},
                {503, NULL,
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>"
                        "<Code>RequestLimitExceeded</Code><Message>Request limit exceeded."
                        "</Message></Error></Errors><RequestID>1</RequestID></Response>",
                        "RequestLimitExceeded", "Request limit exceeded."},
                {403, NULL,
                        "<ErrorResponse><Error><Code>InvalidClientTokenId</Code>"
                        "<Message>The security token is &lt;invalid&gt;.</Message></Error>"
                        "</ErrorResponse>",
                        "InvalidClientTokenId", "The security token is <invalid>."},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        aws_json_call(*state, AWS_SQS, "Act", "{}");
                struct aws_error error;

                answer_with_headers(call, cases[i].status, cases[i].headers, cases[i].body);
                assert_int_equal(aws_outcome(call, &error, NULL), AWS_REFUSED);
                assert_string_equal(error.code, cases[i].code);
                assert_string_equal(error.message, cases[i].message);
        }
}

static void answers_that_are_not_from_aws_are_told_apart(void **state)
{
        static const char *const bodies[] = {"", "{}", "[]", "null", "{\"__type\":7}",
                "{\"__type\":\"\"}", "{\"__type\":\"a#\"", "<html><h1>502 Bad Gateway</h1></html>",
                "<Response><Errors><Error><Code>Cut", "<Response><Errors/></Response>", "\xff\xfe",
                "upstream connect error"};
        struct aws_error error = {.code = "untouched"};
        struct err err = {0};

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        aws_json_call(*state, AWS_SQS, "SendMessage", "{}");

                answer(call, 502, bodies[i]);
                assert_int_equal(aws_outcome(call, &error, &err), -EPROTO);
                assert_string_equal(error.code, "untouched");
                assert_contains(err.text, "SendMessage");
                assert_contains(err.text, "502");
        }
}

static void every_2xx_is_a_success_and_nothing_else(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                aws_json_call(*state, AWS_SSM, "GetParameter", "{}");
        struct aws_error error;
        struct err err = {0};

        answer(call, 200, "anything");
        assert_int_equal(aws_outcome(call, &error, &err), 0);
        answer(call, 204, "");
        assert_int_equal(aws_outcome(call, &error, &err), 0);
        answer(call, 301, "");
        assert_int_equal(aws_outcome(call, &error, &err), -EPROTO);
        answer_nothing(call, -ECONNRESET);
        assert_int_equal(aws_outcome(call, &error, &err), -ECONNRESET);
        assert_string_equal(err.text, "GetParameter: no answer: cut off");
}

static void codes_and_messages_are_cut_between_characters(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                aws_json_call(*state, AWS_SSM, "GetParameter", "{}");
        _cleanup_buf_ struct buf body = BUF_INIT(4096);
        struct aws_error error;

        buf_add_string(&body, "{\"__type\":\"");
        for (int i = 0; i < 200; i++)
                buf_add_string(&body, "C");
        buf_add_string(&body, "\",\"message\":\"");
        for (int i = 0; i < 400; i++)
                buf_add_string(&body, "\xc3\xa4");
        buf_add_string(&body, "\"}");
        answer(call, 400, buf_string(&body));
        assert_int_equal(aws_outcome(call, &error, NULL), AWS_REFUSED);
        assert_int_equal(strlen(error.code), sizeof(error.code) - 1);
        /* The buffer holds 511 bytes, which would split the 256th character. */
        assert_int_equal(strlen(error.message), 510);
}

/* -- error texts -- */

static void refusals_say_what_to_do(void **state)
{
        static const struct {
                enum aws_service service;
                const char *action;
                struct aws_error error;
                int result;
                const char *text;
        } cases[] = {
                {AWS_SSM, "GetParameter", {"AccessDeniedException", "User: x is not authorized"},
                        -EACCES,
                        "AWS refused GetParameter with AccessDeniedException: User: x is not "
                        "authorized (allow ssm:GetParameter in the policy of this role)"},
                {AWS_EVENTBRIDGE, "PutEvents", {"AccessDeniedException", ""}, -EACCES,
                        "AWS refused PutEvents with AccessDeniedException (allow events:PutEvents "
                        "in the policy of this role)"},
                {AWS_SSM, "GetParameter", {"ExpiredTokenException", "expired"}, -EREMOTEIO,
                        "AWS refused GetParameter with ExpiredTokenException: expired (the "
                        "credentials are wrong or no longer valid, or this machine's clock is "
                        "off)"},
                {AWS_SQS, "SendMessage", {"QueueDoesNotExist", "no such queue"}, -EREMOTEIO,
                        "AWS refused SendMessage with QueueDoesNotExist: no such queue"},
        };
        static const char *const clock_codes[] = {"AuthFailure", "ExpiredToken",
                "UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch",
                "RequestExpired"};
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        aws_json_call(*state, cases[i].service, cases[i].action, "{}");

                assert_int_equal(aws_refused(call, &cases[i].error, &err), cases[i].result);
                assert_string_equal(err.text, cases[i].text);
        }
        for (size_t i = 0; i < ARRAY_SIZE(clock_codes); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        aws_query_call(*state, AWS_EC2, "RunInstances", "");
                struct aws_error error = {0};

                strcpy(error.code, clock_codes[i]);
                assert_int_equal(aws_refused(call, &error, &err), -EREMOTEIO);
                assert_contains(err.text, "clock");
        }
}

static void missing_permission_for_ec2_names_the_action(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                aws_query_call(*state, AWS_EC2, "RunInstances", "");
        const struct aws_error missing = {.code = "UnauthorizedOperation", .message = "Encoded"};
        const struct aws_error role = {.code = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"};
        struct err err;

        assert_int_equal(aws_refused(call, &missing, &err), -EACCES);
        assert_contains(err.text, "allow ec2:RunInstances");
        assert_int_equal(aws_refused(call, &role, &err), -EACCES);
        assert_contains(err.text, "spot.amazonaws.com");
}

/* AWS quotes the request whose signature it computed, session token included. */
static void refused_signatures_do_not_show_the_token(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                aws_json_call(*state, AWS_SSM, "GetParameter", "{}");
        struct aws_error error;
        struct err err;

        answer(call, 400,
                "{\"__type\":\"InvalidSignatureException\",\"message\":\"The request signature we "
                "calculated does not match.\\n\\nThe Canonical String for this request should have "
                "been\\n'POST\\n/\\n\\nx-amz-security-token:" FAKE_AWS_TOKEN "\\n'\"}");
        assert_int_equal(aws_outcome(call, &error, &err), AWS_REFUSED);
        assert_int_equal(aws_refused(call, &error, &err), -EREMOTEIO);
        assert_contains(err.text, "does not match.");
        assert_lacks(err.text, FAKE_AWS_TOKEN);

        answer(call, 403,
                "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>The request "
                "signature we calculated does not match.\n\nThe Canonical String\n"
                "x-amz-security-token:" FAKE_AWS_TOKEN "</Message></Error></ErrorResponse>");
        assert_int_equal(aws_outcome(call, &error, &err), AWS_REFUSED);
        assert_int_equal(aws_refused(call, &error, &err), -EREMOTEIO);
        assert_lacks(err.text, FAKE_AWS_TOKEN);
}

/* Each row is what becomes of a machine: it waits, for a limit or soon; or it is given up. */
static void what_may_pass_is_told_from_what_stays(void **state)
{
        static const struct {
                int status;
                const char *code;
                bool passing;
                bool throttled;
        } rows[] = {
                {400, "ThrottlingException", true, true},
                {503, "RequestLimitExceeded", true, true},
                {400, "TooManyUpdates", true, true},
                {503, "SlowDown", true, true}, /* S3 */
                {500, "InternalError", true, false},
                {409, "ConditionalRequestConflict", true, false},
                {400, "ParameterLimitExceeded", true, false},
                {400, "ExpiredToken", true, false},
                {400, "ExpiredTokenException", true, false},
                {403, "RequestTimeTooSkewed", true, false},
                {400, "RequestExpired", true, false},
                {403, "AccessDenied", false, false},
                {404, "NoSuchBucket", false, false},
                {301, "PermanentRedirect", false, false},
                {412, "PreconditionFailed", false, false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        aws_json_call(*state, AWS_SSM, "PutParameter", "{}");
                _cleanup_free_ char *text =
                        mem_format("<Error><Code>%s</Code></Error>", rows[i].code);

                answer(call, rows[i].status, text);
                assert_int_equal(aws_call_is_passing(call), rows[i].passing);
                assert_int_equal(aws_call_is_throttled(call), rows[i].throttled);
        }
}

#define TEST(function) \
        cmocka_unit_test_setup_teardown(function, fake_aws_set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(errors_are_decoded_in_all_their_forms),
                TEST(answers_that_are_not_from_aws_are_told_apart),
                TEST(every_2xx_is_a_success_and_nothing_else),
                TEST(codes_and_messages_are_cut_between_characters),
                TEST(refusals_say_what_to_do),
                TEST(missing_permission_for_ec2_names_the_action),
                TEST(refused_signatures_do_not_show_the_token),
                TEST(what_may_pass_is_told_from_what_stays),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
