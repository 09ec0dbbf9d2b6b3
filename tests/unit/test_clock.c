/* SPDX-License-Identifier: MIT */

/*
 * Times: every form that GitHub and AWS write is read, and nothing else is taken for a time.
 */

#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "unit.h"

#define NOON INT64_C(1767355200000) /* 2026-01-02T12:00:00Z */

static void reads_every_form(void **state)
{
        static const struct {
                const char *text;
                int64_t ms;
        } forms[] = {
                {"2026-01-02T12:00:00Z", NOON},
                {"2026-01-02T12:00:00.5Z", NOON + 500},
                {"2026-01-02T12:00:00.123456789Z", NOON + 123},
                {"2026-01-02T13:00:00+01:00", NOON},
                {"2026-01-02T03:30:00.000-0830", NOON},
                {"1970-01-01T00:00:00Z", 0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                int64_t ms = -1;

                assert_int_equal(clock_parse(forms[i].text, &ms), 0);
                assert_int_equal(ms, forms[i].ms);
        }
}

static void refuses_all_others(void **state)
{
        static const char *const texts[] = {
                "",
                "yesterday",
                "2026-01-02",
                "2026-01-02T12:00:00",
                "2026-01-02T12:00:00 Z",
                "2026-01-02T12:00:00Zulu",
                "2026-13-02T12:00:00Z",
                "2026-01-02T12:00:00+1",
                "2026-01-02T12:00:00+99:00",
                "2026-01-02T12:00:00+01:99",
                "2026-01-02T12:00:00+-1:00",
                "1969-12-31T23:59:59Z",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                int64_t ms = -1;

                if (clock_parse(texts[i], &ms) != -EINVAL)
                        fail_msg("accepted: %s", texts[i]);
                assert_int_equal(ms, -1);
        }
        assert_int_equal(clock_parse(NULL, &(int64_t){0}), -EINVAL);
}

static void writes_what_it_reads(void **state)
{
        char text[CLOCK_TEXT_SIZE];

        (void)state;
        assert_string_equal(clock_format(NOON + 7, text), "2026-01-02T12:00:00.007Z");
        assert_string_equal(clock_format(0, text), "1970-01-01T00:00:00.000Z");
        /* Times beyond any calendar must not overrun the text. */
        clock_format(INT64_MAX, text);
        clock_format(INT64_MIN, text);
}

static void the_machines_clock_moves_forward(void **state)
{
        int64_t before = clock_monotonic_ms(&clock_system);

        (void)state;
        assert_true(clock_wall_ms(&clock_system) > NOON);
        assert_true(clock_monotonic_ms(&clock_system) >= before);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_every_form),
                cmocka_unit_test(refuses_all_others),
                cmocka_unit_test(writes_what_it_reads),
                cmocka_unit_test(the_machines_clock_moves_forward),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
