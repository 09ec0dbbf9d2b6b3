/* SPDX-License-Identifier: MIT */

/*
 * Registrations: what an earlier attempt left at GitHub or in SSM under the instance's name is
 * replaced, once.
 */

#include "queued_stage.h"

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

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_taken_name_is_cleared),
                TEST(a_name_that_stays_taken_is_given_up),
                TEST(a_parameter_in_the_way_is_replaced),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
