/* SPDX-License-Identifier: MIT */

/*
 * Budgets: full at first, filled by time, emptied by a refusal, and kept by two processes that take
 * turns.
 */

#include "base/budget.h"
#include "unit.h"

#define START 1000000

/* How many calls of 5 points each are made in MS, at the pace of BUDGET. */
static int calls_within(struct budget *budget, int64_t *now_ms, int64_t ms)
{
        int64_t end_ms = *now_ms + ms;
        int n = 0;

        for (;;) {
                int64_t wait = budget_wait(budget, *now_ms, 5);

                if (*now_ms + wait > end_ms)
                        break;
                *now_ms += wait;
                budget_spend(budget, *now_ms, 5);
                n++;
        }
        *now_ms = end_ms;
        return n;
}

static void is_full_at_first_and_filled_by_time(void **state)
{
        struct budget budget;
        int64_t now_ms = START;

        (void)state;
        budget_init(&budget, 900, 900, now_ms);
        assert_int_equal(calls_within(&budget, &now_ms, 0), 180);
        assert_int_equal(budget_wait(&budget, now_ms, 5), 334);
        assert_in_range(calls_within(&budget, &now_ms, 60000), 179, 180);
        now_ms += 3600000;
        assert_int_equal(calls_within(&budget, &now_ms, 0), 180);
}

static void a_refusal_empties_it_until_the_limit_ends(void **state)
{
        struct budget budget;
        int64_t now_ms = START;

        (void)state;
        budget_init(&budget, 900, 900, now_ms);
        budget_empty(&budget, now_ms, now_ms + 30000);
        assert_int_equal(budget_wait(&budget, now_ms, 5), 30334);
        now_ms += 10000;
        budget_empty(&budget, now_ms, now_ms + 1000); /* ends sooner: the longer one counts */
        assert_int_equal(budget_wait(&budget, now_ms, 5), 20334);
        now_ms += 20334;
        assert_int_equal(budget_wait(&budget, now_ms, 5), 0);
        assert_in_range(budget_wait(&budget, now_ms, 10), 330, 334);
        budget_empty(&budget, now_ms, 0); /* nobody knows until when */
        assert_int_equal(budget_wait(&budget, now_ms, 5), 334);
}

/* What one may spend at once may be more than there is: a debt is paid first. */
static void what_is_spent_in_advance_is_missing_later(void **state)
{
        struct budget budget;

        (void)state;
        budget_init(&budget, 3, 180, START);
        budget_spend(&budget, START, 6);
        assert_int_equal(budget_wait(&budget, START, 1), 1334);
        budget_empty(&budget, START, 0);
        assert_int_equal(budget_wait(&budget, START, 1), 1334);
}

/* Two environments of a function: each sees its own calls only. */
static void two_that_take_turns_keep_the_limit(void **state)
{
        struct budget budgets[2];
        int64_t now_ms = START;
        int64_t began_ms = START;
        int calls = 0;

        (void)state;
        for (int i = 0; i < 2; i++)
                budget_init(&budgets[i], 900, 900, now_ms);
        for (int turn = 0; turn < 100; turn++) {
                struct budget *budget = &budgets[turn % 2];

                budget_begin(budget, now_ms, now_ms - began_ms);
                for (int i = 0; i < 10; i++, calls++) {
                        now_ms += budget_wait(budget, now_ms, 5);
                        budget_spend(budget, now_ms, 5);
                }
                now_ms += 1000; /* until the last one is answered */
                budget_end(budget, now_ms);
                now_ms += 100; /* until the next event */
                assert_true(5 * calls <= 900 + (now_ms - began_ms) * 15 / 1000);
        }
        assert_in_range(calls, 1000, 1000);
        assert_in_range(now_ms - began_ms, 260000, 340000 + 110000);
}

/* An idle process had the budget to itself; so had one that goes on. */
static void who_is_alone_keeps_what_is_left(void **state)
{
        struct budget budget;
        int64_t now_ms = START;

        (void)state;
        budget_init(&budget, 900, 900, now_ms);
        budget_begin(&budget, now_ms, 2000); /* it was cold, and somebody has launched since */
        budget_spend(&budget, now_ms, 20);
        now_ms += 5000;
        budget_end(&budget, now_ms);
        now_ms += 1000;
        budget_begin(&budget, now_ms, 60000); /* its next event */
        assert_int_equal(budget_wait(&budget, now_ms, 880), 0);
        budget_spend(&budget, now_ms, 20);
        budget_end(&budget, now_ms);
        now_ms += 60000;
        budget_begin(&budget, now_ms, 60000); /* sent when the last one had ended */
        assert_int_equal(budget_wait(&budget, now_ms, 880), 0);
        budget_end(&budget, now_ms);
        now_ms += 60000;
        budget_begin(&budget, now_ms, 60001); /* who has served those before it? */
        assert_int_equal(budget_wait(&budget, now_ms, 5), 334);
}

static void a_new_process_among_others_begins_empty(void **state)
{
        struct budget budget;

        (void)state;
        budget_init(&budget, 900, 900, START);
        budget_begin(&budget, START, 3001);
        assert_int_equal(budget_wait(&budget, START, 5), 334);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(is_full_at_first_and_filled_by_time),
                cmocka_unit_test(a_refusal_empties_it_until_the_limit_ends),
                cmocka_unit_test(what_is_spent_in_advance_is_missing_later),
                cmocka_unit_test(two_that_take_turns_keep_the_limit),
                cmocka_unit_test(who_is_alone_keeps_what_is_left),
                cmocka_unit_test(a_new_process_among_others_begins_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
