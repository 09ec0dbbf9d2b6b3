/* SPDX-License-Identifier: MIT */

/*
 * Buffers: never beyond their limit, an addition happens as a whole or not at all, and secrets are
 * wiped.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "unit.h"

static void adds_up_to_the_limit(void **state)
{
        _cleanup_buf_ struct buf buf = BUF_INIT(5);

        (void)state;
        assert_string_equal(buf_string(&buf), "");
        assert_int_equal(buf_add_string(&buf, "abc"), 0);
        assert_int_equal(buf_add(&buf, "de", 2), 0);
        assert_string_equal(buf_string(&buf), "abcde");
        assert_false(buf.overflow);
}

static void beyond_the_limit_nothing_more_is_added(void **state)
{
        _cleanup_buf_ struct buf buf = BUF_INIT(5);

        (void)state;
        buf_add_string(&buf, "abc");
        assert_int_equal(buf_add_string(&buf, "def"), -ENOBUFS);
        assert_true(buf.overflow);
        assert_int_equal(buf_add_string(&buf, "d"), -ENOBUFS);
        assert_int_equal(buf_add_format(&buf, "%d", 1), -ENOBUFS);
        assert_int_equal(buf_add(&buf, "", SIZE_MAX), -ENOBUFS);
        assert_string_equal(buf_string(&buf), "abc");
        buf_clear(&buf);
        assert_int_equal(buf_add_string(&buf, "defgh"), 0);
}

static void grows_past_its_first_capacity(void **state)
{
        _cleanup_buf_ struct buf buf = BUF_INIT(100000);

        (void)state;
        for (int i = 0; i < 10000; i++)
                assert_int_equal(buf_add_format(&buf, "%09d\n", i), 0);
        assert_int_equal(buf.size, 100000);
        assert_string_equal(buf_string(&buf) + 99990, "000009999\n");
}

static void what_has_room_moves_nothing(void **state)
{
        _cleanup_buf_ struct buf buf = BUF_INIT(1000);
        const char *before;

        (void)state;
        buf_add_string(&buf, "ab");
        buf_reserve(&buf, 1000);
        before = buf.data;
        while (buf_add(&buf, "c", 1) == 0)
                ;
        assert_ptr_equal(buf.data, before);
        assert_int_equal(buf.size, 1000);
        assert_memory_equal(buf.data, "abcc", 4);
}

static void no_more_is_reserved_than_the_limits_allow(void **state)
{
        _cleanup_buf_ struct buf small = BUF_INIT(5);
        _cleanup_buf_ struct buf large = BUF_INIT(SIZE_MAX);

        (void)state;
        buf_reserve(&small, SIZE_MAX);
        assert_string_equal(buf_string(&small), "");
        assert_int_equal(small.capacity, 6);
        buf_reserve(&large, SIZE_MAX);
        assert_int_equal(large.capacity, BUF_RESERVE_MAX + 1);
}

static void keeps_bytes_of_any_value(void **state)
{
        _cleanup_buf_ struct buf buf = BUF_INIT(16);

        (void)state;
        buf_add(&buf, "a\0b", 3);
        assert_int_equal(buf.size, 3);
        assert_memory_equal(buf.data, "a\0b", 4);
}

static void encodes_forms(void **state)
{
        _cleanup_buf_ struct buf buf = BUF_INIT(64);

        (void)state;
        assert_int_equal(buf_add_form(&buf, "a b&c=d/é~-._"), 0);
        assert_string_equal(buf_string(&buf), "a+b%26c%3Dd%2F%C3%A9~-._");
        buf_clear(&buf);
        buf.limit = 4;
        assert_int_equal(buf_add_form(&buf, "&&"), -ENOBUFS);
}

static void reads_files_up_to_the_limit(void **state)
{
        _cleanup_buf_ struct buf buf = BUF_INIT(7);
        char content[] = "abc";

        (void)state;
        for (size_t i = 1; i <= 3; i++) {
                FILE *file = fmemopen(content, strlen(content), "r");

                assert_int_equal(buf_add_file(&buf, file), i < 3 ? 0 : -EFBIG);
                (void)fclose(file);
        }
        assert_string_equal(buf_string(&buf), "abcabc");
}

static void steals_its_content(void **state)
{
        struct buf buf = BUF_INIT(16);
        char *text = buf_steal(&buf);

        (void)state;
        assert_string_equal(text, "");
        free(text);
        buf_add_string(&buf, "secret");
        text = buf_steal(&buf);
        assert_string_equal(text, "secret");
        assert_int_equal(buf.size, 0);
        assert_int_equal(buf_add_string(&buf, "next"), 0);
        assert_string_equal(text, "secret");
        free(text);
        buf_release(&buf);
}

/* A shorter text that follows a secret must not leave the secret's end in memory. */
static void clearing_overwrites(void **state)
{
        static const char zeros[6];
        _cleanup_buf_ struct buf buf = BUF_INIT(16);

        (void)state;
        buf_add_string(&buf, "secret");
        buf_clear(&buf);
        assert_memory_equal(buf.data, zeros, sizeof(zeros));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(adds_up_to_the_limit),
                cmocka_unit_test(beyond_the_limit_nothing_more_is_added),
                cmocka_unit_test(grows_past_its_first_capacity),
                cmocka_unit_test(what_has_room_moves_nothing),
                cmocka_unit_test(no_more_is_reserved_than_the_limits_allow),
                cmocka_unit_test(keeps_bytes_of_any_value),
                cmocka_unit_test(encodes_forms),
                cmocka_unit_test(reads_files_up_to_the_limit),
                cmocka_unit_test(steals_its_content),
                cmocka_unit_test(clearing_overwrites),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
