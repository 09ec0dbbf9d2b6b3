/* SPDX-License-Identifier: MIT */

/*
 * Undoing a launch: a machine that can never be registered is terminated, its runner does not stay
 * behind, and its job becomes a dead letter at once.
 */

#include "queued_stage.h"

static void without_a_jit_configuration_the_instance_goes(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL}, {"c", queued_job(3, "linux"), 0, NULL}};

        expect_launch(stage, NULL, 1, 3);
        expect_registration(stage, 1);
        script_expect(
                stage->script, "POST", QUEUED_JIT_URL, "i-00000002", 422, "{\"message\":\"no\"}");
        expect_registration(stage, 3);
        expect_terminated(stage, "InstanceId.1=i-00000002");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
        assert_logged(stage, "\"error\":\"job 2: instance i-00000002: ");
        assert_logged(stage, "\"message\":\"launch undone\",\"instance\":\"i-00000002\",\"job\":2");
}

static void without_a_parameter_the_runner_goes_as_well(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}");
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/101", NULL, 204, "");
        expect_terminated(stage, "InstanceId.1=i-00000001");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_not_logged(stage, "c2VjcmV0");
}

static void an_unknown_instance_does_not_save_the_others(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 0, NULL}};

        expect_launch(stage, NULL, 1, 2);
        for (int i = 0; i < 2; i++)
                script_expect(
                        stage->script, "POST", QUEUED_JIT_URL, NULL, 404, "{\"message\":\"no\"}");
        for (int i = 0; i < 3; i++)
                expect_refusal(stage, "InstanceId.2=", 400, "InvalidInstanceID.NotFound");
        for (int i = 0; i < 3; i++)
                expect_refusal(
                        stage, "&InstanceId.1=i-00000001", 400, "InvalidInstanceID.NotFound");
        expect_terminated(stage, "InstanceId.1=i-00000002");
        for (int i = 0; i < 2; i++)
                stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        assert_not_logged(stage, "not terminated");
        for (int i = 1; i <= 2; i++) {
                _cleanup_free_ char *undone =
                        mem_format("\"message\":\"launch undone\",\"instance\":\"i-0000000%d\"", i);

                assert_logged(stage, undone);
        }
}

/* Each is tried, whatever became of the others. */
static void what_cannot_be_undone_is_logged(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, "{\"__type\":\"AccessDeniedException\"}");
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/101", NULL, 403,
                "{\"message\":\"no\"}");
        expect_terminated(stage, "InstanceId.1=i-00000001");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_logged(stage, "the runner is still registered");
}

/* The second one goes, which does not hide that the first one stays. */
static void an_instance_that_stays_is_logged(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 0, NULL}};

        expect_launch(stage, NULL, 1, 2);
        for (int i = 0; i < 2; i++)
                script_expect(
                        stage->script, "POST", QUEUED_JIT_URL, NULL, 404, "{\"message\":\"no\"}");
        for (int i = 0; i < 3; i++)
                expect_refusal(stage, "InstanceId.2=", 400, "InvalidInstanceID.NotFound");
        expect_refusal(stage, "&InstanceId.1=i-00000001", 403, "UnauthorizedOperation");
        expect_terminated(stage, "InstanceId.1=i-00000002");
        for (int i = 0; i < 2; i++)
                stage_expect_sent(stage, "sqs.test/dead");
        queued_batch(stage, messages, 2);
        assert_logged(stage, "their instances are not terminated");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(without_a_jit_configuration_the_instance_goes),
                TEST(without_a_parameter_the_runner_goes_as_well),
                TEST(an_unknown_instance_does_not_save_the_others),
                TEST(what_cannot_be_undone_is_logged),
                TEST(an_instance_that_stays_is_logged),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
