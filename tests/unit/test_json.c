/* SPDX-License-Identifier: MIT */

/*
 * JSON from outside: whatever could be read in two ways is refused, and the text says what was
 * needed and what was found.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/json_arena.h"
#include "base/utf8.h"
#include "unit.h"

static cJSON *parsed(const char *text)
{
        struct err err;
        cJSON *value = NULL;

        if (json_parse(text, strlen(text), "the body", &value, &err) < 0)
                fail_msg("%s: %s", text, err.text);
        return value;
}

static void assert_refused(const char *bytes, size_t size, const char *text)
{
        cJSON *untouched = NULL;
        struct err err = {0};

        assert_int_equal(json_parse(bytes, size, "the body", &untouched, &err), -EBADMSG);
        assert_null(untouched);
        assert_contains(err.text, text);
}

static void refuses_what_is_not_json(void **state)
{
        (void)state;
        assert_refused("", 0, "the body is empty");
        assert_refused("{", 1, "near byte");
        assert_refused("{\"a\":}", 6, "the body is not JSON");
        assert_refused("nul", 3, "is not JSON");
        assert_refused("{} x", 4, "at byte 3");
        assert_refused("{}{}", 4, "at byte 2");
        assert_refused("{}\0", 3, "at byte 2");
        assert_refused("[1,2", 4, "is not JSON");
        assert_refused("\"a", 2, "is not JSON");
}

static void refuses_what_is_not_utf8(void **state)
{
        (void)state;
        assert_refused("\"\xff\"", 3, "not UTF-8");
        assert_refused("\"\xc3\"", 3, "not UTF-8");
        assert_refused("\"\xc0\xaf\"", 4, "not UTF-8");         /* overlong */
        assert_refused("\"\xed\xa0\x80\"", 5, "not UTF-8");     /* a surrogate */
        assert_refused("\"\xf5\x80\x80\x80\"", 6, "not UTF-8"); /* beyond U+10FFFF */
        assert_refused("\"\xe2\x82", 3, "not UTF-8");           /* cut off */
        assert_true(utf8_is_valid("\xf0\x9f\x9a\x80 é €", 11));
        assert_true(utf8_is_valid("", 0));
}

static void refuses_what_is_nested_too_deep(void **state)
{
        enum { DEEP = 100000 };
        char *deep = mem_alloc(DEEP);

        (void)state;
        memset(deep, '[', DEEP);
        assert_refused(deep, DEEP, "nested deeper than 1000");
        free(deep);
}

/* cJSON ends a string at a NUL: a name could be checked in one form and used in another. */
static void refuses_strings_that_would_be_cut(void **state)
{
        static const char nul[] = "{\"name\": \"octo\\u0000evil\"}";
        static const char escaped[] = "{\"name\": \"octo\\\\\\u0000\"}";
        static const char backslash[] = "{\"name\": \"octo\\\\u0000\"}";
        _cleanup_json_ cJSON *value = NULL;

        (void)state;
        assert_refused(nul, strlen(nul), "\\u0000");
        assert_refused(escaped, strlen(escaped), "\\u0000");
        value = parsed(backslash);
        assert_string_equal(json_string(value, "name"), "octo\\u0000");
}

static void accepts_white_space_around(void **state)
{
        _cleanup_json_ cJSON *value = parsed(" \r\n{\"a\": 1}\t\n");

        (void)state;
        assert_int_equal(json_integer(value, "a", 0), 1);
}

static void finds_members_by_path(void **state)
{
        _cleanup_json_ cJSON *value = parsed("{\"a\":{\"b\":\"c\",\"e\":\"\"},\"n\":null,"
                                             "\"t\":true,\"l\":[1]}");

        (void)state;
        assert_string_equal(json_string(value, "a.b"), "c");
        assert_null(json_string(value, "a.B"));
        assert_null(json_string(value, "a"));
        assert_null(json_string(value, "n"));
        assert_null(json_string(value, "n.b"));
        assert_null(json_string(value, "l.b"));
        assert_null(json_string(NULL, "a"));
        assert_true(json_boolean(value, "t", false));
        assert_true(json_boolean(value, "a", true));
        assert_false(json_boolean(value, "none", false));
}

static void integers_are_exact_or_refused(void **state)
{
        _cleanup_json_ cJSON *value =
                parsed("{\"max\":9007199254740991,\"more\":9007199254740993,\"far\":1e300,"
                       "\"min\":-9007199254740991,\"half\":1.5,\"text\":\"1\",\"digits\":"
                       "99999999999999999999999999999999999999}");
        static const char *const bad[] = {"more", "far", "half", "text", "digits", "none"};
        int64_t number = -1;
        struct err err;

        (void)state;
        assert_int_equal(json_integer(value, "max", 0), JSON_INTEGER_MAX);
        assert_int_equal(json_integer(value, "min", 0), -JSON_INTEGER_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                assert_int_equal(json_integer(value, bad[i], 7), 7);
                assert_int_equal(json_need_integer(value, bad[i], &number, &err), -EBADMSG);
                assert_contains(err.text, bad[i]);
        }
        assert_int_equal(number, -1);
}

static void says_what_is_needed_and_what_was_found(void **state)
{
        _cleanup_json_ cJSON *value = parsed("{\"a\":{\"b\":[]},\"e\":\"\"}");
        const char *text = NULL;
        int64_t number;
        struct err err;

        (void)state;
        json_need_string(value, "a.b", &text, &err);
        assert_string_equal(err.text, "a.b: a string is needed, found a list");
        json_need_string(value, "x", &text, &err);
        assert_string_equal(err.text, "x: a string is needed, found nothing");
        json_need_string(value, "e", &text, &err);
        assert_string_equal(err.text, "e: a string is needed, found an empty one");
        json_need_integer(value, "e", &number, &err);
        assert_string_equal(err.text, "e: a number is needed, found a string");
        assert_null(text);
}

static void writes_integers_exactly(void **state)
{
        _cleanup_json_ cJSON *value = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;

        (void)state;
        json_add_integer(value, "max", JSON_INTEGER_MAX);
        json_add_string(value, "none", NULL);
        json_add_boolean(json_add_object(value, "in"), "b", true);
        text = json_print(value);
        assert_string_equal(text, "{\"max\":9007199254740991,\"in\":{\"b\":true}}");
}

/* -- the arena: last, for it remains -- */

static int use_arena(void **state)
{
        (void)state;
        json_use_arena();
        return 0;
}

static void what_was_deleted_makes_room(void **state)
{
        const cJSON *place;

        (void)state;
        for (int i = 0; i < 3; i++) {
                cJSON *first = parsed("{\"a\":[1,\"text\"]}");
                cJSON *second = parsed("[true]");

                if (i == 0)
                        place = first;
                assert_ptr_equal(first, place);
                assert_string_equal(json_get(first, "a")->child->next->valuestring, "text");
                cJSON_Delete(first);
                assert_true(cJSON_IsTrue(second->child));
                cJSON_Delete(second);
        }
}

static void what_has_no_room_is_read_as_well(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(4UL * JSON_ARENA_SIZE);
        cJSON *kept = parsed("[7]");
        cJSON *large;

        (void)state;
        buf_add_string(&text, "[\"");
        while (text.size < JSON_ARENA_SIZE)
                buf_add_string(&text, "0123456789");
        buf_add_string(&text, "\"");
        while (text.size < 3UL * JSON_ARENA_SIZE)
                buf_add_string(&text, ",{\"a\":null}");
        buf_add_string(&text, "]");
        large = parsed(buf_string(&text));
        assert_true(strlen(large->child->valuestring) >= JSON_ARENA_SIZE - 10);
        assert_true(cJSON_IsNull(json_get(large->child->prev, "a")));
        cJSON_Delete(large);
        assert_int_equal(kept->child->valueint, 7);
        cJSON_Delete(kept);
}

/* Callers free it. */
static void what_is_printed_is_no_part_of_it(void **state)
{
        cJSON *value = parsed("{\"a\":1}");
        cJSON *refused = NULL;
        struct err err;
        char *text;

        (void)state;
        assert_int_equal(json_parse("[1,2", 4, "the body", &refused, &err), -EBADMSG);
        json_add_string(value, "b", "c");
        text = json_print(value);
        assert_string_equal(text, "{\"a\":1,\"b\":\"c\"}");
        cJSON_Delete(value);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(refuses_what_is_not_json),
                cmocka_unit_test(refuses_what_is_not_utf8),
                cmocka_unit_test(refuses_what_is_nested_too_deep),
                cmocka_unit_test(refuses_strings_that_would_be_cut),
                cmocka_unit_test(accepts_white_space_around),
                cmocka_unit_test(finds_members_by_path),
                cmocka_unit_test(integers_are_exact_or_refused),
                cmocka_unit_test(says_what_is_needed_and_what_was_found),
                cmocka_unit_test(writes_integers_exactly),
                cmocka_unit_test_setup(what_was_deleted_makes_room, use_arena),
                cmocka_unit_test(what_has_no_room_is_read_as_well),
                cmocka_unit_test(what_is_printed_is_no_part_of_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
