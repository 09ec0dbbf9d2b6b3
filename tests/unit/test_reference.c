/* SPDX-License-Identifier: MIT */

/*
 * Settings that refer to a file, a variable or an SSM parameter: the value is found, and its
 * absence is told apart from a failure to read it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/aws.h"
#include "config/reference.h"
#include "fake_aws.h"
#include "script.h"
#include "unit.h"

struct place {
        struct script *script;
        struct http *http;
        struct aws *aws;
        struct buf value;
        struct err err;
        char path[64];
};

static int set_up(void **state)
{
        struct place *place = mem_alloc(sizeof(*place));

        place->script = script_new();
        place->http = script_http(place->script);
        place->aws = fake_aws_new();
        place->value = (struct buf)BUF_INIT(16);
        snprintf(place->path, sizeof(place->path), "/tmp/test-reference-%d", (int)getpid());
        *state = place;
        return 0;
}

static int tear_down(void **state)
{
        struct place *place = *state;

        unlink(place->path);
        http_free(place->http);
        aws_release(place->aws);
        free(place->aws);
        buf_release(&place->value);
        free(place);
        return 0;
}

static int resolve(struct place *place, const char *reference)
{
        return reference_resolve(reference, place->http, place->aws, &place->value, &place->err);
}

static int resolve_file(struct place *place, const char *bytes, size_t size)
{
        _cleanup_free_ char *reference = mem_format("file:%s", place->path);
        FILE *file = fopen(place->path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        fclose(file);
        return resolve(place, reference);
}

static void anything_else_is_the_value(void **state)
{
        struct place *place = *state;

        buf_add_string(&place->value, "before");
        assert_int_equal(resolve(place, "secret\nother\n"), 0);
        assert_string_equal(buf_string(&place->value), "secret\nother\n");
        assert_int_equal(resolve(place, ""), 0);
        assert_string_equal(buf_string(&place->value), "");
        assert_int_equal(resolve(place, "seventeen letters"), -EFBIG);
}

static void files_are_read(void **state)
{
        struct place *place = *state;

        assert_int_equal(resolve_file(place, "a\nb\n", 4), 0);
        assert_string_equal(buf_string(&place->value), "a\nb");
        assert_int_equal(resolve_file(place, "a\r\n", 3), 0);
        assert_string_equal(buf_string(&place->value), "a");
        assert_int_equal(resolve_file(place, "", 0), 0);
        assert_int_equal(place->value.size, 0);
        assert_int_equal(resolve_file(place, "seventeen letters", 17), -EFBIG);
        assert_int_equal(resolve(place, "file:/dev/zero"), -EFBIG);
        assert_int_equal(resolve(place, "file:/none/such"), REFERENCE_ABSENT);
        assert_contains(place->err.text, "/none/such");
        assert_true(resolve(place, "file:/") < 0);
}

static void variables_may_refer_to_variables(void **state)
{
        struct place *place = *state;

        setenv("TEST_A", "env:TEST_B", 1);
        setenv("TEST_B", "value", 1);
        assert_int_equal(resolve(place, "env:TEST_A"), 0);
        assert_string_equal(buf_string(&place->value), "value");
        setenv("TEST_B", "", 1);
        assert_int_equal(resolve(place, "env:TEST_A"), REFERENCE_ABSENT);
        assert_contains(place->err.text, "TEST_B is not set");
        setenv("TEST_B", "env:TEST_A", 1);
        assert_int_equal(resolve(place, "env:TEST_A"), -ELOOP);
}

static void parameters_are_decrypted(void **state)
{
        struct place *place = *state;

        script_expect(place->script, "POST", "https://ssm.",
                "{\"Name\":\"/p/a\",\"WithDecryption\":true}", 200,
                "{\"Parameter\":{\"Value\":\"value\\n\"}}");
        assert_int_equal(resolve(place, "ssm:/p/a"), 0);
        assert_string_equal(buf_string(&place->value), "value");
        script_expect(place->script, "POST", "https://ssm.", "/p/b", 400,
                "{\"__type\":\"ParameterNotFound\"}");
        assert_int_equal(resolve(place, "ssm:/p/b"), REFERENCE_ABSENT);
        assert_string_equal(place->err.text, "SSM parameter /p/b does not exist");
        script_expect(place->script, "POST", "https://ssm.", "/p/c", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(resolve(place, "ssm:/p/c"), -EACCES);
        assert_contains(place->err.text, "SSM parameter /p/c");
        script_expect(place->script, "POST", "https://ssm.", "/p/d", 200, "garbage");
        assert_int_equal(resolve(place, "ssm:/p/d"), -EBADMSG);
        assert_int_equal(
                reference_resolve("ssm:/p/a", place->http, NULL, &place->value, &place->err),
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
