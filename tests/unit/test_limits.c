/* SPDX-License-Identifier: MIT */

/*
 * Limits of machines: no more are launched than a limit has room for, and the jobs beyond it wait
 * in line.
 */

#include <stdio.h>
#include <string.h>

#include "job/limits.h"
#include "queued_stage.h"

/* -- machines, lines, batches -- */

#define TAG STAGE_TAG
#define MACHINE STAGE_INSTANCE
#define OF(spec, repository) TAG("scale-agent:spec", spec) TAG("scale-agent:repository", repository)
#define LISTED "Filter.1.Name=tag%3Ascale-agent%3Aprefix&Filter.1.Value.1=%2Fp"

static void expect_page(
        struct stage *stage, const char *body, const char *machines, const char *next)
{
        _cleanup_free_ char *xml = mem_format(
                "<DescribeInstancesResponse><reservationSet><item><instancesSet>%s</instancesSet>"
                "</item></reservationSet>%s</DescribeInstancesResponse>",
                machines, next);

        script_expect(stage->script, "POST", STAGE_EC2, body, 200, xml);
}

static void expect_living(struct stage *stage, const char *machines)
{
        expect_instances(stage, LISTED, machines);
}

static void expect_line(struct stage *stage, int visible, int hidden)
{
        stage_expect_count(stage, "limited.fifo", visible, hidden);
}

static void expect_told(struct stage *stage)
{
        stage_expect_sent(stage, "wait: limit reached");
}

static void expect_waits(struct stage *stage, int job)
{
        _cleanup_free_ char *body =
                mem_format("\\\"action\\\":\\\"limited\\\",\\\"id\\\":%d,", job);

        stage_expect_sent(stage, body);
}

static const char *launch(struct stage *stage, int n, const char *spec, const char *more)
{
        struct stage_message messages[8];
        static char ids[8][8];

        for (int i = 0; i < n; i++) {
                snprintf(ids[i], sizeof(ids[i]), "m%d", i + 1);
                messages[i] =
                        (struct stage_message){ids[i], queued_job_with(i + 1, spec, more), 0, NULL};
        }
        return queued_alone(stage, messages, (size_t)n);
}

static int64_t room(struct stage *stage, const char *spec, const char *repository)
{
        const struct config *config = stage->scaler.config;
        enum limit limit;

        return limits_room(
                &stage->scaler, config, config_spec_by_name(config, spec), repository, &limit);
}

/* -- queued -- */

static void no_more_are_launched_than_there_is_room_for(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 3;
        expect_living(stage, MACHINE("i-000000a1", "running", OF("fallback", "o/x"))
                                     MACHINE("i-000000a2", "shutting-down", OF("linux", "o/r")));
        expect_line(stage, 0, 0);
        expect_launch(stage, "MaxCount=2&", 1, 2);
        expect_waits(stage, 3);
        expect_told(stage);
        expect_waits(stage, 4);
        expect_waits(stage, 5);
        assert_string_equal(launch(stage, 5, "linux", ""), STAGE_NONE_FAILED);
        assert_sent(stage, "\"QueueUrl\":\"https://sqs.test/limited.fifo\"");
        assert_sent(stage, "\"MessageGroupId\":\"linux/o/r\"");
        assert_sent(stage, "\"MessageDeduplicationId\":\"5-1-0-0-0\"");
        assert_sent(stage, "\\\"limited\\\":1,");
        assert_sent(stage, "\\\"stale\\\":1");
        assert_logged(stage, "\"reason\":\"limit reached\"");
        assert_logged(stage, "max_machines: 3 machines live");
        assert_logged(stage, "\"AtLimit\":1");
}

/* It has waited before: its place is not behind those that have not. */
static void one_that_lost_its_machine_has_a_place_of_its_own(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_instances(stage, "Value.1=%2A%2F1-1-1%2F%2A", "");
        script_expect(stage->script, "GET", "/repos/o/r/actions/jobs/1", NULL, 200,
                "{\"status\":\"queued\"}");
        expect_living(stage, MACHINE("i-000000a1", "running", OF("linux", "o/x")));
        stage_expect_sent(
                stage, "\"MessageGroupId\":\"1\",\"MessageDeduplicationId\":\"1-1-1-0-0\"");
        expect_told(stage);
        assert_string_equal(launch(stage, 1, "linux", ",\"launch\":1"), STAGE_NONE_FAILED);
}

/* Nobody else knows of it. */
static void one_that_cannot_wait_comes_again(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, MACHINE("i-000000a1", "running", OF("linux", "o/x")));
        script_expect(stage->script, "POST", STAGE_SQS, "limited.fifo", 403,
                "{\"__type\":\"AccessDenied\"}");
        assert_string_equal(launch(stage, 1, "linux", ""), STAGE_FAILED("m1"));
        assert_logged(stage, "job 1 could not wait at its limit: ");
}

static void machines_count_on_all_pages(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->specs[0].max_machines = 2;
        expect_page(stage, LISTED, MACHINE("i-000000a1", "running", OF("linux", "o/x")),
                "<nextToken>more</nextToken>");
        expect_page(
                stage, "NextToken=more", MACHINE("i-000000a2", "pending", OF("linux", "o/y")), "");
        expect_waits(stage, 1);
        expect_told(stage);
        assert_string_equal(launch(stage, 1, "linux", ""), STAGE_NONE_FAILED);
        assert_logged(stage, "max_machines of spec linux: 2 machines live");
}

static void a_spec_without_a_limit_asks_nobody(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->specs[0].max_machines = 1;
        expect_launch(stage, "MaxCount=2&", 1, 2);
        assert_string_equal(launch(stage, 2, "fallback", ""), STAGE_NONE_FAILED);
}

/* Machines of an older release show theirs by their scope. Case does not count. */
static void a_repository_has_a_limit_of_its_own(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines_per_repository = 2;
        expect_living(stage, MACHINE("i-000000a1", "running", OF("linux", "O/R"))
                                     MACHINE("i-000000a2", "running",
                                             TAG("scale-agent:spec", "fallback")
                                                     TAG("scale-agent:scope", "repos/o/other"))
                                             MACHINE("i-000000a3", "stopped", OF("linux", "o/r")));
        expect_line(stage, 0, 0);
        expect_launch(stage, "MaxCount=1&", 1, 1);
        expect_waits(stage, 2);
        expect_told(stage);
        assert_string_equal(launch(stage, 2, "linux", ""), STAGE_NONE_FAILED);
        assert_logged(stage, "max_machines_per_repository: 2 machines live for o/r");
        assert_int_equal(room(stage, "linux", "o/other"), 1);
        assert_int_equal(room(stage, "linux", "o/third"), 2);
}

#define OF_ORGANIZATION(id, repository)                                         \
        "{\"action\":\"queued\",\"id\":" id                                     \
        ",\"run_id\":2,\"attempt\":1,\"repository\":\"" repository              \
        "\",\"name\":\"build\",\"labels\":[\"org\"],\"spec\":\"organization\"," \
        "\"instance_type\":\"m7g.large\",\"webhook_ms\":1767323044000}"
#define REPOSITORY_TAGGED(repository) \
        "Key=scale-agent%3Arepository&TagSpecification.1.Tag.8.Value=" repository

/* EC2 gives all machines of a launch the same tags. */
static void where_repositories_count_each_has_a_launch_of_its_own(void **state)
{
        struct stage *stage = *state;
        const struct stage_message both[] = {{"a", OF_ORGANIZATION("1", "o/r"), 0, NULL},
                {"b", OF_ORGANIZATION("2", "o/s"), 0, NULL}};

        expect_launch(stage, "MaxCount=2&", 1, 2);
        assert_string_equal(queued_alone(stage, both, 2), STAGE_NONE_FAILED);
        assert_not_sent(stage, "scale-agent%3Arepository");
        stage->scaler.config->max_machines_per_repository = 5;
        expect_living(stage, "");
        expect_line(stage, 0, 0);
        expect_launch(stage, REPOSITORY_TAGGED("o%2Fr"), 1, 1);
        expect_launch(stage, REPOSITORY_TAGGED("o%2Fs"), 2, 2);
        assert_string_equal(queued_alone(stage, both, 2), STAGE_NONE_FAILED);
}

/* Where runners are a repository's own, the tag says which. */
static void machines_are_tagged_with_their_repository(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, REPOSITORY_TAGGED("o%2Fr"), 1, 1);
        assert_string_equal(launch(stage, 1, "linux", ""), STAGE_NONE_FAILED);
}

static void who_waits_comes_before_a_new_job(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 3;
        expect_living(stage, "");
        expect_line(stage, 0, 1);
        expect_waits(stage, 1);
        expect_told(stage);
        expect_waits(stage, 2);
        assert_string_equal(launch(stage, 2, "linux", ""), STAGE_NONE_FAILED);
        assert_logged(stage, "other jobs wait at a limit, and come first");
}

static void expect_recall(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_EC2,
                "Filter.1.Name=tag%3Ascale-agent%3Alaunches", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
        script_expect(
                stage->script, "GET", "/actions/jobs/1", NULL, 200, "{\"status\":\"queued\"}");
}

/* One whose turn it is, and one that replaces a machine. */
static void some_do_not_queue_up_again(void **state)
{
        static const char *const jobs[] = {
                ",\"limited\":1,\"stale\":1", ",\"launch\":1,\"stale\":1"};

        for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
                struct stage *stage = *state;

                stage->scaler.config->max_machines = 10;
                expect_recall(stage);
                expect_living(stage, "");
                expect_launch(stage, "MaxCount=1&", 1, 1);
                assert_string_equal(launch(stage, 1, "linux", jobs[i]), STAGE_NONE_FAILED);
        }
}

/* Where it is full, they wait by themselves: the line has gone on. */
static void they_wait_past_the_line(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_recall(stage);
        expect_living(stage, MACHINE("i-000000a1", "running", OF("linux", "o/r")));
        expect_waits(stage, 1);
        expect_told(stage);
        assert_string_equal(
                launch(stage, 1, "linux", ",\"limited\":1,\"stale\":1"), STAGE_NONE_FAILED);
        assert_logged(stage, "limit reached");
        expect_recall(stage);
        expect_living(stage, MACHINE("i-000000a1", "running", OF("linux", "o/r")));
        expect_waits(stage, 1);
        stage_expect_sent(stage, "limit reached");
        assert_string_equal(
                launch(stage, 1, "linux", ",\"launch\":1,\"stale\":1"), STAGE_NONE_FAILED);
}

/* What has a machine needs no other. */
static void an_adopted_machine_needs_no_room(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        script_expect(stage->script, "POST", STAGE_EC2,
                "Filter.1.Name=tag%3Ascale-agent%3Alaunches", 200,
                "<DescribeInstancesResponse><reservationSet><item><instancesSet>" MACHINE(
                        "i-000000a1", "running",
                        TAG("scale-agent:launches", "/1-1-0/") TAG("scale-agent:prefix",
                                "/p")) "</instancesSet></item></reservationSet></"
                                       "DescribeInstancesResponse>");
        script_expect(
                stage->script, "GET", "/actions/jobs/1", NULL, 200, "{\"status\":\"queued\"}");
        assert_string_equal(launch(stage, 1, "linux", ",\"stale\":1"), STAGE_NONE_FAILED);
        assert_not_logged(stage, "limit reached");
}

/* EC2 may show a new machine only after some seconds. */
static void what_was_launched_a_moment_ago_counts(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 2;
        expect_living(stage, "");
        expect_line(stage, 0, 0);
        expect_launch(stage, "MaxCount=1&", 1, 1);
        assert_string_equal(launch(stage, 1, "linux", ""), STAGE_NONE_FAILED);
        assert_int_equal(room(stage, "linux", "o/r"), 1);
        /* Shown, it counts once; */
        expect_living(stage, MACHINE("i-00000001", "running",
                                     OF("linux", "o/r") TAG("scale-agent:launches", "/1-1-0/")));
        expect_line(stage, 0, 0);
        expect_launch(stage, "MaxCount=1&", 2, 2);
        assert_string_equal(
                queued_alone(stage,
                        &(const struct stage_message){"a", queued_job(2, "linux"), 0, NULL}, 1),
                STAGE_NONE_FAILED);
        /* and one that is not shown after a while has ended: it counts no longer. */
        script_sleep(stage->script, 19 * MSEC_PER_SEC);
        assert_int_equal(room(stage, "linux", "o/r"), 0);
        script_sleep(stage->script, 1 * MSEC_PER_SEC);
        expect_living(stage, "");
        expect_line(stage, 0, 0);
        expect_launch(stage, "MaxCount=2&", 3, 4);
        assert_string_equal(launch(stage, 2, "linux", ",\"attempt\":2"), STAGE_NONE_FAILED);
}

/* The next launch of a job follows a machine that has ended. */
static void what_is_replaced_counts_no_longer(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, "");
        expect_line(stage, 0, 0);
        expect_launch(stage, "MaxCount=1&", 1, 1);
        assert_string_equal(launch(stage, 1, "linux", ""), STAGE_NONE_FAILED);
        expect_recall(stage);
        expect_living(stage, "");
        expect_launch(stage, "MaxCount=1&", 2, 2);
        assert_string_equal(
                launch(stage, 1, "linux", ",\"launch\":1,\"stale\":1"), STAGE_NONE_FAILED);
}

static void what_was_not_launched_leaves_its_room(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 2;
        expect_living(stage, "");
        expect_line(stage, 0, 0);
        expect_no_capacity(stage, "MaxCount=1&");
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/parked\"");
        stage_expect_sent(stage, "no capacity");
        assert_string_equal(launch(stage, 1, "fallback", ""), STAGE_NONE_FAILED);
        assert_int_equal(room(stage, "linux", "o/r"), 2);
}

/* EC2 may have launched it. */
static void what_may_have_been_launched_counts(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 2;
        expect_living(stage, "");
        expect_line(stage, 0, 0);
        for (int i = 0; i < 6; i++)
                expect_refusal(stage, "MaxCount=1&", 503, "ServiceUnavailable");
        stage_expect_sent(stage, "\"MessageGroupId\":\"o/r\",\"DelaySeconds\":300}");
        stage_expect_sent(stage, "no answer");
        assert_string_equal(launch(stage, 1, "linux", ""), STAGE_NONE_FAILED);
        script_sleep(stage->script, 59 * MSEC_PER_SEC);
        assert_int_equal(room(stage, "linux", "o/r"), 1);
}

/* A limit that holds only sometimes is none. */
static void while_ec2_does_not_answer_nothing_is_launched(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 2;
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", STAGE_EC2, LISTED, 503,
                        "<Response><Errors><Error><Code>Unavailable</Code></Error></Errors>"
                        "</Response>");
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/parked\"");
        stage_expect_sent(stage, "AWS refuses");
        assert_string_equal(launch(stage, 1, "linux", ""), STAGE_NONE_FAILED);
        assert_logged(stage, "machines could not be counted");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(no_more_are_launched_than_there_is_room_for),
                TEST(one_that_lost_its_machine_has_a_place_of_its_own),
                TEST(one_that_cannot_wait_comes_again),
                TEST(machines_count_on_all_pages),
                TEST(a_spec_without_a_limit_asks_nobody),
                TEST(a_repository_has_a_limit_of_its_own),
                TEST(where_repositories_count_each_has_a_launch_of_its_own),
                TEST(machines_are_tagged_with_their_repository),
                TEST(who_waits_comes_before_a_new_job),
                TEST(some_do_not_queue_up_again),
                TEST(they_wait_past_the_line),
                TEST(an_adopted_machine_needs_no_room),
                TEST(what_was_launched_a_moment_ago_counts),
                TEST(what_is_replaced_counts_no_longer),
                TEST(what_was_not_launched_leaves_its_room),
                TEST(what_may_have_been_launched_counts),
                TEST(while_ec2_does_not_answer_nothing_is_launched),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
