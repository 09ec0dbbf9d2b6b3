/* SPDX-License-Identifier: MIT */

/*
 * Recalling: for a job that is not fresh, GitHub says whether it still waits, and EC2 what was
 * launched for it, before anything else is.
 */

#include <stdlib.h>

#include "queued_stage.h"

#define TAG(key, value) "<item><key>" key "</key><value>" value "</value></item>"
#define OURS TAG("scale-agent:prefix", "/p")
#define OWNED OURS TAG("scale-agent:launches", "/1-1-0/")
#define JOB_URL STAGE_GITHUB "/repos/o/r/actions/jobs/1"

/* EC2 has found the instance 1 in that STATE, with these tags; NULL: none. */
static void expect_search(struct stage *stage, const char *state, const char *tags)
{
        _cleanup_free_ char *instance = mem_format(
                "<item><ownerId>123456789012</ownerId><instancesSet><item>"
                "<instanceId>i-00000001</instanceId><instanceState><name>%s</name></instanceState>"
                "<amiLaunchIndex>0</amiLaunchIndex><tagSet>%s</tagSet></item></instancesSet></"
                "item>",
                state ? state : "", tags);
        _cleanup_free_ char *xml =
                mem_format("<DescribeInstancesResponse><reservationSet>%s</reservationSet>"
                           "</DescribeInstancesResponse>",
                        state ? instance : "");

        script_expect(stage->script, "POST", STAGE_EC2,
                "Filter.1.Name=tag%3Ascale-agent%3Alaunches&Filter.1.Value.1=%2A%2F1-1-0%2F%2A",
                200, xml);
}

static void expect_status(struct stage *stage, const char *status)
{
        _cleanup_free_ char *answer = mem_format("{\"status\":\"%s\"}", status);

        script_expect(stage->script, "GET", JOB_URL, NULL, 200, answer);
}

static const char *recall(struct stage *stage)
{
        return queued_one(stage, queued_job_with(1, "linux", ",\"stale\":1"));
}

static void a_job_that_waits_without_a_machine_is_launched(void **state)
{
        struct stage *stage = *state;

        expect_search(stage, NULL, "");
        expect_status(stage, "queued");
        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
}

#define INSTANCE(id, state, index, tags)                                                 \
        "<item><instanceId>i-0000000" id "</instanceId><instanceState><name>" state      \
        "</name></instanceState><amiLaunchIndex>" index "</amiLaunchIndex><tagSet>" tags \
        "</tagSet></item>"
#define BOTH OURS TAG("scale-agent:launches", "/1-1-0/2-1-0/")

/* All jobs of a batch are searched for at once, and each gets the machine that is its own. */
static void jobs_are_recalled_together(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"m1", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL},
                {"m2", queued_job_with(2, "linux", ",\"stale\":1"), 0, NULL},
        };

        script_expect(stage->script, "POST", STAGE_EC2,
                "Filter.1.Value.1=%2A%2F1-1-0%2F%2A&Filter.1.Value.2=%2A%2F2-1-0%2F%2A", 200,
                "<DescribeInstancesResponse><reservationSet><item><ownerId>1</ownerId>"
                "<instancesSet>" INSTANCE("1", "running", "1", BOTH)
                        INSTANCE("2", "terminated", "0", BOTH) INSTANCE("3", "running", "0",
                                OWNED) "</instancesSet></item></reservationSet></"
                                       "DescribeInstancesResponse>");
        /* They are of one run. */
        script_expect(stage->script, "GET",
                STAGE_GITHUB "/repos/o/r/actions/runs/2/attempts/1/jobs?", NULL, 200,
                "{\"total_count\":2,\"jobs\":[{\"id\":1,\"status\":\"completed\"},"
                "{\"id\":2,\"status\":\"queued\"}]}");
        script_expect(stage->script, "POST", STAGE_SSM, "\"WithDecryption\":true", 400,
                "{\"__type\":\"ParameterNotFound\"}");
        expect_registration(stage, 1);
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000001\"");
}

static void expect_page(struct stage *stage, int page, const char *answer)
{
        _cleanup_free_ char *url =
                mem_format("/actions/runs/2/attempts/1/jobs?per_page=100&page=%d", page);

        script_expect(stage->script, "GET", url, NULL, 200, answer);
}

/* A run's next page is asked for where that takes no more calls than asking for each job. */
static void a_long_run_takes_no_more_calls_than_its_jobs(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"m1", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL},
                {"m2", queued_job_with(2, "linux", ",\"stale\":1"), 0, NULL},
        };

        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
        expect_page(stage, 1, "{\"total_count\":256,\"jobs\":[{\"id\":7,\"status\":\"queued\"}]}");
        expect_page(
                stage, 2, "{\"total_count\":256,\"jobs\":[{\"id\":2,\"status\":\"completed\"}]}");
        expect_page(
                stage, 3, "{\"total_count\":256,\"jobs\":[{\"id\":1,\"status\":\"completed\"}]}");
        assert_string_equal(queued_alone(stage, messages, 2), STAGE_NONE_FAILED);

        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
        expect_page(stage, 1, "{\"total_count\":400,\"jobs\":[{\"id\":7,\"status\":\"queued\"}]}");
        for (int i = 1; i <= 2; i++) {
                _cleanup_free_ char *path = mem_format("/actions/jobs/%d", i);

                script_expect(stage->script, "GET", path, NULL, 200, "{\"status\":\"completed\"}");
        }
        assert_string_equal(queued_alone(stage, messages, 2), STAGE_NONE_FAILED);
}

/* One that has ended does not hide another one that lives. */
static void a_machine_that_lives_is_found_behind_one_that_ended(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, "%2F1-1-0%2F", 200,
                "<DescribeInstancesResponse><reservationSet><item><ownerId>1</ownerId>"
                "<instancesSet>" INSTANCE("2", "terminated", "0", OWNED)
                        INSTANCE("1", "running", "0", OWNED) INSTANCE("3", "terminated", "0",
                                OWNED) "</instancesSet></item></reservationSet></"
                                       "DescribeInstancesResponse>");
        expect_status(stage, "queued");
        script_expect(stage->script, "POST", STAGE_SSM, "\"WithDecryption\":true", 400,
                "{\"__type\":\"ParameterNotFound\"}");
        expect_registration(stage, 1);
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000001\"");
}

/* The name is in the tag, but another launch index owns it. */
static void the_machine_of_another_job_is_not_adopted(void **state)
{
        struct stage *stage = *state;

        expect_search(stage, "running", OURS TAG("scale-agent:launches", "/2-1-0/1-1-0/"));
        expect_status(stage, "queued");
        expect_launch(stage, NULL, 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
}

/* Another stack in the account serves the same job: its runner must not be replaced. */
static void the_machine_of_another_stack_is_not_adopted(void **state)
{
        static const char *const prefixes[] = {
                "", TAG("scale-agent:prefix", "/q"), TAG("scale-agent:prefix", "/p/q")};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
                _cleanup_free_ char *tags =
                        mem_format("%s" TAG("scale-agent:launches", "/1-1-0/"), prefixes[i]);

                expect_search(stage, "running", tags);
                expect_status(stage, "queued");
                expect_launch(stage, NULL, 2, 2);
                expect_registration(stage, 2);
                assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        }
}

static void a_machine_that_lives_is_adopted(void **state)
{
        struct stage *stage = *state;

        expect_search(stage, "pending", OWNED);
        expect_status(stage, "queued");
        script_expect(stage->script, "POST", STAGE_SSM, "\"WithDecryption\":true", 400,
                "{\"__type\":\"ParameterNotFound\"}");
        expect_registration(stage, 1);
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000001\"");
}

/* Its machine has ended, which counts, or has worked for another job. */
static void a_machine_that_is_of_no_use_is_replaced(void **state)
{
        struct stage *stage = *state;

        expect_search(stage, "terminated", OWNED);
        expect_status(stage, "queued");
        stage_expect_sent(stage, "\\\"launch\\\":1,\\\"relaunches\\\":1,\\\"sends\\\":1,");
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        assert_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        expect_search(stage, "running", OWNED TAG("scale-agent:job-url", "https://github.test/2"));
        expect_status(stage, "queued");
        stage_expect_sent(stage, "\\\"launch\\\":1,\\\"sends\\\":1,");
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
}

static void a_job_that_waits_no_longer_is_dropped(void **state)
{
        static const char *const statuses[] = {"in_progress", "completed"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                expect_search(stage, NULL, "");
                expect_status(stage, statuses[i]);
                assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        }
}

/* GitHub's outages answer so as well. A deleted job is given up after an hour. */
static void a_job_that_github_does_not_know_waits(void **state)
{
        const char *missing = queued_job_with(1, "linux", ",\"stale\":1,\"missing\":7");
        struct stage *stage = *state;

        expect_search(stage, NULL, "");
        script_expect(stage->script, "GET", JOB_URL, NULL, 404, "{\"message\":\"Not Found\"}");
        stage_expect_sent(stage, "\"DelaySeconds\":300}");
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"missing\\\":1,");
        expect_search(stage, NULL, "");
        script_expect(stage->script, "GET", JOB_URL, NULL, 404, "{\"message\":\"Not Found\"}");
        assert_string_equal(queued_one(stage, missing), STAGE_NONE_FAILED);
        assert_logged(stage, "job waits no longer");
        expect_search(stage, NULL, "");
        expect_status(stage, "waiting");
        stage_expect_sent(stage, "\"DelaySeconds\":300}");
        assert_string_equal(queued_one(stage, missing), STAGE_NONE_FAILED);
        assert_lacks(script_last_body(stage->script), "missing");
}

/* Also with a status that GitHub may add. */
static void a_job_that_github_holds_back_is_parked(void **state)
{
        static const char *const statuses[] = {"waiting", "pending", "requested", "new"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                expect_search(stage, NULL, "");
                expect_status(stage, statuses[i]);
                stage_expect_sent(stage, "\"DelaySeconds\":300}");
                assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        }
}

static void an_ec2_that_cannot_be_asked_parks_the_job(void **state)
{
        struct stage *stage = *state;

        script_serve(stage->script, "POST", STAGE_EC2, "DescribeInstances", 503,
                "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors>"
                "</Response>");
        expect_status(stage, "queued");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "AWS refuses");
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
}

/* A permission that is missing makes a letter at once. */
static void an_ec2_that_may_not_be_asked_makes_a_dead_letter(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, "DescribeInstances", 403, "UnauthorizedOperation");
        expect_status(stage, "queued");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        assert_sent(stage, "allow ec2:DescribeInstances in the policy of this role");
}

/* What is stored for a machine that lives is no hand-over: it gets one. */
static void a_machine_without_a_usable_hand_over_gets_another(void **state)
{
        struct stage *stage = *state;

        expect_search(stage, "running", OWNED);
        expect_status(stage, "queued");
        for (int i = 0; i < 2; i++) {
                if (i == 1) {
                        expect_jit(stage, 1);
                        expect_put(stage, 1, 400, "{\"__type\":\"ParameterAlreadyExists\"}");
                }
                script_expect(stage->script, "POST", STAGE_SSM, "\"WithDecryption\":true", 200,
                        "{\"Parameter\":{\"Value\":\"{\"}}");
        }
        script_expect(
                stage->script, "POST", STAGE_SSM, "\"Overwrite\":true", 200, "{\"Version\":2}");
        assert_string_equal(recall(stage), STAGE_NONE_FAILED);
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000001\"");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_job_that_waits_without_a_machine_is_launched),
                TEST(jobs_are_recalled_together),
                TEST(a_long_run_takes_no_more_calls_than_its_jobs),
                TEST(a_machine_that_lives_is_found_behind_one_that_ended),
                TEST(the_machine_of_another_job_is_not_adopted),
                TEST(the_machine_of_another_stack_is_not_adopted),
                TEST(a_machine_that_lives_is_adopted),
                TEST(a_machine_that_is_of_no_use_is_replaced),
                TEST(a_job_that_waits_no_longer_is_dropped),
                TEST(a_job_that_github_does_not_know_waits),
                TEST(a_job_that_github_holds_back_is_parked),
                TEST(an_ec2_that_cannot_be_asked_parks_the_job),
                TEST(an_ec2_that_may_not_be_asked_makes_a_dead_letter),
                TEST(a_machine_without_a_usable_hand_over_gets_another),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
