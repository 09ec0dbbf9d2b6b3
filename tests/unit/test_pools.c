/* SPDX-License-Identifier: MIT */

/*
 * Pools of a fleet: every type once in each zone, and what was left out stays out.
 */

#include <stdlib.h>
#include <string.h>

#include "job/pools.h"
#include "unit.h"

static char *const subnets[] = {
        (char *)"subnet-a", (char *)"subnet-b", (char *)"subnet-a2", (char *)"subnet-gone"};
static struct ec2_subnet zone_items[] = {
        {.id = "subnet-b", .zone = "b"},
        {.id = "subnet-a2", .zone = "a"},
        {.id = "subnet-a", .zone = "a"},
};
static const struct ec2_subnets zones = {.items = zone_items, .count = 3};
static const struct config_spec spec = {
        .subnets = (char **)subnets,
        .n_subnets = ARRAY_SIZE(subnets),
};

/* c8g.24xlarge and c8g.48xlarge, in the subnets above. */
static void init(struct offers *offers)
{
        offers_init(offers, &spec, "c8g.24xlarge");
        assert_int_equal(offers->n_rungs, 2);
}

static void assert_pools(
        const struct offers *offers, const struct pool_set *left_out, const char *expected)
{
        _cleanup_buf_ struct buf text = BUF_INIT(4096);
        struct ec2_pool pools[8];
        size_t n = pools_list(offers, &zones, left_out, pools);

        for (size_t i = 0; i < n; i++)
                buf_add_format(&text, "%s %s %u, ", pools[i].instance_type + 4, pools[i].subnet + 7,
                        pools[i].priority);
        assert_string_equal(buf_string(&text), expected);
}

static void each_type_is_once_in_each_zone(void **state)
{
        struct pool_set left_out = {0};
        struct offers offers;

        (void)state;
        init(&offers);
        assert_pools(
                &offers, &left_out, "24xlarge a 0, 24xlarge b 0, 48xlarge a 1, 48xlarge b 1, ");
}

static void a_zone_without_a_type_is_without_it_in_all_its_subnets(void **state)
{
        struct pool_set left_out = {0};
        struct offers offers;

        (void)state;
        init(&offers);
        assert_true(pools_leave_out(&offers, &zones, "c8g.24xlarge", "subnet-a", true, &left_out));
        assert_false(
                pools_leave_out(&offers, &zones, "c8g.24xlarge", "subnet-a2", true, &left_out));
        assert_pools(&offers, &left_out, "24xlarge b 0, 48xlarge a 1, 48xlarge b 1, ");
}

static void the_next_subnet_of_a_zone_replaces_a_full_one(void **state)
{
        struct pool_set left_out = {0};
        struct offers offers;

        (void)state;
        init(&offers);
        assert_true(pools_leave_out(&offers, &zones, NULL, "subnet-a", false, &left_out));
        assert_pools(
                &offers, &left_out, "24xlarge b 0, 24xlarge a2 0, 48xlarge b 1, 48xlarge a2 1, ");
        assert_true(pools_leave_out(&offers, &zones, NULL, "subnet-a2", false, &left_out));
        assert_pools(&offers, &left_out, "24xlarge b 0, 48xlarge b 1, ");
}

static void a_full_subnet_is_replaced_wherever_it_stands(void **state)
{
        static char *const others[] = {(char *)"subnet-b", (char *)"subnet-a", (char *)"subnet-a2"};
        static const struct config_spec other = {.subnets = (char **)others, .n_subnets = 3};
        struct pool_set left_out = {0};
        struct offers offers;

        (void)state;
        offers_init(&offers, &other, "c8g.48xlarge");
        assert_true(pools_leave_out(&offers, &zones, NULL, "subnet-a", false, &left_out));
        assert_pools(&offers, &left_out, "48xlarge b 0, 48xlarge a2 0, ");
}

static void a_subnet_that_is_not_known_shares_no_zone(void **state)
{
        struct pool_set left_out = {0};
        struct offers offers;

        (void)state;
        init(&offers);
        assert_false(pools_leave_out(&offers, &zones, NULL, "subnet-new", true, &left_out));
        assert_true(pools_leave_out(&offers, &zones, NULL, "subnet-gone", true, &left_out));
        assert_pools(
                &offers, &left_out, "24xlarge a 0, 24xlarge b 0, 48xlarge a 1, 48xlarge b 1, ");
}

static void a_type_or_everything_can_be_left_out(void **state)
{
        struct pool_set left_out = {0};
        struct offers offers;

        (void)state;
        init(&offers);
        assert_false(pools_leave_out(&offers, &zones, "m7i.large", "", false, &left_out));
        assert_true(pools_leave_out(&offers, &zones, "c8g.48xlarge", "", false, &left_out));
        assert_pools(&offers, &left_out, "24xlarge a 0, 24xlarge b 0, ");
        assert_true(pools_leave_out(&offers, &zones, "", "", true, &left_out));
        assert_pools(&offers, &left_out, "");
        assert_false(pools_leave_out(&offers, &zones, NULL, NULL, true, &left_out));
}

static void types_of_a_size_and_larger_can_be_left_out(void **state)
{
        static const struct {
                const char *type;
                size_t n_left; /* rungs */
        } rows[] = {
                {"m7i-flex.large", 0}, {"m7i.large", 0}, {"m7i.xlarge", 3}, {"m7a.xlarge", 3},
                {"m7a.2xlarge", 5}, {"c7i.large", SIZE_MAX}, /* none of them */
        };
        struct offers offers;

        (void)state;
        offers_init(&offers, &spec, "m7i-flex.large");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                size_t n_left = rows[i].n_left < offers.n_rungs ? rows[i].n_left : offers.n_rungs;
                struct pool_set left_out = {0};

                assert_int_equal(pools_leave_out_from_size(&offers, rows[i].type, &left_out),
                        n_left < offers.n_rungs);
                for (size_t j = 0; j < offers_on_demand(&offers); j++)
                        assert_int_equal(pool_set_has(&left_out, j), j >= n_left * spec.n_subnets);
                assert_false(pools_leave_out_from_size(&offers, rows[i].type, &left_out));
        }
}

static void what_is_left_out_survives_a_message(void **state)
{
        static const char *const others[] = {NULL, "", "0", "001", "zz", "0g", "AB", "-1"};
        struct pool_set left_out = {0};
        struct offers offers;

        (void)state;
        init(&offers);
        assert_null(pool_set_print(&left_out));
        for (size_t i = 0; i < 8; i++) {
                _cleanup_free_ char *text = NULL;
                struct pool_set back;
                struct offer offer = offer_at(&offers, 7 - i);

                assert_false(pool_set_has(&left_out, 7 - i));
                assert_true(pools_leave_out(
                        &offers, &zones, offer.type, offer.subnet, false, &left_out));
                assert_true(pool_set_has(&left_out, 7 - i));
                text = pool_set_print(&left_out);
                assert_int_equal(strlen(text), 2);
                back = pool_set_parse(text);
                assert_memory_equal(&back, &left_out, sizeof(back));
        }
        assert_false(pool_set_has(&left_out, 8));
        assert_false(pool_set_has(&left_out, POOLS_MAX));
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                struct pool_set back = pool_set_parse(others[i]);

                assert_null(pool_set_print(&back));
        }
}

static void a_text_that_is_too_long_is_cut(void **state)
{
        _cleanup_free_ char *text = mem_alloc(2 * POOLS_MAX + 1);
        _cleanup_free_ char *again = NULL;
        struct pool_set set;

        (void)state;
        memset(text, 'f', 2 * POOLS_MAX);
        set = pool_set_parse(text);
        again = pool_set_print(&set);
        assert_int_equal(strlen(again), POOLS_MAX / 4);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_type_is_once_in_each_zone),
                cmocka_unit_test(a_zone_without_a_type_is_without_it_in_all_its_subnets),
                cmocka_unit_test(the_next_subnet_of_a_zone_replaces_a_full_one),
                cmocka_unit_test(a_full_subnet_is_replaced_wherever_it_stands),
                cmocka_unit_test(a_subnet_that_is_not_known_shares_no_zone),
                cmocka_unit_test(a_type_or_everything_can_be_left_out),
                cmocka_unit_test(types_of_a_size_and_larger_can_be_left_out),
                cmocka_unit_test(what_is_left_out_survives_a_message),
                cmocka_unit_test(a_text_that_is_too_long_is_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
