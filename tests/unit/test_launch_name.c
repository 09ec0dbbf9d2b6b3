/* SPDX-License-Identifier: MIT */

/*
 * Names of launches: the instance with launch index k belongs to the k-th name of its tag, and to
 * no other.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/launch.h"
#include "job/launch_name.h"
#include "unit.h"

static void names_are_printed_in_order(void **state)
{
        const struct job jobs[] = {{.id = 1, .attempt = 2, .launch = 3}, {.id = 11, .attempt = 1}};
        const struct job *const both[] = {&jobs[0], &jobs[1]};
        _cleanup_free_ char *names = launch_names_print(both, 2);
        _cleanup_free_ char *pattern = launch_name_pattern("1-2-3");

        (void)state;
        assert_string_equal(names, "/1-2-3/11-1-0/");
        assert_string_equal(pattern, "*/1-2-3/*");
}

static void the_launch_index_says_whose_an_instance_is(void **state)
{
        static const struct {
                const char *names; /* NULL: no such tag */
                unsigned index;
                bool owned; /* by 1-1-0 */
        } rows[] = {
                {"/1-1-0/2-1-0/", 0, true},
                {"/1-1-0/2-1-0/", 1, false},
                {"/2-1-0/1-1-0/", 1, true},
                {"/2-1-0/1-1-0/", 0, false},
                {"/1-1-0/", 1, false},
                {"/1-1-0/", 7, false},
                {"/1-1-01/", 0, false},
                {"/11-1-0/", 0, false},
                {"/1-1-0", 0, false},
                {"1-1-0/", 0, false},
                {"", 0, false},
                {NULL, 0, false},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct ec2_instance instance = {.launch_index = rows[i].index};

                instance.tags = mem_alloc(sizeof(*instance.tags));
                snprintf(
                        instance.tags[0].key, sizeof(instance.tags[0].key), "%s", LAUNCH_NAMES_TAG);
                snprintf(instance.tags[0].value, sizeof(instance.tags[0].value), "%s",
                        rows[i].names ? rows[i].names : "");
                instance.n_tags = rows[i].names != NULL;
                assert_int_equal(launch_name_owns("1-1-0", &instance), rows[i].owned);
                free(instance.tags);
        }
}

static void tag_names(struct ec2_instance *instance, const char *id, const char *names)
{
        *instance = (struct ec2_instance){.launch_index = 7};
        snprintf(instance->id, sizeof(instance->id), "%s", id);
        instance->tags = mem_alloc(sizeof(*instance->tags));
        snprintf(instance->tags[0].key, sizeof(instance->tags[0].key), "%s", LAUNCH_NAMES_TAG);
        snprintf(instance->tags[0].value, sizeof(instance->tags[0].value), "%s", names);
        instance->n_tags = 1;
}

/* EC2 counts anew in each pool of a fleet: the order of ids tells whose they are. */
static void the_ids_of_a_fleet_say_whose_its_instances_are(void **state)
{
        static const struct {
                const char *id;
                const char *names;
                unsigned index;
                const char *owner;
        } rows[] = {
                {"i-0000000b", "0123456789abcdef/1-1-0/2-1-0/3-1-0/", 1, "2-1-0"},
                {"i-0000000a", "0123456789abcdef/1-1-0/2-1-0/3-1-0/", 0, "1-1-0"},
                {"i-00000009", "fedcba9876543210/3-1-0/1-1-0/", 0, "3-1-0"},
                {"i-0000000c", "0123456789abcdef/1-1-0/2-1-0/3-1-0/", 2, "3-1-0"},
                {"i-0000000f", "fedcba9876543210/3-1-0/1-1-0/", 1, "1-1-0"},
                {"i-0000000e", "/1-1-0/", 7, NULL}, /* of no fleet: EC2 has numbered it */
        };
        static const char *const names[] = {"1-1-0", "2-1-0", "3-1-0"};
        struct ec2_instance items[ARRAY_SIZE(rows)];
        struct ec2_instances found = {.items = items, .count = ARRAY_SIZE(rows)};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                tag_names(&items[i], rows[i].id, rows[i].names);
        launch_number_fleets(&found);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(items[i].launch_index, rows[i].index);
                for (size_t j = 0; j < ARRAY_SIZE(names); j++)
                        assert_int_equal(launch_name_owns(names[j], &items[i]),
                                rows[i].owner && strcmp(rows[i].owner, names[j]) == 0);
                free(items[i].tags);
        }
}

/* How many jobs with names of 15 characters a launch has room for, beside one whose ID is given. */
static size_t room_beside(const struct config_spec *spec, int64_t id)
{
        const struct job first = {.id = id, .attempt = 1};
        const struct job job = {.id = 10000000000, .attempt = 1};
        const struct job *jobs[32] = {&first};
        struct launch launch = {.spec = spec, .jobs = jobs, .n_jobs = 1};

        while (launch_has_room(&launch, &job)) {
                assert_true(launch.n_jobs < ARRAY_SIZE(jobs));
                jobs[launch.n_jobs++] = &job;
        }
        return launch.n_jobs - 1;
}

/* EC2 takes 256 characters as a tag's value: further jobs need a launch of their own. There is a
 * slash behind each name, and one before all of them. A fleet's mark is as long as another one. */
static void a_launch_has_room_for_as_many_names_as_its_tag(void **state)
{
        static const char *const allocations[] = {
                CONFIG_ALLOCATION_LADDER, CONFIG_ALLOCATION_PRICE};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(allocations); i++) {
                const struct config_spec spec = {.allocation = (char *)allocations[i]};

                assert_int_equal(room_beside(&spec, 1000000000), 15 - i); /* 256 characters */
                assert_int_equal(room_beside(&spec, 10000000000), 14 - i);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_printed_in_order),
                cmocka_unit_test(the_launch_index_says_whose_an_instance_is),
                cmocka_unit_test(the_ids_of_a_fleet_say_whose_its_instances_are),
                cmocka_unit_test(a_launch_has_room_for_as_many_names_as_its_tag),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
