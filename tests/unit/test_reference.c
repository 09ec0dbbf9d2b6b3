/* SPDX-License-Identifier: MIT */

/*
 * Settings that refer to a file, a variable or an SSM parameter: the value is found, and its
 * absence is told apart from a failure to read it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/aws.h"
#include "config/reference.h"
#include "fake_aws.h"
#include "script.h"
#include "unit.h"

struct fixture {
        struct script *script;
        struct http *http;
        struct aws *aws;
        struct buf value;
        struct err err;
        char path[64];
};

static int set_up(void **state)
{
        struct fixture *fixture = mem_alloc(sizeof(*fixture));

        fixture->script = script_new();
        fixture->http = script_http(fixture->script);
        fixture->aws = fake_aws_new();
        fixture->value = (struct buf)BUF_INIT(16);
        snprintf(fixture->path, sizeof(fixture->path), "/tmp/test-reference-%d", (int)getpid());
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        unlink(fixture->path);
        http_free(fixture->http);
        aws_release(fixture->aws);
        free(fixture->aws);
        buf_release(&fixture->value);
        free(fixture);
        return 0;
}

static int resolve(struct fixture *fixture, const char *reference)
{
        return reference_resolve(
                reference, fixture->http, 0, fixture->aws, &fixture->value, &fixture->err);
}

static int resolve_file(struct fixture *fixture, const char *bytes, size_t size)
{
        _cleanup_free_ char *reference = mem_format("file:%s", fixture->path);
        FILE *file = fopen(fixture->path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        fclose(file);
        return resolve(fixture, reference);
}

static void anything_else_is_the_value(void **state)
{
        struct fixture *fixture = *state;

        buf_add_string(&fixture->value, "before");
        assert_int_equal(resolve(fixture, "secret\nother\n"), 0);
        assert_string_equal(buf_string(&fixture->value), "secret\nother\n");
        assert_int_equal(resolve(fixture, ""), 0);
        assert_string_equal(buf_string(&fixture->value), "");
        assert_int_equal(resolve(fixture, "seventeen letters"), -EFBIG);
}

static void files_are_read(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(resolve_file(fixture, "a\nb\n", 4), 0);
        assert_string_equal(buf_string(&fixture->value), "a\nb");
        assert_int_equal(resolve_file(fixture, "a\r\n", 3), 0);
        assert_string_equal(buf_string(&fixture->value), "a");
        assert_int_equal(resolve_file(fixture, "", 0), 0);
        assert_int_equal(fixture->value.size, 0);
        assert_int_equal(resolve_file(fixture, "seventeen letters", 17), -EFBIG);
        assert_int_equal(resolve(fixture, "file:/dev/zero"), -EFBIG);
        assert_int_equal(resolve(fixture, "file:/none/such"), REFERENCE_ABSENT);
        assert_contains(fixture->err.text, "/none/such");
        assert_true(resolve(fixture, "file:/") < 0);
}

static void variables_may_refer_to_variables(void **state)
{
        struct fixture *fixture = *state;

        setenv("TEST_A", "env:TEST_B", 1);
        setenv("TEST_B", "value", 1);
        assert_int_equal(resolve(fixture, "env:TEST_A"), 0);
        assert_string_equal(buf_string(&fixture->value), "value");
        setenv("TEST_B", "", 1);
        assert_int_equal(resolve(fixture, "env:TEST_A"), REFERENCE_ABSENT);
        assert_contains(fixture->err.text, "TEST_B is not set");
        setenv("TEST_B", "env:TEST_A", 1);
        assert_int_equal(resolve(fixture, "env:TEST_A"), -ELOOP);
}

static void parameters_are_decrypted(void **state)
{
        struct fixture *fixture = *state;

        script_expect(fixture->script, "POST", "https://ssm.",
                "{\"Names\":[\"/p/a\"],\"WithDecryption\":true}", 200,
                "{\"Parameters\":[{\"Name\":\"/p/a\",\"Value\":\"value\\n\"}]}");
        assert_int_equal(resolve(fixture, "ssm:/p/a"), 0);
        assert_string_equal(buf_string(&fixture->value), "value");
        script_expect(fixture->script, "POST", "https://ssm.", "/p/b", 200,
                "{\"Parameters\":[],\"InvalidParameters\":[\"/p/b\"]}");
        assert_int_equal(resolve(fixture, "ssm:/p/b"), REFERENCE_ABSENT);
        assert_string_equal(fixture->err.text, "SSM parameter /p/b does not exist");
        script_expect(fixture->script, "POST", "https://ssm.", "/p/c", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(resolve(fixture, "ssm:/p/c"), -EACCES);
        assert_contains(fixture->err.text, "SSM parameter /p/c");
        script_expect(fixture->script, "POST", "https://ssm.", "/p/e", 200,
                "{\"Parameters\":[{\"Name\":\"/p/e\",\"Value\":\"seventeen letters\"}]}");
        assert_int_equal(resolve(fixture, "ssm:/p/e"), -EFBIG);
        assert_string_equal(fixture->err.text, "SSM parameter /p/e is larger than 16 bytes");
        script_expect(fixture->script, "POST", "https://ssm.", "/p/d", 200, "garbage");
        assert_int_equal(resolve(fixture, "ssm:/p/d"), -EBADMSG);
        assert_int_equal(reference_resolve("ssm:/p/a", fixture->http, 0, NULL, &fixture->value,
                                 &fixture->err),
                -EINVAL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(anything_else_is_the_value),
                TEST(files_are_read),
                TEST(variables_may_refer_to_variables),
                TEST(parameters_are_decrypted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
