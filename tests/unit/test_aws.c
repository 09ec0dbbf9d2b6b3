/* SPDX-License-Identifier: MIT */

/*
 * What all AWS calls share: a call goes to the right endpoint with the right credentials, and is
 * repeated only where that can help.
 */

#include <errno.h>
#include <stdlib.h>

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

static void regions_have_their_partition(void **state)
{
        (void)state;
        assert_string_equal(aws_partition("eu-central-1"), "aws");
        assert_string_equal(aws_partition("cn-north-1"), "aws-cn");
        assert_string_equal(aws_partition("us-gov-west-1"), "aws-us-gov");
        assert_string_equal(aws_partition("eusc-de-east-1"), "aws-eusc");
        assert_string_equal(aws_partition("eu-south-1"), "aws");
}

static void endpoints_follow_region_and_settings(void **state)
{
        (void)state;
        assert_url("eu-central-1", AWS_EC2, "https://ec2.eu-central-1.amazonaws.com/");
        assert_url("eu-central-1", AWS_SSM, "https://ssm.eu-central-1.amazonaws.com/");
        assert_url("us-east-1", AWS_SQS, "https://sqs.us-east-1.amazonaws.com/");
        assert_url("us-gov-west-1", AWS_EVENTBRIDGE, "https://events.us-gov-west-1.amazonaws.com/");
        assert_url("cn-north-1", AWS_SSM, "https://ssm.cn-north-1.amazonaws.com.cn/");
        assert_url("eusc-de-east-1", AWS_SQS, "https://sqs.eusc-de-east-1.amazonaws.eu/");

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
                TEST(regions_have_their_partition),
                TEST(endpoints_follow_region_and_settings),
                TEST(json_calls_name_target_and_version),
                TEST(query_calls_begin_with_action_and_version),
                TEST(transient_errors_are_tried_again),
                TEST(a_lost_connection_is_tried_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
