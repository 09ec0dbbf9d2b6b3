/* SPDX-License-Identifier: MIT */

/*
 * Error texts: one line of bounded length and valid UTF-8, whatever they quote.
 */

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/utf8.h"
#include "unit.h"

static void returns_the_code_and_keeps_the_text(void **state)
{
        struct err err;

        (void)state;
        assert_int_equal(err_set(&err, -EIO, "file %s", "a"), -EIO);
        assert_string_equal(err.text, "file a");
        assert_int_equal(err_prefix(&err, -EIO, "job %d", 7), -EIO);
        assert_string_equal(err.text, "job 7: file a");
        assert_int_equal(err_set(NULL, -EIO, "lost"), -EIO);
        assert_int_equal(err_prefix(NULL, -EIO, "lost"), -EIO);
}

static void is_one_line(void **state)
{
        struct err err;

        (void)state;
        err_set(&err, -EIO, "a\r\nb\tc\x7f");
        assert_string_equal(err.text, "a  b c ");
}

static void a_cut_leaves_no_part_of_a_character(void **state)
{
        char long_text[2 * ERR_TEXT_SIZE + 1] = "";
        struct err err;

        (void)state;
        for (size_t shift = 0; shift < 4; shift++) {
                memset(long_text, 'x', shift);
                for (size_t i = shift; i + 3 < sizeof(long_text); i += 3)
                        memcpy(long_text + i, "€", sizeof("€"));
                err_set(&err, -EIO, "%s", long_text);
                assert_true(utf8_is_valid(err.text, strlen(err.text)));
                assert_in_range(strlen(err.text), ERR_TEXT_SIZE - 4, ERR_TEXT_SIZE - 1);
        }
        err_prefix(&err, -EIO, "job %d", 7);
        assert_memory_equal(err.text, "job 7: xxx", 10);
        assert_true(utf8_is_valid(err.text, strlen(err.text)));
}

/* Texts quote what came from outside, cut by a printf precision, and go into JSON. */
static void what_is_not_utf8_is_replaced(void **state)
{
        struct err err;

        (void)state;
        err_set(&err, -EIO, "found \"%.4s\"", "€€");
        assert_string_equal(err.text, "found \"€?\"");
        err_set(&err, -EIO, "found %s", "a\xff\xc3\xa9\x80");
        assert_string_equal(err.text, "found a?é?");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(returns_the_code_and_keeps_the_text),
                cmocka_unit_test(is_one_line),
                cmocka_unit_test(a_cut_leaves_no_part_of_a_character),
                cmocka_unit_test(what_is_not_utf8_is_replaced),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
