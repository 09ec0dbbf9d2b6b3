/* SPDX-License-Identifier: MIT */

/*
 * Instance metadata: the machine's identity, its credentials and the spot notice are read, while a
 * service that is missing, turned off or somebody else's is recognized.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "aws/imds.h"
#include "base/mem.h"
#include "script.h"
#include "unit.h"

#define ADDRESS "http://169.254.169.254"
#define TOKEN "AQAEANRz0NvPDRw=="
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define SESSION "IQoJb3JpZ2luX2VjE-session"

static int set_up(void **state)
{
        (void)state;
        unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        return 0;
}

/* -- calls -- */

static void the_token_comes_first(void **state)
{
        _cleanup_(http_call_freep) struct http_call *token = imds_token();
        _cleanup_(http_call_freep) struct http_call *get = imds_get(TOKEN, IMDS_PATH_SPOT_ACTION);

        (void)state;
        assert_string_equal(token->method, "PUT");
        assert_string_equal(buf_string(&token->url), ADDRESS "/latest/api/token");
        assert_string_equal(
                buf_string(&token->headers), "X-aws-ec2-metadata-token-ttl-seconds: 21600\n");
        assert_null(token->sign_scope);
        assert_true(token->without_proxy && get->without_proxy);
        assert_true(token->connect_timeout_ms <= 1000);
        assert_string_equal(get->method, "GET");
        assert_string_equal(
                buf_string(&get->url), ADDRESS "/latest/meta-data/spot/instance-action");
        assert_string_equal(buf_string(&get->headers), "X-aws-ec2-metadata-token: " TOKEN "\n");
}

static void another_address_may_be_set(void **state)
{
        static const struct {
                const char *setting;
                const char *url;
        } cases[] = {
                {"http://127.0.0.1:1338", "http://127.0.0.1:1338/latest/api/token"},
                {"http://[fd00:ec2::254]/", "http://[fd00:ec2::254]/latest/api/token"},
                {"", ADDRESS "/latest/api/token"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(http_call_freep) struct http_call *call = NULL;

                setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", cases[i].setting, 1);
                call = imds_token();
                assert_string_equal(buf_string(&call->url), cases[i].url);
        }
}

static void a_busy_service_is_asked_again(void **state)
{
        struct script *script = script_new();
        struct http *http = script_http(script);
        _cleanup_(http_call_freep) struct http_call *token = imds_token();
        _cleanup_(http_call_freep) struct http_call *spot = imds_get(TOKEN, IMDS_PATH_SPOT_ACTION);

        (void)state;
        script_expect_failure(script, "PUT", ADDRESS, -ETIMEDOUT);
        script_expect(script, "PUT", ADDRESS, NULL, 503, "");
        script_expect(script, "PUT", ADDRESS, NULL, 200, TOKEN);
        assert_int_equal(http_perform(http, token)->result, 0);
        assert_int_equal(token->status, 200);
        script_expect(script, "GET", ADDRESS, NULL, 500, "");
        script_expect(script, "GET", ADDRESS, NULL, 404, "");
        assert_int_equal(http_perform(http, spot)->result, 0);
        assert_int_equal(spot->status, 404);
        http_free(http);
}

/* -- token and texts -- */

static void a_machine_outside_ec2_is_told_so(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = imds_token();
        char *token = NULL;
        struct err err;

        (void)state;
        answer_nothing(call, -ETIMEDOUT);
        assert_int_equal(imds_token_answer(call, &token, &err), -ETIMEDOUT);
        assert_contains(err.text, "is this an EC2 instance?");
        answer(call, 403, "");
        assert_int_equal(imds_token_answer(call, &token, &err), -EACCES);
        assert_contains(err.text, "turned off");
        answer(call, 404, "<html>some other web server</html>");
        assert_int_equal(imds_token_answer(call, &token, &err), -EPROTO);
        assert_null(token);
}

/* The token goes into the headers of later calls. */
static void malformed_tokens_are_refused(void **state)
{
        static const char *const texts[] = {"", "two words", "line\n", "\x01", "\xc3\xa4", "<a>\r"};
        _cleanup_(http_call_freep) struct http_call *call = imds_token();
        char *token = NULL;
        char long_text[1026];
        struct err err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                answer(call, 200, texts[i]);
                assert_int_equal(imds_token_answer(call, &token, &err), -EBADMSG);
        }
        memset(long_text, 'x', sizeof(long_text) - 1);
        long_text[sizeof(long_text) - 1] = '\0';
        answer(call, 200, long_text);
        assert_int_equal(imds_token_answer(call, &token, &err), -EBADMSG);
        assert_null(token);
        answer(call, 200, TOKEN);
        assert_int_equal(imds_token_answer(call, &token, &err), 0);
        assert_string_equal(token, TOKEN);
        mem_free_secret(token);
}

static void texts_are_found_or_not(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = imds_get(TOKEN, IMDS_PATH_ROLES);
        _cleanup_free_ char *text = NULL;
        struct err err;

        (void)state;
        answer(call, 404, "<html>404 - Not Found</html>");
        assert_int_equal(imds_text_answer(call, &text, &err), IMDS_NOT_FOUND);
        answer(call, 401, "");
        assert_int_equal(imds_text_answer(call, &text, &err), -EKEYEXPIRED);
        answer(call, 500, "");
        assert_int_equal(imds_text_answer(call, &text, &err), -EPROTO);
        answer(call, 200, "a");
        buf_add(&call->answer, "\0b", 2);
        assert_int_equal(imds_text_answer(call, &text, &err), -EBADMSG);
        answer_nothing(call, -ECONNREFUSED);
        assert_int_equal(imds_text_answer(call, &text, &err), -ECONNREFUSED);
        assert_null(text);
        answer(call, 200, "scale-agent-runner");
        assert_int_equal(imds_text_answer(call, &text, &err), 0);
        assert_string_equal(text, "scale-agent-runner");
}

/* -- identity -- */

#define IDENTITY(id, zone)                                                           \
        "{\n  \"accountId\" : \"123456789012\",\n  \"architecture\" : \"x86_64\",\n" \
        "  \"availabilityZone\" : \"" zone "\",\n  \"billingProducts\" : null,\n"    \
        "  \"instanceId\" : \"" id "\",\n  \"instanceType\" : \"m7i-flex.large\",\n" \
        "  \"pendingTime\" : \"2026-11-23T18:00:00Z\",\n  \"region\" : \"eu-central-1\"\n}"

static void one_document_says_who_the_machine_is(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = imds_get(TOKEN, IMDS_PATH_IDENTITY);
        struct imds_identity identity;
        struct err err;

        (void)state;
        assert_string_equal(
                buf_string(&call->url), ADDRESS "/latest/dynamic/instance-identity/document");
        answer(call, 200, IDENTITY("i-0123456789abcdef0", "eu-central-1a"));
        assert_int_equal(imds_identity_answer(call, &identity, &err), 0);
        assert_string_equal(identity.instance_id, "i-0123456789abcdef0");
        assert_string_equal(identity.instance_type, "m7i-flex.large");
        assert_string_equal(identity.zone, "eu-central-1a");
        assert_string_equal(identity.region, "eu-central-1");
        assert_string_equal(identity.account, "123456789012");
}

/* Its fields become parts of parameter names, host names and the runner's name. */
static void an_incomplete_or_unsafe_identity_is_refused(void **state)
{
        static const char *const bodies[] = {
                "",
                "{}",
                "[]",
                "\"i-1\"",
                IDENTITY("i-1/../../config", "eu-central-1a"),
                IDENTITY("", "eu-central-1a"),
                IDENTITY("i-1", "eu-central-1a"),
                IDENTITY("i-0123456789abcdef0", "eu-central-1a\\n"),
                IDENTITY("i-0123456789abcdef0123456789abcdef", "eu-central-1a"),
                "{\"instanceId\":7}",
                "<html>no JSON</html>",
        };
        _cleanup_(http_call_freep) struct http_call *call = imds_get(TOKEN, IMDS_PATH_IDENTITY);
        struct imds_identity identity = {.region = "untouched"};
        struct err err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                answer(call, 200, bodies[i]);
                assert_int_equal(imds_identity_answer(call, &identity, &err), -EBADMSG);
                assert_contains(err.text, "the instance's identity document");
        }
        answer(call, 404, "");
        assert_int_equal(imds_identity_answer(call, &identity, &err), -ENOENT);
        assert_string_equal(identity.region, "untouched");
}

/* -- credentials -- */

#define CREDENTIALS(code, expiration)                                                    \
        "{\n  \"Code\" : \"" code "\",\n  \"LastUpdated\" : \"2026-11-23T18:00:00Z\",\n" \
        "  \"Type\" : \"AWS-HMAC\",\n  \"AccessKeyId\" : \"ASIAIOSFODNN7EXAMPLE\",\n"    \
        "  \"SecretAccessKey\" : \"" SECRET "\",\n  \"Token\" : \"" SESSION "\",\n"      \
        "  \"Expiration\" : \"" expiration "\"\n}"

static void credentials_are_read_with_their_end(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                imds_get(TOKEN, IMDS_PATH_ROLES "scale-agent-runner");
        struct aws_credentials credentials = {0};
        struct err err;

        (void)state;
        assert_string_equal(buf_string(&call->url),
                ADDRESS "/latest/meta-data/iam/security-credentials/scale-agent-runner");
        answer(call, 200, CREDENTIALS("Success", "2026-11-24T00:30:00Z"));
        assert_int_equal(imds_credentials_answer(call, &credentials, &err), 0);
        assert_string_equal(credentials.access_key, "ASIAIOSFODNN7EXAMPLE");
        assert_string_equal(credentials.secret_key, SECRET);
        assert_string_equal(credentials.session_token, SESSION);
        assert_int_equal(credentials.expires_ms, INT64_C(1795480200000));
        aws_credentials_release(&credentials);
}

static void unusable_credentials_are_refused_and_not_shown(void **state)
{
        static const struct {
                int status;
                const char *body;
                int result;
                const char *text;
        } cases[] = {
                {404, "", -EACCES, "instance profile"},
                {200, CREDENTIALS("AssumeRoleUnauthorizedAccess", "2026-11-24T00:30:00Z"), -EACCES,
                        "AssumeRoleUnauthorizedAccess"},
                {200, CREDENTIALS("Success", "soon"), -EBADMSG, "Expiration"},
                {200, "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"" SECRET "\"}", -EBADMSG,
                        "Token"},
                {200, "{\"SecretAccessKey\":\"" SECRET "\",\"Token\":\"" SESSION "\"}", -EBADMSG,
                        "AccessKeyId"},
                {200, "{\"SecretAccessKey\":\"" SECRET "\",\"Token\":\"" SESSION, -EBADMSG,
                        "not JSON"},
                {401, "", -EKEYEXPIRED, "token"},
        };
        _cleanup_(http_call_freep) struct http_call *call = imds_get(TOKEN, IMDS_PATH_ROLES "r");
        struct aws_credentials credentials = {0};
        struct err err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                answer(call, cases[i].status, cases[i].body);
                assert_int_equal(
                        imds_credentials_answer(call, &credentials, &err), cases[i].result);
                assert_contains(err.text, cases[i].text);
                assert_lacks(err.text, SECRET);
                assert_lacks(err.text, SESSION);
                assert_null(credentials.access_key);
        }
}

/* -- spot notice -- */

static void the_spot_notice_says_what_and_when(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = imds_get(TOKEN, IMDS_PATH_SPOT_ACTION);
        struct imds_spot_action action;
        struct err err;

        (void)state;
        answer(call, 404, "<?xml version=\"1.0\"?><html><title>404 - Not Found</title></html>");
        assert_int_equal(imds_spot_answer(call, &action, &err), IMDS_NOT_FOUND);
        answer(call, 200, "{\"action\": \"terminate\", \"time\": \"2026-11-23T18:02:00Z\"}");
        assert_int_equal(imds_spot_answer(call, &action, &err), 0);
        assert_string_equal(action.action, "terminate");
        assert_int_equal(action.time_ms, INT64_C(1795456920000));
}

static void a_broken_notice_is_an_error_and_no_notice(void **state)
{
        static const char *const bodies[] = {"", "{}", "null", "{\"action\":\"terminate\"}",
                "{\"action\":\"terminate\",\"time\":\"soon\"}",
                "{\"action\":\"terminate\",\"time\":7}",
                "{\"action\":\"a very long word indeed\",\"time\":\"2026-11-23T18:02:00Z\"}",
                "{\"time\":\"2026-11-23T18:02:00Z\"}"};
        _cleanup_(http_call_freep) struct http_call *call = imds_get(TOKEN, IMDS_PATH_SPOT_ACTION);
        struct imds_spot_action action = {.action = "untouched"};
        struct err err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                answer(call, 200, bodies[i]);
                assert_int_equal(imds_spot_answer(call, &action, &err), -EBADMSG);
                assert_contains(err.text, "the spot notice");
        }
        answer(call, 401, "");
        assert_int_equal(imds_spot_answer(call, &action, &err), -EKEYEXPIRED);
        assert_string_equal(action.action, "untouched");
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_token_comes_first),
                TEST(another_address_may_be_set),
                TEST(a_busy_service_is_asked_again),
                TEST(a_machine_outside_ec2_is_told_so),
                TEST(malformed_tokens_are_refused),
                TEST(texts_are_found_or_not),
                TEST(one_document_says_who_the_machine_is),
                TEST(an_incomplete_or_unsafe_identity_is_refused),
                TEST(credentials_are_read_with_their_end),
                TEST(unusable_credentials_are_refused_and_not_shown),
                TEST(the_spot_notice_says_what_and_when),
                TEST(a_broken_notice_is_an_error_and_no_notice),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
