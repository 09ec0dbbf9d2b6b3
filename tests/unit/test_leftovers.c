/* SPDX-License-Identifier: MIT */

/*
 * What machines have left behind goes, however many they are, and whatever fails of one.
 */

#include "machine/leftovers.h"
#include "stage.h"

#define UNKNOWN                                                                             \
        "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code></Error></Errors>" \
        "</Response>"
#define DENIED                                                                         \
        "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors>" \
        "</Response>"
#define ENDED "<TerminateInstancesResponse/>"

static const char *const ids[] = {"i-00000001", "i-00000002", "i-00000003", "i-00000004",
        "i-00000005", "i-00000006", "i-00000007", "i-00000008", "i-00000009", "i-0000000a",
        "i-0000000b", "i-0000000c"};

static int terminate(struct stage *stage, size_t n)
{
        struct err err;

        return leftovers_terminate(&stage->scaler, stage->scaler.aws, ids, n, &err);
}

static void expect_terminated(struct stage *stage, const char *body, int status, const char *answer)
{
        script_expect(stage->script, "POST", STAGE_EC2, body, status, answer);
}

/* EC2 may not know a new one yet, so it is asked again; one that it has forgotten has ended. */
static void an_instance_that_is_unknown_has_ended(void **state)
{
        struct stage *stage = *state;

        assert_int_equal(terminate(stage, 0), 0);
        for (int i = 0; i < 3; i++)
                expect_terminated(stage, "&InstanceId.1=i-00000001", 400, UNKNOWN);
        assert_int_equal(terminate(stage, 1), 0);
}

static void one_call_ends_them_all(void **state)
{
        struct stage *stage = *state;

        expect_terminated(stage, "&InstanceId.1=i-00000001&InstanceId.2=i-00000002", 200, ENDED);
        assert_int_equal(terminate(stage, 2), 0);
        expect_terminated(stage, "&InstanceId.1=i-00000001&InstanceId.2=i-00000002", 403, DENIED);
        expect_terminated(stage, "&InstanceId.1=i-00000001", 403, DENIED);
        expect_terminated(stage, "&InstanceId.1=i-00000002", 403, DENIED);
        assert_true(terminate(stage, 2) < 0);
        expect_terminated(stage, "&InstanceId.1=i-00000001", 403, DENIED);
        assert_true(terminate(stage, 1) < 0);
}

/* Each by itself then, and the first that stays is told, whichever goes. */
static void an_unknown_one_saves_no_other(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 3; i++)
                expect_terminated(stage, "InstanceId.2=", 400, UNKNOWN);
        expect_terminated(stage, "&InstanceId.1=i-00000001", 403, DENIED);
        expect_terminated(stage, "&InstanceId.1=i-00000002", 200, ENDED);
        assert_true(terminate(stage, 2) < 0);
        for (int i = 0; i < 3; i++)
                expect_terminated(stage, "InstanceId.2=", 400, UNKNOWN);
        expect_terminated(stage, "&InstanceId.1=i-00000001", 200, ENDED);
        expect_terminated(stage, "&InstanceId.1=i-00000002", 200, ENDED);
        assert_int_equal(terminate(stage, 2), 0);
}

static int delete_parameters(struct stage *stage, size_t n)
{
        _cleanup_(store_release) struct store store = {0};
        struct err err;

        store_init_ssm(&store, stage->scaler.aws, "/p", NULL);
        return leftovers_delete_handovers(&stage->scaler, &store, ids, n, &err);
}

/* SSM takes ten names at once. */
static void parameters_are_deleted_ten_at_a_time(void **state)
{
        struct stage *stage = *state;

        assert_int_equal(delete_parameters(stage, 0), 0);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/runners/i-0000000a\"]}", 200, "{}");
        assert_int_equal(delete_parameters(stage, 10), 0);
        assert_not_logged(stage, "left behind");
        script_expect(stage->script, "POST", STAGE_SSM, "/p/runners/i-0000000a\"]}", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        script_expect(stage->script, "POST", STAGE_SSM,
                "{\"Names\":[\"/p/runners/i-0000000b\",\"/p/runners/i-0000000c\"]}", 200,
                "{\"DeletedParameters\":[\"/p/runners/i-0000000b\"]}");
        assert_true(delete_parameters(stage, 12) < 0);
        assert_logged(stage, "parameters deleted that machines left behind\",\"count\":1");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_instance_that_is_unknown_has_ended),
                TEST(one_call_ends_them_all),
                TEST(an_unknown_one_saves_no_other),
                TEST(parameters_are_deleted_ten_at_a_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
