/* SPDX-License-Identifier: MIT */

/*
 * SSM parameters: stored encrypted and tagged, never replaced, and no value ever shows in an error.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "aws/ssm.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "unit.h"

#define NAME "/scale-agent/runners/i-0123456789abcdef0"
#define SECRET "ZW5jb2RlZF9qaXRfY29uZmln"

/* -- reading -- */

static void a_parameter_is_read_decrypted(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = ssm_get_parameter(*state, NAME);
        _cleanup_buf_ struct buf value = BUF_INIT(100);
        struct err err;

        assert_contains(buf_string(&call->headers), "X-Amz-Target: AmazonSSM.GetParameter\n");
        assert_string_equal(
                buf_string(&call->body), "{\"Name\":\"" NAME "\",\"WithDecryption\":true}");

        buf_add_string(&value, "before");
        answer(call, 200,
                "{\"Parameter\":{\"ARN\":\"arn:aws:ssm:eu-central-1:1:parameter/x\",\"Name\":\"x\","
                "\"Type\":\"SecureString\",\"Value\":\"{\\\"a\\\":\\\"\\u00e4\\\"}\","
                "\"Version\":1}}");
        assert_int_equal(ssm_get_parameter_answer(call, &value, &err), 0);
        assert_string_equal(buf_string(&value), "{\"a\":\"\xc3\xa4\"}");
}

static void a_missing_parameter_is_told_apart_from_a_forbidden_one(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = ssm_get_parameter(*state, NAME);
        _cleanup_buf_ struct buf value = BUF_INIT(100);
        struct err err = {0};

        buf_add_string(&value, "before");
        answer(call, 400, "{\"__type\":\"ParameterNotFound\"}");
        assert_int_equal(ssm_get_parameter_answer(call, &value, &err), SSM_NOT_FOUND);
        assert_string_equal(err.text, "");
        assert_int_equal(value.size, 0);
        answer(call, 400, "{\"__type\":\"AccessDeniedException\",\"Message\":\"User: x\"}");
        assert_int_equal(ssm_get_parameter_answer(call, &value, &err), -EACCES);
        assert_contains(err.text, "ssm:GetParameter");
        answer_nothing(call, -ETIMEDOUT);
        assert_int_equal(ssm_get_parameter_answer(call, &value, &err), -ETIMEDOUT);
}

static void garbage_is_refused_and_not_shown(void **state)
{
        static const char *const bodies[] = {"", SECRET, "\"" SECRET "\"", "[\"" SECRET "\"]",
                "{\"Parameter\":\"" SECRET "\"}", "{\"Parameter\":{\"Value\":[\"" SECRET "\"]}}",
                "{\"Parameter\":{\"Value\":\"" SECRET "\"}", "{\"Value\":\"" SECRET "\"}",
                "{\"Parameter\":{\"Value\":\"" SECRET "\xff\"}}",
                "{\"Parameter\":{\"Value\":null}}"};
        _cleanup_(http_call_freep) struct http_call *call = ssm_get_parameter(*state, NAME);
        _cleanup_buf_ struct buf value = BUF_INIT(100);
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                answer(call, 200, bodies[i]);
                assert_int_equal(ssm_get_parameter_answer(call, &value, &err), -EBADMSG);
                assert_contains(err.text, "GetParameter: ");
                assert_lacks(err.text, SECRET);
                assert_int_equal(value.size, 0);
        }
}

static void a_value_beyond_the_limit_is_refused_as_a_whole(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = ssm_get_parameter(*state, NAME);
        _cleanup_buf_ struct buf value = BUF_INIT(10);
        struct err err;

        answer(call, 200, "{\"Parameter\":{\"Value\":\"" SECRET "\"}}");
        assert_int_equal(ssm_get_parameter_answer(call, &value, &err), -EFBIG);
        assert_int_equal(value.size, 0);
        assert_false(value.overflow);
        assert_contains(err.text, "10 bytes");
}

static void garbage_about_several_is_not_shown_either(void **state)
{
        static const struct {
                int status;
                const char *body;
        } rows[] = {
                {200, ""},
                {200, SECRET},
                {200, "[\"" SECRET "\"]"},
                {200, "{\"Parameters\":\"" SECRET "\"}"},
                {200, "{\"Parameters\":[{\"Name\":\"a\",\"Value\":[\"" SECRET "\"]}]}"},
                {200, "{\"Parameters\":[{\"Value\":\"" SECRET "\"}]}"},
                {500, "{\"Parameters\":[{\"Name\":\"a\",\"Value\":\"" SECRET "\"}]}"},
                {502, "bad gateway: " SECRET},
        };
        static const char *const names[] = {"a", "b"};
        _cleanup_(http_call_freep) struct http_call *call = ssm_get_parameters(*state, names, 2);
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                cJSON *untouched = NULL;

                answer(call, rows[i].status, rows[i].body);
                assert_true(ssm_get_parameters_answer(call, &untouched, &err) < 0);
                assert_contains(err.text, "GetParameters");
                assert_lacks(err.text, SECRET);
                assert_null(untouched);
        }
}

/* -- storing -- */

static struct http_call *put(struct aws *aws, const char *value)
{
        return ssm_put_parameter(aws, NAME, value, "scale-agent:instance",
                "arn:aws:ec2:eu-central-1:123456789012:instance/i-1");
}

static void a_parameter_is_stored_encrypted_and_tagged(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = put(*state, "{\"jit\":\"x\"}");
        struct err err;

        assert_contains(buf_string(&call->headers), "X-Amz-Target: AmazonSSM.PutParameter\n");
        assert_string_equal(buf_string(&call->body),
                "{\"Name\":\"" NAME "\",\"Type\":\"SecureString\",\"Tier\":\"Standard\","
                "\"Overwrite\":false,\"Value\":\"{\\\"jit\\\":\\\"x\\\"}\",\"Tags\":[{"
                "\"Key\":\"scale-agent:instance\","
                "\"Value\":\"arn:aws:ec2:eu-central-1:123456789012:instance/i-1\"}]}");
        answer(call, 200, "{\"Tier\":\"Standard\",\"Version\":1}");
        assert_int_equal(ssm_put_parameter_answer(call, &err), 0);
        answer(call, 400, "{\"__type\":\"ParameterAlreadyExists\",\"message\":\"exists\"}");
        assert_int_equal(ssm_put_parameter_answer(call, &err), SSM_EXISTS);
        answer(call, 200, "<html>signed in to the wireless network</html>");
        assert_int_equal(ssm_put_parameter_answer(call, &err), -EBADMSG);
}

static void a_key_of_our_own_encrypts_what_is_stored(void **state)
{
        struct aws *aws = *state;
        _cleanup_(http_call_freep) struct http_call *stored = NULL;
        _cleanup_(http_call_freep) struct http_call *replaced = NULL;

        aws->parameter_key = mem_string("arn:aws:kms:eu-central-1:123456789012:key/1");
        stored = put(aws, "x");
        replaced = ssm_replace_parameter(aws, NAME, "x");
        free(aws->parameter_key);
        aws->parameter_key = NULL;
        assert_contains(buf_string(&stored->body),
                "\"KeyId\":\"arn:aws:kms:eu-central-1:123456789012:key/1\"");
        assert_contains(buf_string(&replaced->body), "\"KeyId\":\"arn:");
}

static void the_tier_follows_from_the_size(void **state)
{
        static const struct {
                size_t size;
                const char *tier;
        } cases[] = {
                {1, "\"Tier\":\"Standard\""},
                {4096, "\"Tier\":\"Standard\""},
                {4097, "\"Tier\":\"Advanced\""},
                {8192, "\"Tier\":\"Advanced\""},
        };
        char value[8193];
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(http_call_freep) struct http_call *call = NULL;

                memset(value, 'x', sizeof(value));
                value[cases[i].size] = '\0';
                call = put(*state, value);
                assert_contains(buf_string(&call->body), cases[i].tier);
                assert_contains(buf_string(&call->body), value);
                answer(call, 200, "{\"Version\":1}");
                assert_int_equal(ssm_put_parameter_answer(call, &err), 0);
        }
}

static void an_oversized_value_is_not_sent(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        char value[8194];
        struct err err;

        memset(value, 'x', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        call = put(*state, value);
        assert_int_equal(call->body.size, 0);
        answer(call, 400, "{\"__type\":\"SerializationException\"}");
        assert_int_equal(ssm_put_parameter_answer(call, &err), -EFBIG);
        assert_string_equal(err.text,
                "PutParameter: the value is larger than 8192 bytes, the most that SSM stores");
}

/* SSM quotes the value that it refuses, and so may a proxy in between. */
static void refusals_do_not_show_the_value(void **state)
{
        static const struct {
                int status;
                const char *body;
                const char *shown;
        } cases[] = {
                {400,
                        "{\"__type\":\"ValidationException\",\"message\":\"1 validation error: "
                        "Value '" SECRET "' at 'value' failed to satisfy constraint\"}",
                        "ValidationException"},
                {400,
                        "{\"__type\":\"ParameterPatternMismatchException\",\"message\":\"" SECRET
                        "\"}",
                        "ParameterPatternMismatchException"},
                {400, "{\"message\":\"" SECRET "\"}", "HTTP status 400"},
                {502, "bad request: " SECRET, "HTTP status 502"},
                {200, SECRET, "not JSON"},
                {400, "{\"__type\":\"AccessDeniedException\",\"Message\":\"User: arn:x\"}",
                        "User: arn:x (allow ssm:PutParameter in the policy of this role)"},
                {400, "{\"__type\":\"ThrottlingException\",\"Message\":\"Rate exceeded\"}",
                        "Rate exceeded"},
        };
        _cleanup_(http_call_freep) struct http_call *call = put(*state, SECRET);
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                answer(call, cases[i].status, cases[i].body);
                assert_true(ssm_put_parameter_answer(call, &err) < 0);
                assert_lacks(err.text, SECRET);
                assert_contains(err.text, "PutParameter");
                assert_contains(err.text, cases[i].shown);
        }
        answer_nothing(call, -ECONNRESET);
        assert_int_equal(ssm_put_parameter_answer(call, &err), -ECONNRESET);
}

/* -- deleting -- */

static void deleting_what_is_gone_is_done(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = ssm_delete_parameter(*state, NAME);
        struct err err;

        assert_contains(buf_string(&call->headers), "X-Amz-Target: AmazonSSM.DeleteParameter\n");
        assert_string_equal(buf_string(&call->body), "{\"Name\":\"" NAME "\"}");
        answer(call, 200, "{}");
        assert_int_equal(ssm_delete_parameter_answer(call, &err), 0);
        answer(call, 400, "{\"__type\":\"ParameterNotFound\"}");
        assert_int_equal(ssm_delete_parameter_answer(call, &err), 0);
        answer(call, 400, "{\"__type\":\"ThrottlingException\",\"Message\":\"Rate exceeded\"}");
        assert_int_equal(ssm_delete_parameter_answer(call, &err), -EREMOTEIO);
        answer(call, 400, "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(ssm_delete_parameter_answer(call, &err), -EACCES);
}

static void several_are_deleted_at_once(void **state)
{
        static const char *const names[] = {"/a/1", "/a/2", "/a/3"};
        _cleanup_(http_call_freep) struct http_call *call =
                ssm_delete_parameters(*state, names, ARRAY_SIZE(names));
        size_t deleted = 77;
        struct err err;

        assert_contains(buf_string(&call->headers), "X-Amz-Target: AmazonSSM.DeleteParameters\n");
        assert_string_equal(buf_string(&call->body), "{\"Names\":[\"/a/1\",\"/a/2\",\"/a/3\"]}");
        answer(call, 200,
                "{\"DeletedParameters\":[\"/a/1\",\"/a/3\"],\"InvalidParameters\":[\"/a/2\"]}");
        assert_int_equal(ssm_delete_parameters_answer(call, &deleted, &err), 0);
        assert_int_equal(deleted, 2);
        assert_int_equal(ssm_delete_parameters_answer(call, NULL, &err), 0);
        answer(call, 200, "{\"InvalidParameters\":[\"/a/1\"]}");
        assert_int_equal(ssm_delete_parameters_answer(call, &deleted, &err), 0);
        assert_int_equal(deleted, 0);
        deleted = 77;
        answer(call, 200, "nothing");
        assert_int_equal(ssm_delete_parameters_answer(call, &deleted, &err), -EBADMSG);
        answer(call, 500, "{\"__type\":\"InternalServerError\"}");
        assert_int_equal(ssm_delete_parameters_answer(call, &deleted, &err), -EREMOTEIO);
        assert_int_equal(deleted, 77);
}

#define TEST(function) \
        cmocka_unit_test_setup_teardown(function, fake_aws_set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_parameter_is_read_decrypted),
                TEST(a_missing_parameter_is_told_apart_from_a_forbidden_one),
                TEST(garbage_is_refused_and_not_shown),
                TEST(garbage_about_several_is_not_shown_either),
                TEST(a_value_beyond_the_limit_is_refused_as_a_whole),
                TEST(a_parameter_is_stored_encrypted_and_tagged),
                TEST(a_key_of_our_own_encrypts_what_is_stored),
                TEST(the_tier_follows_from_the_size),
                TEST(an_oversized_value_is_not_sent),
                TEST(refusals_do_not_show_the_value),
                TEST(deleting_what_is_gone_is_done),
                TEST(several_are_deleted_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
