/* SPDX-License-Identifier: MIT */

/*
 * Keys that are remembered for a while: none is forgotten before its time, none is remembered after
 * it, and a full set makes room by forgetting the oldest.
 */

#include <stdio.h>
#include <string.h>

#include "base/recent.h"
#include "unit.h"

#define UNTIL_MS 1000

static void a_key_is_known_until_its_time_is_over(void **state)
{
        struct recent recent = {0};

        (void)state;
        assert_false(recent_has(&recent, "key", 0));
        recent_note(&recent, "key", UNTIL_MS);
        assert_true(recent_has(&recent, "key", 0));
        assert_true(recent_has(&recent, "key", UNTIL_MS - 1));
        assert_false(recent_has(&recent, "key", UNTIL_MS));
        assert_false(recent_has(&recent, "kez", 0));
        assert_false(recent_has(&recent, "", 0));
}

/* Noting a key again extends its time, and never shortens it. */
static void the_latest_time_of_a_key_counts(void **state)
{
        struct recent recent = {0};

        (void)state;
        recent_note(&recent, "key", UNTIL_MS);
        recent_note(&recent, "key", 2 * UNTIL_MS);
        recent_note(&recent, "key", UNTIL_MS);
        assert_true(recent_has(&recent, "key", 2 * UNTIL_MS - 1));
        assert_false(recent_has(&recent, "key", 2 * UNTIL_MS));
}

static void keys_may_have_any_length(void **state)
{
        struct recent recent = {0};
        char one[10000];
        char other[10000];

        (void)state;
        memset(one, 'x', sizeof(one) - 1);
        one[sizeof(one) - 1] = '\0';
        memcpy(other, one, sizeof(other));
        other[sizeof(other) - 2] = 'y';
        recent_note(&recent, one, UNTIL_MS);
        assert_true(recent_has(&recent, one, 0));
        assert_false(recent_has(&recent, other, 0));
        recent_note(&recent, "", UNTIL_MS);
        assert_true(recent_has(&recent, "", 0));
}

static const char *key_number(int number)
{
        static char key[16];

        snprintf(key, sizeof(key), "key %d", number);
        return key;
}

static void a_full_set_forgets_the_oldest_key(void **state)
{
        struct recent recent = {0};

        (void)state;
        for (int i = 0; i < RECENT_MAX; i++)
                recent_note(&recent, key_number(i), UNTIL_MS);
        for (int i = 0; i < RECENT_MAX; i++)
                assert_true(recent_has(&recent, key_number(i), 0));
        /* Around the ring twice, so that the wrap-around itself is passed twice. */
        for (int i = RECENT_MAX; i < 3 * RECENT_MAX; i++) {
                recent_note(&recent, key_number(i), UNTIL_MS);
                assert_true(recent_has(&recent, key_number(i), 0));
                assert_true(recent_has(&recent, key_number(i - RECENT_MAX + 1), 0));
                assert_false(recent_has(&recent, key_number(i - RECENT_MAX), 0));
        }
}

/* However often it was noted; the others stay. */
static void a_key_may_be_forgotten(void **state)
{
        struct recent recent = {0};

        (void)state;
        recent_note(&recent, "key", UNTIL_MS);
        recent_note(&recent, "other key", UNTIL_MS);
        recent_note(&recent, "key", UNTIL_MS + 1);
        recent_forget(&recent, "key");
        assert_false(recent_has(&recent, "key", 0));
        assert_true(recent_has(&recent, "other key", 0));
        recent_note(&recent, "key", UNTIL_MS);
        assert_true(recent_has(&recent, "key", 0));
}

static void two_sets_know_nothing_of_each_other(void **state)
{
        struct recent one = {0};
        struct recent other = {0};

        (void)state;
        recent_note(&one, "key", UNTIL_MS);
        assert_false(recent_has(&other, "key", 0));
        recent_note(&other, "other key", UNTIL_MS);
        assert_true(recent_has(&one, "key", 0));
        assert_false(recent_has(&one, "other key", 0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_key_is_known_until_its_time_is_over),
                cmocka_unit_test(the_latest_time_of_a_key_counts),
                cmocka_unit_test(keys_may_have_any_length),
                cmocka_unit_test(a_full_set_forgets_the_oldest_key),
                cmocka_unit_test(a_key_may_be_forgotten),
                cmocka_unit_test(two_sets_know_nothing_of_each_other),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
