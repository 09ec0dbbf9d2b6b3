/* SPDX-License-Identifier: MIT */

/*
 * One call: headers are found in any case and cannot smuggle in another, and an unexpected answer
 * is quoted so that people recognize who answered.
 */

#include <errno.h>
#include <string.h>

#include "http/http.h"
#include "unit.h"

static int set_up(void **state)
{
        *state = http_call_new("Test", "GET", "https://example.test/a");
        return 0;
}

static int tear_down(void **state)
{
        http_call_free(*state);
        return 0;
}

static void answer_headers_are_found(void **state)
{
        struct http_call *call = *state;
        char value[8];

        buf_add_string(&call->answer_headers,
                "HTTP/1.1 200 OK\r\nX-Long: 0123456789\r\nX-A-B: x\r\nX-A:\t y \r\nX-E:\r\n\r\n");
        assert_true(http_call_answer_header(call, "x-a", value, sizeof(value)));
        assert_string_equal(value, "y");
        assert_true(http_call_answer_header(call, "X-Long", value, sizeof(value)));
        assert_string_equal(value, "0123456");
        assert_true(http_call_answer_header(call, "x-e", value, sizeof(value)));
        assert_string_equal(value, "");
        assert_false(http_call_answer_header(call, "x-none", value, sizeof(value)));
}

static void a_header_with_a_line_break_is_left_out(void **state)
{
        struct http_call *call = *state;

        http_call_header(call, "X-A", "1\r\nX-Evil: 2");
        http_call_header(call, "X-B", "3");
        assert_string_equal(buf_string(&call->headers), "X-B: 3\n");
}

static void an_unexpected_answer_is_quoted_from_its_beginning(void **state)
{
        struct http_call *call = *state;
        struct err err;

        call->status = 502;
        call->answer.limit = 4096;
        buf_add_string(&call->answer, "<html>\n\xff");
        for (int i = 0; i < 100; i++)
                buf_add_string(&call->answer, "0123456789");
        assert_int_equal(http_call_fail(call, &err), -EPROTO);
        assert_contains(err.text, "HTTP status 502, beginning with \"<html>..0123");
        assert_in_range(strlen(err.text), 200, 300);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(answer_headers_are_found),
                TEST(a_header_with_a_line_break_is_left_out),
                TEST(an_unexpected_answer_is_quoted_from_its_beginning),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
