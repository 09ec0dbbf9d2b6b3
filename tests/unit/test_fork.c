/* SPDX-License-Identifier: MIT */

/*
 * Public repositories: before anything is launched, GitHub says whether a run comes from a fork.
 */

#include <stdlib.h>

#include "queued_stage.h"

#define RUN_URL STAGE_GITHUB "/repos/o/r/actions/runs/2"
#define PUBLIC ",\"public\":1"
#define OWN "{\"id\":5}"
#define FORK "{\"id\":6}"
#define TOLD "A fork's pull request gets no machine in o/r"

static void expect_run_at(struct stage *stage, const char *url, const char *head)
{
        _cleanup_free_ char *answer =
                mem_format("{\"id\":2,\"run_number\":1,\"workflow_id\":3,\"status\":\"queued\","
                           "\"repository\":{\"id\":5},\"head_repository\":%s}",
                        head);

        script_expect(stage->script, "GET", url, NULL, 200, answer);
}

static void expect_run(struct stage *stage, const char *head)
{
        expect_run_at(stage, RUN_URL, head);
}

static void expect_served(struct stage *stage, int instance)
{
        expect_launch(stage, NULL, instance, instance);
        expect_registration(stage, instance);
}

static void expect_recall(struct stage *stage, const char *status)
{
        _cleanup_free_ char *answer = mem_format("{\"status\":\"%s\"}", status);

        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
        script_expect(
                stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/jobs/1", NULL, 200, answer);
}

static const char *check(struct stage *stage, int job)
{
        return queued_one(stage, queued_job_with(job, "linux", PUBLIC));
}

static void a_run_of_the_repository_itself_is_launched_and_asked_for_once(void **state)
{
        struct stage *stage = *state;

        expect_run(stage, OWN);
        expect_served(stage, 1);
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
        expect_served(stage, 2);
        assert_string_equal(check(stage, 2), STAGE_NONE_FAILED);
        script_sleep(stage->script, 23 * 60 * 60 * MSEC_PER_SEC);
        expect_recall(stage, "queued");
        expect_served(stage, 3);
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
        script_sleep(stage->script, 60 * 60 * MSEC_PER_SEC);
        expect_run(stage, OWN);
        expect_recall(stage, "queued");
        expect_served(stage, 4);
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
}

static void a_private_repository_asks_nothing(void **state)
{
        struct stage *stage = *state;

        expect_served(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void a_spec_that_allows_forks_asks_nothing(void **state)
{
        struct stage *stage = *state;
        char **allowed = &stage->scaler.config->specs[0].fork_pull_requests;

        free(*allowed);
        *allowed = mem_string(CONFIG_FORKS_ALLOW);
        expect_served(stage, 1);
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
}

/* GitHub names no repository once that was deleted. */
static void a_fork_gets_no_machine_and_people_are_told_once_a_run(void **state)
{
        static const char *const heads[] = {FORK, "null", "{\"id\":0}"};

        for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
                struct stage *stage = *state;

                stage->scaler.runs = (struct recent){0};
                expect_run(stage, heads[i]);
                stage_expect_sent(stage, TOLD);
                assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
                assert_logged(stage,
                        "\"message\":\"job refused: its run comes from a fork\",\"job\":1,"
                        "\"repository\":\"o/r\",\"spec\":\"linux\",\"run\":2");
                assert_logged(stage, "\"ForkJobsRefused\":1");
                assert_string_equal(check(stage, 2), STAGE_NONE_FAILED);
                assert_logged(stage, "comes from a fork\",\"job\":2");
        }
}

static void people_are_told_with_the_link(void **state)
{
        struct stage *stage = *state;

        expect_run(stage, FORK);
        stage_expect_sent(stage, TOLD);
        assert_string_equal(queued_one(stage, queued_job_with(1, "linux",
                                                      PUBLIC ",\"url\":\"https://github.test/j\"")),
                STAGE_NONE_FAILED);
        assert_sent(stage, "https://github.test/j");
        assert_sent(stage, "{\\\"name\\\":\\\"Job\\\",\\\"value\\\":\\\"build\\\"}");
        assert_sent(stage, "\\\"severity\\\":\\\"info\\\"");
}

/* What GitHub has never answered yet is no permission. */
static void a_run_that_names_no_repository_is_refused(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "GET", RUN_URL, NULL, 200,
                "{\"id\":2,\"run_number\":1,\"workflow_id\":3,\"status\":\"queued\"}");
        stage_expect_sent(stage, TOLD);
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
}

/* Its message comes again, and so does the question. */
static void a_refusal_that_people_were_not_told_is_no_end(void **state)
{
        struct stage *stage = *state;

        expect_run(stage, FORK);
        script_expect(stage->script, "POST", STAGE_SQS, TOLD, 400,
                "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}");
        assert_string_equal(check(stage, 1), STAGE_FAILED("m1"));
        assert_not_logged(stage, "ForkJobsRefused");
        expect_run(stage, FORK);
        stage_expect_sent(stage, TOLD);
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
}

/* Whatever order they come in: one question for a run, and its answer for all of its jobs. */
static void the_jobs_of_a_batch_are_judged_by_their_runs(void **state)
{
        struct stage *stage = *state;
        const char *of_other_run =
                "{\"action\":\"queued\",\"id\":3,\"run_id\":9,\"attempt\":1,\"repository\":\"o/r\","
                "\"labels\":[\"linux\"],\"spec\":\"linux\",\"instance_type\":\"m7i.large\","
                "\"webhook_ms\":1767323044000,\"public\":1}";
        const struct stage_message messages[] = {
                {"a", queued_job_with(1, "linux", PUBLIC), 0, NULL},
                {"b", of_other_run, 0, NULL},
                {"c", queued_job_with(2, "linux", PUBLIC), 0, NULL},
                {"d", queued_job(4, "linux"), 0, NULL},
        };

        expect_served(stage, 4);
        expect_run(stage, FORK);
        expect_run_at(stage, STAGE_GITHUB "/repos/o/r/actions/runs/9", OWN);
        expect_served(stage, 3);
        stage_expect_sent(stage, TOLD);
        assert_string_equal(queued_batch(stage, messages, 4), STAGE_NONE_FAILED);
        assert_logged(stage, "comes from a fork\",\"job\":1");
        assert_logged(stage, "comes from a fork\",\"job\":2");
        assert_not_logged(stage, "comes from a fork\",\"job\":3");
}

/* It may be deleted, or GitHub may not know it for a while: its jobs are asked for later. */
static void the_jobs_of_a_run_that_github_does_not_know_wait(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "GET", RUN_URL, NULL, 404, "{\"message\":\"Not Found\"}");
        stage_expect_sent(stage, "sqs.test/parked");
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
        assert_logged(stage, "held by GitHub");
        assert_sent(stage, "\\\"stale\\\":1,");
}

/* And nothing more is asked while it does: that is when it has failed for another run, too. */
static void while_github_fails_the_job_waits(void **state)
{
        static const char other[] =
                "{\"action\":\"queued\",\"id\":3,\"run_id\":9,\"attempt\":1,\"repository\":\"o/r\","
                "\"labels\":[\"linux\"],\"spec\":\"linux\",\"instance_type\":\"m7i.large\","
                "\"webhook_ms\":1767323044000" PUBLIC "}";
        struct stage *stage = *state;

        script_serve(stage->script, "GET", RUN_URL, NULL, 503, "{}");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
        assert_logged(stage, "\"message\":\"waiting\",\"job\":1");
        script_serve(
                stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/runs/9", NULL, 503, "{}");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(queued_one(stage, other), STAGE_NONE_FAILED);
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "was not asked whether the job's run");
        assert_string_equal(check(stage, 2), STAGE_NONE_FAILED);
}

static void without_a_token_the_job_waits(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        script_expect(stage->script, "POST", "/access_tokens", NULL, 401, "{\"message\":\"bad\"}");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", PUBLIC ",\"installation\":4711")),
                STAGE_NONE_FAILED);
}

/* A permission that is missing is no reason to launch. */
static void an_answer_that_is_final_makes_a_dead_letter(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "GET", RUN_URL, NULL, 403, "{\"message\":\"no\"}");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(check(stage, 1), STAGE_NONE_FAILED);
        assert_not_logged(stage, "ForkJobsRefused");
}

/* Both are asked at the same time. */
static void what_is_not_fresh_is_recalled_and_checked(void **state)
{
        struct stage *stage = *state;
        const char *body = queued_job_with(1, "linux", PUBLIC ",\"stale\":1");

        expect_run(stage, OWN);
        expect_recall(stage, "queued");
        expect_served(stage, 1);
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        stage->scaler.runs = (struct recent){0};
        expect_run(stage, FORK);
        expect_recall(stage, "completed");
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        assert_logged(stage, "job waits no longer");
        assert_not_logged(stage, "comes from a fork");
        expect_run(stage, FORK);
        expect_recall(stage, "queued");
        stage_expect_sent(stage, TOLD);
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_run_of_the_repository_itself_is_launched_and_asked_for_once),
                TEST(a_private_repository_asks_nothing),
                TEST(a_spec_that_allows_forks_asks_nothing),
                TEST(a_fork_gets_no_machine_and_people_are_told_once_a_run),
                TEST(people_are_told_with_the_link),
                TEST(a_run_that_names_no_repository_is_refused),
                TEST(a_refusal_that_people_were_not_told_is_no_end),
                TEST(the_jobs_of_a_batch_are_judged_by_their_runs),
                TEST(the_jobs_of_a_run_that_github_does_not_know_wait),
                TEST(while_github_fails_the_job_waits),
                TEST(without_a_token_the_job_waits),
                TEST(an_answer_that_is_final_makes_a_dead_letter),
                TEST(what_is_not_fresh_is_recalled_and_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
