/* SPDX-License-Identifier: MIT */

/*
 * What all AWS calls share: a call goes to the right endpoint with the right credentials, is
 * repeated only where that can help, and its failure tells people what to do without showing a
 * secret.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "aws/answer.h"
#include "aws/aws.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "script.h"
#include "unit.h"

#define KEY "ASIAEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TOKEN "IQoJb3JpZ2luX2VjE-session"

static void give_credentials(struct aws *aws, const char *token)
{
        struct aws_credentials credentials = {
                .access_key = mem_string(KEY),
                .secret_key = mem_string(SECRET),
                .session_token = mem_string(token),
        };

        aws_set_credentials(aws, &credentials);
        assert_null(credentials.secret_key);
}

static int set_up(void **state)
{
        int r = fake_aws_set_up(state);

        give_credentials(*state, TOKEN);
        return r;
}

/* -- settings -- */

static void region_comes_from_the_caller_or_the_environment(void **state)
{
        struct err err = {0};
        struct aws aws;

        (void)state;
        assert_int_equal(aws_init(&aws, NULL, &err), -EINVAL);
        assert_contains(err.text, "AWS_REGION");

        setenv("AWS_DEFAULT_REGION", "us-east-1", 1);
        assert_int_equal(aws_init(&aws, NULL, &err), 0);
        assert_string_equal(aws.region, "us-east-1");
        aws_release(&aws);

        setenv("AWS_REGION", "us-west-2", 1);
        assert_int_equal(aws_init(&aws, NULL, &err), 0);
        assert_string_equal(aws.region, "us-west-2");
        aws_release(&aws);

        assert_int_equal(aws_init(&aws, "eu-west-1", &err), 0);
        assert_string_equal(aws.region, "eu-west-1");
        aws_release(&aws);
}

/* A region becomes part of a host name: one from outside must not redirect calls. */
static void malformed_regions_are_refused(void **state)
{
        static const char *const regions[] = {"", "eu central", "x/../y", "evil.example.com#"};
        struct err err = {0};
        struct aws aws;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
                assert_int_equal(aws_init(&aws, regions[i], &err), -EINVAL);
}

static void credentials_come_from_the_environment(void **state)
{
        struct aws_credentials credentials = {0};
        struct err err = {0};

        (void)state;
        assert_int_equal(aws_credentials_from_environment(&credentials, &err), -ENOKEY);
        assert_contains(err.text, "AWS_ACCESS_KEY_ID is not set");
        setenv("AWS_ACCESS_KEY_ID", KEY, 1);
        setenv("AWS_SECRET_ACCESS_KEY", "", 1);
        assert_int_equal(aws_credentials_from_environment(&credentials, &err), -ENOKEY);
        assert_contains(err.text, "AWS_SECRET_ACCESS_KEY is not set");
        assert_null(credentials.access_key);

        setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
        setenv("AWS_SESSION_TOKEN", "", 1);
        assert_int_equal(aws_credentials_from_environment(&credentials, &err), 0);
        assert_string_equal(credentials.access_key, KEY);
        assert_string_equal(credentials.secret_key, SECRET);
        assert_null(credentials.session_token);
        aws_credentials_release(&credentials);

        setenv("AWS_SESSION_TOKEN", TOKEN, 1);
        assert_int_equal(aws_credentials_from_environment(&credentials, &err), 0);
        assert_string_equal(credentials.session_token, TOKEN);
        assert_int_equal(credentials.expires_ms, 0);
        aws_credentials_release(&credentials);
        assert_null(credentials.secret_key);
}

/* -- calls -- */

static void assert_url(const char *region, enum aws_service service, const char *url)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct aws aws;

        assert_int_equal(aws_init(&aws, region, NULL), 0);
        call = service == AWS_EC2 ? aws_query_call(&aws, service, "DescribeInstances", "")
                                  : aws_json_call(&aws, service, "Action", "{}");
        assert_string_equal(buf_string(&call->url), url);
        assert_string_equal(call->method, "POST");
        aws_release(&aws);
}

static void endpoints_follow_region_and_settings(void **state)
{
        (void)state;
        assert_url("eu-central-1", AWS_EC2, "https://ec2.eu-central-1.amazonaws.com/");
        assert_url("eu-central-1", AWS_SSM, "https://ssm.eu-central-1.amazonaws.com/");
        assert_url("us-east-1", AWS_SQS, "https://sqs.us-east-1.amazonaws.com/");
        assert_url("us-gov-west-1", AWS_EVENTBRIDGE, "https://events.us-gov-west-1.amazonaws.com/");
        assert_url("cn-north-1", AWS_SSM, "https://ssm.cn-north-1.amazonaws.com.cn/");

        setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566", 1);
        assert_url("cn-north-1", AWS_SSM, "http://127.0.0.1:4566/");
        setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1//", 1);
        setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:2/", 1);
        setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:3", 1);
        setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", "", 1);
        assert_url("eu-central-1", AWS_EC2, "http://127.0.0.1:1/");
        assert_url("eu-central-1", AWS_SSM, "http://127.0.0.1:2/");
        assert_url("eu-central-1", AWS_SQS, "http://127.0.0.1:3/");
        assert_url("eu-central-1", AWS_EVENTBRIDGE, "http://127.0.0.1:4566/");
}

static void json_calls_name_target_and_version(void **state)
{
        static const struct {
                enum aws_service service;
                const char *headers;
                const char *scope;
        } cases[] = {
                {AWS_SSM,
                        "X-Amz-Security-Token: " TOKEN "\n"
                        "X-Amz-Target: AmazonSSM.Act\n"
                        "Content-Type: application/x-amz-json-1.1\n",
                        "aws:amz:eu-central-1:ssm"},
                {AWS_SQS,
                        "X-Amz-Security-Token: " TOKEN "\n"
                        "X-Amz-Target: AmazonSQS.Act\n"
                        "Content-Type: application/x-amz-json-1.0\n",
                        "aws:amz:eu-central-1:sqs"},
                {AWS_EVENTBRIDGE,
                        "X-Amz-Security-Token: " TOKEN "\n"
                        "X-Amz-Target: AWSEvents.Act\n"
                        "Content-Type: application/x-amz-json-1.1\n",
                        "aws:amz:eu-central-1:events"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        aws_json_call(*state, cases[i].service, "Act", "{\"a\":1}");

                assert_string_equal(buf_string(&call->headers), cases[i].headers);
                assert_string_equal(buf_string(&call->body), "{\"a\":1}");
                assert_true(call->has_body);
                assert_string_equal(call->sign_scope, cases[i].scope);
                assert_string_equal(call->sign_key, KEY);
                assert_string_equal(call->sign_secret, SECRET);
                assert_string_equal(call->what, "Act");
        }
}

static void query_calls_begin_with_action_and_version(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;

        give_credentials(*state, NULL);
        call = aws_query_call(*state, AWS_EC2, "DescribeInstances", "&A=b");
        assert_string_equal(
                buf_string(&call->body), "Action=DescribeInstances&Version=2016-11-15&A=b");
        assert_string_equal(buf_string(&call->headers),
                "Content-Type: application/x-www-form-urlencoded; charset=utf-8\n");
        assert_string_equal(call->sign_scope, "aws:amz:eu-central-1:ec2");
}

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
                "been\\n'POST\\n/\\n\\nx-amz-security-token:" TOKEN "\\n'\"}");
        assert_int_equal(aws_outcome(call, &error, &err), AWS_REFUSED);
        assert_int_equal(aws_refused(call, &error, &err), -EREMOTEIO);
        assert_contains(err.text, "does not match.");
        assert_lacks(err.text, TOKEN);

        answer(call, 403,
                "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>The request "
                "signature we calculated does not match.\n\nThe Canonical String\n"
                "x-amz-security-token:" TOKEN "</Message></Error></ErrorResponse>");
        assert_int_equal(aws_outcome(call, &error, &err), AWS_REFUSED);
        assert_int_equal(aws_refused(call, &error, &err), -EREMOTEIO);
        assert_lacks(err.text, TOKEN);
}

/* -- retries -- */

static void assert_tries(struct aws *aws, int status, const char *answer, unsigned tries)
{
        _cleanup_(http_call_freep) struct http_call *call =
                aws_json_call(aws, AWS_SSM, "GetParameter", "{}");

        script_assert_tries(call, "https://ssm.", status, answer, tries);
}

static void transient_errors_are_tried_again(void **state)
{
        static const char *const passing[] = {"ThrottlingException", "x#RequestThrottled",
                "TooManyUpdates", "RequestTimeout", "com.amazonaws.sqs#KmsThrottled"};
        static const char *const lasting[] = {"AccessDeniedException", "ParameterNotFound",
                "ValidationException", "ThrottlingExceptionNot"};

        for (size_t i = 0; i < ARRAY_SIZE(passing); i++) {
                _cleanup_free_ char *text = mem_format("{\"__type\":\"%s\"}", passing[i]);

                assert_tries(*state, 400, text, 3);
        }
        for (size_t i = 0; i < ARRAY_SIZE(lasting); i++) {
                _cleanup_free_ char *text = mem_format("{\"__type\":\"%s\"}", lasting[i]);

                assert_tries(*state, 400, text, 1);
        }
        assert_tries(*state, 500, "{\"__type\":\"InternalServerError\"}", 3);
        assert_tries(*state, 503, "<html>busy</html>", 3);
        assert_tries(*state, 429, "", 3);
        assert_tries(*state, 404, "", 1);
        assert_tries(*state, 200, "{\"__type\":\"ThrottlingException\"}", 1);
}

static void a_lost_connection_is_tried_again(void **state)
{
        struct script *script = script_new();
        struct http *http = script_http(script);
        _cleanup_(http_call_freep) struct http_call *call =
                aws_json_call(*state, AWS_SSM, "GetParameter", "{}");

        script_expect_failure(script, "POST", "https://ssm.", -ECONNRESET);
        script_expect(script, "POST", "https://ssm.", NULL, 200, "{}");
        assert_int_equal(http_perform(http, call)->result, 0);
        assert_int_equal(call->tries, 2);
        http_free(http);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(region_comes_from_the_caller_or_the_environment),
                TEST(malformed_regions_are_refused),
                TEST(credentials_come_from_the_environment),
                TEST(endpoints_follow_region_and_settings),
                TEST(json_calls_name_target_and_version),
                TEST(query_calls_begin_with_action_and_version),
                TEST(errors_are_decoded_in_all_their_forms),
                TEST(answers_that_are_not_from_aws_are_told_apart),
                TEST(every_2xx_is_a_success_and_nothing_else),
                TEST(codes_and_messages_are_cut_between_characters),
                TEST(refusals_say_what_to_do),
                TEST(missing_permission_for_ec2_names_the_action),
                TEST(refused_signatures_do_not_show_the_token),
                TEST(transient_errors_are_tried_again),
                TEST(a_lost_connection_is_tried_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
