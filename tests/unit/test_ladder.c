/* SPDX-License-Identifier: MIT */

/*
 * The failover ladder: which instance types replace a type without capacity, in which order. A rung
 * is never smaller than the type that was asked for, nor of another architecture.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "job/ladder.h"
#include "unit.h"

/* The ladder of TYPE as one line; valid until the next call. */
static const char *ladder(const char *type)
{
        static char line[LADDER_MAX * INSTANCE_TYPE_SIZE];
        struct ladder_rung rungs[LADDER_MAX];
        size_t count = ladder_build(type, rungs, LADDER_MAX);
        size_t size = 0;

        line[0] = '\0';
        for (size_t i = 0; i < count; i++)
                size += (size_t)snprintf(
                        line + size, sizeof(line) - size, "%s%s", i > 0 ? " " : "", rungs[i].type);
        return line;
}

static void test_order(void **state)
{
        static const struct {
                const char *type;
                const char *rungs;
        } cases[] = {
                /* Intel, its AMD sibling, the next larger Intel, its sibling, and so on. */
                {"m7i.8xlarge", "m7i.8xlarge m7a.8xlarge m7i.12xlarge m7a.12xlarge m7i.16xlarge "
                                "m7a.16xlarge m7i.24xlarge m7a.24xlarge m7i.48xlarge m7a.48xlarge"},
                {"c6i.24xlarge", "c6i.24xlarge c6a.24xlarge c6i.32xlarge c6a.32xlarge"},
                {"m5d.16xlarge", "m5d.16xlarge m5ad.16xlarge m5d.24xlarge m5ad.24xlarge"},
                {"t3.medium", "t3.medium t3a.medium t3.large t3a.large t3.xlarge t3a.xlarge "
                              "t3.2xlarge t3a.2xlarge"},
                /* Sizes that the sibling lacks are skipped. */
                {"c5.4xlarge", "c5.4xlarge c5a.4xlarge c5.9xlarge c5.12xlarge c5a.12xlarge "
                               "c5.18xlarge c5.24xlarge c5a.24xlarge"},
                {"r8i.48xlarge", "r8i.48xlarge r8a.48xlarge r8i.96xlarge"},
                /* AMD: the same the other way round. */
                {"m7a.24xlarge",
                        "m7a.24xlarge m7i.24xlarge m7a.32xlarge m7a.48xlarge m7i.48xlarge"},
                {"r6a.32xlarge", "r6a.32xlarge r6i.32xlarge r6a.48xlarge"},
                /* Flex: AMD of the same size, then the full Intel family. */
                {"c7i-flex.16xlarge", "c7i-flex.16xlarge c7a.16xlarge c7i.16xlarge c7i.24xlarge "
                                      "c7a.24xlarge c7i.48xlarge c7a.48xlarge"},
                /* Graviton, and families without a sibling, climb alone. */
                {"m6g.4xlarge", "m6g.4xlarge m6g.8xlarge m6g.12xlarge m6g.16xlarge"},
                {"t4g.xlarge", "t4g.xlarge t4g.2xlarge"},
                {"c5n.9xlarge", "c5n.9xlarge c5n.18xlarge"},
                {"r7iz.16xlarge", "r7iz.16xlarge r7iz.32xlarge"},
                /* The largest size of a family. */
                {"c8g.48xlarge", "c8g.48xlarge"},
                {"m8i.96xlarge", "m8i.96xlarge"},
                /* Nothing replaces bare metal or an unknown type. */
                {"m7i.metal-24xl", "m7i.metal-24xl"},
                {"m7i.3xlarge", "m7i.3xlarge"},
                {"x99zz.large", "x99zz.large"},
                {"nonsense", "nonsense"},
                {"m7i", "m7i"},
                {"m7i.", "m7i."},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(ladder(cases[i].type), cases[i].rungs);
}

static void test_bounds(void **state)
{
        struct ladder_rung rungs[4] = {[3] = {"untouched"}};

        (void)state;
        assert_int_equal(ladder_build("m7i.large", rungs, 3), 3);
        assert_string_equal(rungs[2].type, "m7i.xlarge");
        assert_string_equal(rungs[3].type, "untouched");
        assert_int_equal(ladder_build("m7i.large", rungs, 0), 0);
        assert_int_equal(ladder_build("a-type-that-is-longer-than-any.large", rungs, 3), 0);
        assert_false(instance_type_is_plausible("a-type-that-is-longer-than-any.large"));
        assert_true(instance_type_is_plausible("a-type-of-thirty-one-char.large"));
}

/* The ladder of TYPE begins with it, fits, has no type twice, and stays within the architecture of
 * its FAMILY. */
static void check_ladder(const struct instance_family *family, const char *type)
{
        struct ladder_rung rungs[LADDER_MAX];
        size_t count = ladder_build(type, rungs, LADDER_MAX);

        assert_in_range(count, 1, LADDER_MAX - 1);
        assert_string_equal(rungs[0].type, type);
        for (size_t i = 0; i < count; i++) {
                const struct instance_family *other = instance_family_find(rungs[i].type);

                assert_true(instance_type_is_plausible(rungs[i].type));
                assert_non_null(other);
                assert_int_equal(other->architecture, family->architecture);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(rungs[i].type, rungs[j].type);
        }
}

static void test_every_known_type(void **state)
{
        char type[INSTANCE_TYPE_SIZE];

        (void)state;
        for (const struct instance_family *family = instance_families; family->name; family++) {
                const char *word = family->sizes;

                while (*word) {
                        size_t length = strcspn(word, " ");

                        (void)snprintf(
                                type, sizeof(type), "%s.%.*s", family->name, (int)length, word);
                        check_ladder(family, type);
                        word += length + strspn(word + length, " ");
                }
        }
}

static void test_siblings_are_mutual(void **state)
{
        (void)state;
        for (const struct instance_family *family = instance_families; family->name; family++) {
                const struct instance_family *sibling;

                assert_ptr_equal(instance_family_find(family->name), family);
                if (family->climbs)
                        assert_string_equal(
                                instance_family_find(family->climbs)->sibling, family->sibling);
                if (!family->sibling)
                        continue;
                sibling = instance_family_find(family->sibling);
                assert_non_null(sibling);
                if (!family->climbs)
                        assert_string_equal(sibling->sibling, family->name);
        }
}

static void test_architectures(void **state)
{
        (void)state;
        assert_int_equal(instance_family_find("m7g.large")->architecture, INSTANCE_ARM64);
        assert_int_equal(instance_family_find("g5g.xlarge")->architecture, INSTANCE_ARM64);
        assert_int_equal(instance_family_find("g5.xlarge")->architecture, INSTANCE_X86);
        assert_int_equal(instance_family_find("m7i-flex.large")->architecture, INSTANCE_X86);
        assert_null(instance_family_find("m7.large"));
        assert_null(instance_family_find("m7ii.large"));
        assert_null(instance_family_find(""));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_every_known_type),
                cmocka_unit_test(test_siblings_are_mutual),
                cmocka_unit_test(test_architectures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
