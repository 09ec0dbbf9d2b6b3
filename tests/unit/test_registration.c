/* SPDX-License-Identifier: MIT */

/*
 * Registrations: the runner has the labels by which its job finds it, only its instance may read
 * the parameter, and what an earlier attempt left at GitHub or in SSM under the instance's name is
 * replaced, once.
 */

#include "queued_stage.h"

#include <stdlib.h>

#include "fake_aws.h"

#define EXISTS "{\"__type\":\"ParameterAlreadyExists\"}"
#define DENIED "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"

/* -- what is registered -- */

/* The role of the machines may read a parameter only if its tag is the machine's ARN. */
static void the_tag_is_the_arn_of_the_instance_in_every_partition(void **state)
{
        static const struct {
                const char *region;
                const char *arn;
        } rows[] = {
                {"eu-central-1", "arn:aws:ec2:eu-central-1:123456789012:instance/i-00000001"},
                {"us-gov-west-1",
                        "arn:aws-us-gov:ec2:us-gov-west-1:123456789012:instance/i-00000001"},
                {"cn-north-1", "arn:aws-cn:ec2:cn-north-1:123456789012:instance/i-00000001"},
        };
        struct stage *stage = *state;

        setenv("AWS_ENDPOINT_URL_EC2", STAGE_EC2, 1);
        setenv("AWS_ENDPOINT_URL_SSM", STAGE_SSM, 1);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *tag = mem_format("\"Value\":\"%s\"}", rows[i].arn);

                free(stage->scaler.aws->region);
                stage->scaler.aws->region = mem_string(rows[i].region);
                expect_launch(stage, NULL, 1, 1);
                expect_registration(stage, 1);
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
                assert_sent(stage, tag);
        }
}

/* Gives the spec `linux` N labels, of which the last is LAST. */
static void set_labels(struct stage *stage, size_t n, const char *last)
{
        struct config_spec *spec = &stage->scaler.config->specs[0];

        for (size_t i = 0; i < spec->n_labels; i++)
                free(spec->labels[i]);
        spec->labels = mem_resize(spec->labels, n, sizeof(char *));
        spec->n_labels = n;
        for (size_t i = 0; i + 1 < n; i++)
                spec->labels[i] = mem_format("l%zu", i);
        spec->labels[n - 1] = mem_string(last);
}

/* GitHub gives a job that names a type only to a runner with that label. It takes 100. */
static void the_instance_type_is_a_label_where_there_is_room(void **state)
{
        static const struct {
                size_t n;
                const char *last;
                const char *end; /* of the list of labels */
        } rows[] = {
                {1, "linux", "\"labels\":[\"linux\",\"m7i.large\"]"},
                {2, "M7I.Large", "\"labels\":[\"l0\",\"M7I.Large\"]"},
                {99, "linux", "\"linux\",\"m7i.large\"]"},
                {100, "linux", "\"linux\"]"},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                set_labels(stage, rows[i].n, rows[i].last);
                expect_launch(stage, NULL, 1, 1);
                script_expect(stage->script, "POST", QUEUED_JIT_URL, rows[i].end, 201,
                        "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
                expect_put(stage, 1, 200, "{\"Version\":1}");
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
}

static void the_hand_over_has_the_times_so_far(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"queued_ms\":1767323040000")),
                STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"times\\\":{\\\"queued\\\":1767323040000,"
                           "\\\"webhook\\\":1767323044000,\\\"launched\\\":1767323045001,"
                           "\\\"handed_over\\\":1767323045002}");
}

/* -- what is in the way -- */

static void a_taken_name_is_cleared(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, "i-00000001", 409,
                "{\"message\":\"Already exists\"}");
        script_expect(stage->script, "GET", QUEUED_RUNNERS_URL "?per_page=100&name=i-00000001",
                NULL, 200, "{\"total_count\":1,\"runners\":[{\"id\":55,\"name\":\"i-00000001\"}]}");
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/55", NULL, 204, "");
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void a_name_that_stays_taken_is_given_up(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        for (int i = 0; i < 2; i++)
                script_expect(
                        stage->script, "POST", QUEUED_JIT_URL, NULL, 409, "{\"message\":\"no\"}");
        script_expect(stage->script, "GET", QUEUED_RUNNERS_URL, NULL, 200,
                "{\"runners\":[{\"id\":55,\"name\":\"i-00000001\"}]}");
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/55", NULL, 204, "");
        expect_parameter_deleted(stage, 1);
        expect_terminated(stage, "InstanceId.1=i-00000001");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_FAILED("m1"));
        assert_logged(stage, "exists again after it was deleted");
}

static void a_parameter_in_the_way_is_replaced(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, "{\"__type\":\"ParameterAlreadyExists\"}");
        expect_parameter_deleted(stage, 1);
        expect_put(stage, 1, 200, "{\"Version\":1}");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void expect_runner_in_the_way(struct stage *stage)
{
        script_expect(stage->script, "POST", QUEUED_JIT_URL, "i-00000001", 409,
                "{\"message\":\"Already exists\"}");
        script_expect(stage->script, "GET", QUEUED_RUNNERS_URL "?per_page=100&name=i-00000001",
                NULL, 200, "{\"runners\":[{\"id\":55,\"name\":\"i-00000001\"}]}");
}

static void a_runner_and_a_parameter_may_both_be_in_the_way(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_runner_in_the_way(stage);
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/55", NULL, 204, "");
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, EXISTS);
        expect_parameter_deleted(stage, 1);
        expect_put(stage, 1, 200, "{\"Version\":1}");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void a_runner_with_a_job_is_not_replaced(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_runner_in_the_way(stage);
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/55", NULL, 422,
                "{\"message\":\"busy\"}");
        expect_parameter_deleted(stage, 1);
        expect_terminated(stage, "InstanceId.1=i-00000001");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_FAILED("m1"));
        assert_logged(stage, "is already running a job");
}

/* It cannot be deleted, or is back at once. */
static void a_parameter_that_stays_is_given_up(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 2; i++) {
                expect_launch(stage, NULL, 1, 1);
                expect_jit(stage, 1);
                expect_put(stage, 1, 400, EXISTS);
                if (i == 0) {
                        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":", 400, DENIED);
                } else {
                        expect_parameter_deleted(stage, 1);
                        expect_put(stage, 1, 400, EXISTS);
                }
                script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/101", NULL, 204, "");
                expect_parameter_deleted(stage, 1);
                expect_terminated(stage, "InstanceId.1=i-00000001");
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_FAILED("m1"));
        }
        assert_logged(stage, "exists, and exists again after it was deleted");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_tag_is_the_arn_of_the_instance_in_every_partition),
                TEST(the_instance_type_is_a_label_where_there_is_room),
                TEST(the_hand_over_has_the_times_so_far),
                TEST(a_taken_name_is_cleared),
                TEST(a_name_that_stays_taken_is_given_up),
                TEST(a_parameter_in_the_way_is_replaced),
                TEST(a_runner_and_a_parameter_may_both_be_in_the_way),
                TEST(a_runner_with_a_job_is_not_replaced),
                TEST(a_parameter_that_stays_is_given_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
