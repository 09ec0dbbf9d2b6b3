/* SPDX-License-Identifier: MIT */

/*
 * Reports of agents: each becomes metrics, people hear of a failure, and a job that its machine did
 * not run is given back.
 */

#include "stage.h"

#define REPORT_WITH(stage, times, more)                                                           \
        "{\"source\":\"scale-agent.runner\",\"detail-type\":\"Runner Report\",\"detail\":{"       \
        "\"version\":1,\"prefix\":\"/p\",\"instance_id\":\"i-00000001\",\"stage\":\"" stage "\"," \
        "\"spec\":\"linux\",\"times\":{\"webhook\":1000,\"launched\":2000,\"agent\":9000,"        \
        "\"kernel\":8000,\"listening\":12000" times "}" more "}}"
#define REPORT(stage, more) REPORT_WITH(stage, "", more)
#define REPORT_STARTED(stage, more) REPORT_WITH(stage, ",\"job_started\":13000", more)
#define TOLD_JOB                                                  \
        ",\"job\":{\"id\":1,\"run_id\":2,\"repository\":\"o/r\"," \
        "\"url\":\"https://github.test/1\"}"

static void a_report_becomes_metrics(void **state)
{
        struct stage *stage = *state;

        assert_string_equal(
                stage_one(stage, instance_handle, REPORT("ready", "")), STAGE_NONE_FAILED);
        assert_logged(stage,
                "\"spec\":\"linux\",\"RunnerReady\":1,\"LaunchedToAgent\":7000,"
                "\"KernelToAgent\":1000,\"AgentToListening\":3000,\"WebhookToListening\":11000");
        assert_int_equal(script_requests(stage->script), 0);
}

static void a_failed_agent_is_told(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "Runner i-00000001 failed");
        assert_string_equal(stage_one(stage, instance_handle,
                                    REPORT("failed", ",\"reason\":\"no disk\"" TOLD_JOB)),
                STAGE_NONE_FAILED);
        assert_sent(stage, "no disk");
        assert_sent(stage, "\\\"key\\\":\\\"failed i-00000001\\\"");
        assert_sent(stage, "https://github.test/1");
        script_expect(stage->script, "POST", STAGE_SQS, NULL, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(stage_one(stage, instance_handle,
                                    REPORT("failed", ",\"reason\":\"no disk\"" TOLD_JOB)),
                STAGE_FAILED("m1"));
}

/* The job that a machine was launched for. */
#define JOB(relaunches)                                                                      \
        "{\"id\":1,\"run_id\":2,\"attempt\":1,\"installation\":4711,\"repository\":\"o/r\"," \
        "\"instance_type\":\"m7i.large\",\"relaunches\":" relaunches "}"

/* No job started on it, so on GitHub a job waits that has no machine. */
static void a_machine_that_failed_early_gives_its_job_back(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"launch\\\":1,\\\"relaunches\\\":2,");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(stage_one(stage, instance_handle,
                                    REPORT("failed", ",\"reason\":\"x\",\"job\":" JOB("1"))),
                STAGE_NONE_FAILED);
        assert_not_logged(stage, "Machines for job");
        /* After so many machines another one comes an hour later, and people hear of it. */
        stage_expect_sent(stage, "Machines for job 1 of o/r do not run it");
        stage_expect_sent(stage, "\"DelaySeconds\":900}");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(stage_one(stage, instance_handle,
                                    REPORT("failed", ",\"reason\":\"y\",\"job\":" JOB("5"))),
                STAGE_NONE_FAILED);
        /* A job that had started ends at GitHub, where a person can run it again. */
        stage_expect_sent(stage, "can be run again there");
        assert_string_equal(
                stage_one(stage, instance_handle, REPORT_STARTED("failed", ",\"job\":" JOB("0"))),
                STAGE_NONE_FAILED);
}

/* Every machine of that image fails in the same way. */
static void a_runner_whose_version_is_refused_gives_nothing_back(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "still waits on GitHub");
        assert_string_equal(
                stage_one(stage, instance_handle,
                        REPORT("failed", ",\"reason\":\"x\",\"exit_code\":7,\"job\":" JOB("0"))),
                STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 1);
}

/* The report comes again, and people are told then. */
static void a_job_that_cannot_be_given_back_fails_the_report(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/queued.fifo", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(
                stage_one(stage, instance_handle, REPORT("failed", ",\"job\":" JOB("0"))),
                STAGE_FAILED("m1"));
}

/* Otherwise a cancelled job would launch one machine after another. */
static void a_machine_that_nobody_needed_gives_nothing_back(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        stage_expect_sent(stage, "notify.fifo");
        assert_string_equal(
                stage_one(stage, instance_handle,
                        REPORT_WITH("failed", ",\"finished\":71999", ",\"job\":" JOB("0"))),
                STAGE_NONE_FAILED);
        stage_expect_sent(stage, "No job came to a runner of spec linux");
        assert_string_equal(
                stage_one(stage, instance_handle,
                        REPORT_WITH("failed", ",\"finished\":72000", ",\"job\":" JOB("0"))),
                STAGE_NONE_FAILED);
        /* A job came, or the runner never listened. */
        stage_expect_sent(stage, "can be run again there");
        assert_string_equal(
                stage_one(stage, instance_handle,
                        REPORT_WITH("failed", ",\"job_started\":13000,\"finished\":72000",
                                ",\"job\":" JOB("0"))),
                STAGE_NONE_FAILED);
        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(
                stage_one(stage, instance_handle,
                        "{\"source\":\"scale-agent.runner\",\"detail-type\":\"Runner Report\","
                        "\"detail\":{\"version\":1,\"prefix\":\"/"
                        "p\",\"instance_id\":\"i-00000001\","
                        "\"stage\":\"failed\",\"spec\":\"linux\",\"times\":{\"finished\":72000},"
                        "\"job\":" JOB("0") "}}"),
                STAGE_NONE_FAILED);
}

static void a_spot_loss_before_a_job_gives_the_job_back(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        assert_string_equal(
                stage_one(stage, instance_handle, REPORT("interrupted", ",\"job\":" JOB("0"))),
                STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_report_becomes_metrics),
                TEST(a_failed_agent_is_told),
                TEST(a_machine_that_failed_early_gives_its_job_back),
                TEST(a_runner_whose_version_is_refused_gives_nothing_back),
                TEST(a_job_that_cannot_be_given_back_fails_the_report),
                TEST(a_machine_that_nobody_needed_gives_nothing_back),
                TEST(a_spot_loss_before_a_job_gives_the_job_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
