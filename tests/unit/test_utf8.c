/* SPDX-License-Identifier: MIT */

/*
 * UTF-8: malformed text is recognized, and a cut never splits a character.
 */

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "unit.h"

static void knows_the_size_of_a_character(void **state)
{
        static const char *const characters[] = {"a", "é", "€", "🚀", "\xf4\x8f\xbf\xbf"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(characters); i++)
                assert_int_equal(utf8_character(characters[i], strlen(characters[i])),
                        strlen(characters[i]));
        assert_int_equal(utf8_character("\0", 1), 1);
        assert_int_equal(utf8_character("", 0), 0);
}

static void refuses_what_is_malformed(void **state)
{
        static const char *const texts[] = {
                "\x80",             /* a continuation byte alone */
                "\xc0\xaf",         /* overlong */
                "\xe0\x9f\xbf",     /* overlong */
                "\xf0\x8f\xbf\xbf", /* overlong */
                "\xed\xa0\x80",     /* a surrogate */
                "\xf4\x90\x80\x80", /* beyond U+10FFFF */
                "\xf8\x88\x80\x80\x80",
                "\xff",
                "\xe2\x82", /* cut off */
                "\xe2\x82x",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_int_equal(utf8_character(texts[i], strlen(texts[i])), 0);
}

static void cuts_between_characters(void **state)
{
        static const struct {
                const char *text;
                size_t size;
                size_t fit;
        } cuts[] = {
                {"ab", 2, 2},
                {"a€", 4, 4},
                {"a€", 3, 1},
                {"a€", 2, 1},
                {"🚀", 3, 0},
                {"", 0, 0},
                /* Text that is not UTF-8 at all is not shortened further. */
                {"\x80\x80\x80\x80", 4, 4},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cuts); i++)
                assert_int_equal(utf8_fit(cuts[i].text, cuts[i].size), cuts[i].fit);
}

static void counts_characters(void **state)
{
        (void)state;
        assert_int_equal(utf8_count(""), 0);
        assert_int_equal(utf8_count("aé€🚀"), 4);
}

static void copies_whole_characters(void **state)
{
        char text[5];

        (void)state;
        utf8_copy(text, sizeof(text), "ab€", 5);
        assert_string_equal(text, "ab");
        utf8_copy(text, sizeof(text), "a€", 4);
        assert_string_equal(text, "a€");
        utf8_copy(text, sizeof(text), "", 0);
        assert_string_equal(text, "");
}

static void malformed_bytes_are_replaced(void **state)
{
        char text[] = "a\xff\xc3\xa9\x80\xe2\x82";

        (void)state;
        utf8_repair(text);
        assert_string_equal(text, "a?é???");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(knows_the_size_of_a_character),
                cmocka_unit_test(refuses_what_is_malformed),
                cmocka_unit_test(cuts_between_characters),
                cmocka_unit_test(counts_characters),
                cmocka_unit_test(copies_whole_characters),
                cmocka_unit_test(malformed_bytes_are_replaced),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
