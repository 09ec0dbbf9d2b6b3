/* SPDX-License-Identifier: MIT */

/*
 * The pace of launches: in a burst, no more machines are launched than can be registered while they
 * boot, and the rest of the jobs wait in line.
 */

#include <stdio.h>

#include "queued_stage.h"

static void expect_count(struct stage *stage, const char *queue, int visible, int delayed)
{
        _cleanup_free_ char *body = mem_format("{\"QueueUrl\":\"https://sqs.test/%s\","
                                               "\"AttributeNames\":[",
                queue);
        _cleanup_free_ char *answer =
                mem_format("{\"Attributes\":{\"ApproximateNumberOfMessages\":\"%d\","
                           "\"ApproximateNumberOfMessagesNotVisible\":\"10\","
                           "\"ApproximateNumberOfMessagesDelayed\":\"%d\"}}",
                        visible, delayed);

        script_expect(stage->script, "POST", STAGE_SQS, body, 200, answer);
}

static int receives;

/* Ten jobs. */
static const char *full_batch(struct stage *stage, const char *more)
{
        static char bodies[10][512];
        struct stage_message messages[10];
        static char ids[10][8];

        for (int i = 0; i < 10; i++) {
                snprintf(bodies[i], sizeof(bodies[i]), "%s", queued_job_with(i + 1, "linux", more));
                snprintf(ids[i], sizeof(ids[i]), "m%d", i + 1);
                messages[i] = (struct stage_message){ids[i], bodies[i], receives, NULL};
        }
        return queued_alone(stage, messages, 10);
}

static void as_many_are_launched_as_can_be_registered_in_time(void **state)
{
        struct stage *stage = *state;

        expect_count(stage, "register.fifo", 0, 0);
        stage_expect_count(stage, "paced.fifo", 0, 0);
        expect_launch(stage, "MaxCount=10&", 1, 10);
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
        /* 10 are in flight: of 180, three are left. */
        expect_count(stage, "register.fifo", 167, 0);
        stage_expect_count(stage, "paced.fifo", 0, 0);
        expect_launch(stage, "MaxCount=3&", 1, 3);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
        for (int i = 1; i <= 10; i++) {
                _cleanup_free_ char *job = mem_format("\\\"id\\\":%d,", i);

                if (i > 3)
                        assert_sent(stage, job);
                else
                        assert_not_sent(stage, job);
        }
        /* In order, and for one process at a time. */
        assert_sent(stage, "{\\\"action\\\":\\\"paced\\\"");
        assert_sent(stage, "\"MessageGroupId\":\"0\",\"MessageDeduplicationId\":\"4-1-0-0\"");
        assert_not_sent(stage, "stale");
}

/* Whoever comes later goes to the end. */
static void behind_a_line_nobody_is_launched(void **state)
{
        struct stage *stage = *state;

        expect_count(stage, "register.fifo", 0, 0);
        expect_count(stage, "paced.fifo", 0, 0);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
        expect_count(stage, "register.fifo", 170, 0);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
}

/* It stays a message of queued.fifo. */
static void what_cannot_wait_in_line_comes_again(void **state)
{
        struct stage *stage = *state;

        expect_count(stage, "register.fifo", 170, 0);
        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/paced", 403,
                "{\"__type\":\"AccessDenied\"}");
        assert_contains(full_batch(stage, ""), "{\"itemIdentifier\":\"m10\"}");
        assert_logged(stage, "jobs could not be sent to wait in line");
}

static void few_jobs_ask_nobody(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        assert_string_equal(
                queued_alone(stage,
                        &(const struct stage_message){"a", queued_job(1, "linux"), 0, NULL}, 1),
                STAGE_NONE_FAILED);
}

/* It has had its turn. */
static void what_has_waited_in_line_is_launched(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, "MaxCount=10&", 1, 10);
        assert_string_equal(full_batch(stage, ",\"paced\":1,\"sends\":1"), STAGE_NONE_FAILED);
}

static void expect_states(struct stage *stage, const char *status)
{
        _cleanup_buf_ struct buf text = BUF_INIT(2048);

        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
        buf_add_string(&text, "{\"total_count\":10,\"jobs\":[");
        for (int i = 1; i <= 10; i++)
                buf_add_format(
                        &text, "%s{\"id\":%d,\"status\":\"%s\"}", i > 1 ? "," : "", i, status);
        buf_add_string(&text, "]}");
        script_expect(
                stage->script, "GET", "/runs/2/attempts/1/jobs", NULL, 200, buf_string(&text));
}

/* It waited for capacity, or for the end of an outage: it may have a machine already. One that has
 * none waits like any other, for an outage ends for many at once. */
static void what_is_not_its_first_try_is_asked_for_before_it_waits(void **state)
{
        struct stage *stage = *state;

        expect_states(stage, "completed");
        assert_string_equal(full_batch(stage, ",\"stale\":1"), STAGE_NONE_FAILED);

        expect_states(stage, "queued");
        expect_count(stage, "register.fifo", 167, 0);
        stage_expect_count(stage, "paced.fifo", 0, 0);
        expect_launch(stage, "MaxCount=3&", 1, 3);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        assert_string_equal(full_batch(stage, ",\"stale\":1"), STAGE_NONE_FAILED);
        assert_sent(stage, "\"MessageDeduplicationId\":\"4-1-0-0\"");
}

/* Of one that comes again, a message may stand in line already. SQS drops another one. */
static void what_comes_again_waits_at_its_place(void **state)
{
        struct stage *stage = *state;

        expect_states(stage, "queued");
        expect_count(stage, "register.fifo", 0, 0);
        expect_count(stage, "paced.fifo", 10, 0);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        receives = 2;
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
        receives = 0;
        /* What was launched for it may show only later: it is looked for again. */
        assert_sent(stage, "\\\"stale\\\":1,");
        assert_sent(stage, "\"MessageDeduplicationId\":\"10-1-0-0\"");
}

static const char *one(struct stage *stage, int id)
{
        return queued_alone(
                stage, &(const struct stage_message){"a", queued_job(id, "linux"), 0, NULL}, 1);
}

/* Jobs that come one by one, and yet faster than they can be registered: a fifth of 180 a minute is
 * a process's share. */
static void a_stream_of_few_jobs_is_no_way_past_the_line(void **state)
{
        struct stage *stage = *state;

        for (int i = 1; i <= 36; i++) {
                expect_launch(stage, NULL, i, i);
                assert_string_equal(one(stage, i), STAGE_NONE_FAILED);
        }
        expect_count(stage, "register.fifo", 170, 0);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        assert_string_equal(one(stage, 37), STAGE_NONE_FAILED);
        script_sleep(stage->script, 2 * MSEC_PER_SEC);
        expect_launch(stage, NULL, 38, 38);
        assert_string_equal(one(stage, 38), STAGE_NONE_FAILED);
}

/* As many machines that another job took are launched again at the end of a burst. */
static void the_next_launch_waits_in_line_as_well(void **state)
{
        struct stage *stage = *state;

        expect_count(stage, "register.fifo", 170, 0);
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"10-1-1-0\"");
        assert_string_equal(full_batch(stage, ",\"launch\":1,\"stale\":1"), STAGE_NONE_FAILED);
}

/* Who cannot be asked keeps nobody back. */
static void without_an_answer_all_are_launched(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, "AttributeNames", 403,
                "{\"__type\":\"AccessDenied\"}");
        expect_launch(stage, "MaxCount=10&", 1, 10);
        assert_string_equal(full_batch(stage, ""), STAGE_NONE_FAILED);
        assert_logged(stage, "launched jobs could not be counted");
}

/* -- limits that `register` has met -- */

static void expect_limit(struct stage *stage, const char *name, const char *value)
{
        _cleanup_free_ char *answer =
                mem_format("{\"Parameters\":[{\"Name\":\"/p/breakers/_limit.%s\",\"Value\":\"%s\","
                           "\"Version\":1}]}",
                        name, value);

        script_expect(stage->script, "POST", STAGE_SSM, "\"Path\":\"/p/breakers\"", 200, answer);
}

static void one_job(struct stage *stage, const char *more)
{
        const struct stage_message message = {"a", queued_job_with(1, "linux", more), 0, NULL};

        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
}

/* At 03:34:05, and it is half an hour before. */
#define LIMIT "{\\\"until_ms\\\":1767324845000,\\\"near_until_ms\\\":1767325745000}"

static void at_a_limit_that_lasts_jobs_wait_in_line(void **state)
{
        struct stage *stage = *state;

        expect_limit(stage, "4711", LIMIT);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        one_job(stage, ",\"installation\":4711");
        assert_sent(stage, "\"MessageGroupId\":\"4711\"");
        /* It is no other's. */
        expect_launch(stage, NULL, 1, 1);
        one_job(stage, ",\"installation\":4712");
}

/* One whose turn has come, and one that may have a machine, wait for the limit's last minute. */
static void what_cannot_wait_in_line_is_parked(void **state)
{
        struct stage *stage = *state;

        expect_limit(stage, "4711", LIMIT);
        stage_expect_sent(stage, "\\\"not_before_ms\\\":1767324785000");
        stage_expect_sent(stage, "wait: GitHub refuses");
        one_job(stage, ",\"installation\":4711,\"paced\":1");
}

static void when_it_is_nearly_over_the_line_is_looked_at(void **state)
{
        struct stage *stage = *state;

        expect_limit(stage, "4711", LIMIT);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        one_job(stage, ",\"installation\":4711");
        script_sleep(stage->script, 29 * 60 * MSEC_PER_SEC);
        stage->scaler.breakers_read_ms = stage_now_ms(stage);
        expect_count(stage, "register.fifo", 0, 0);
        expect_count(stage, "paced.fifo", 0, 0);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        one_job(stage, ",\"installation\":4711,\"queued_ms\":1767324785000");
        expect_count(stage, "register.fifo", 0, 0);
        stage_expect_count(stage, "paced.fifo", 0, 0);
        expect_launch(stage, NULL, 1, 1);
        one_job(stage, ",\"installation\":4711,\"queued_ms\":1767324785000");
}

static void the_limit_of_enterprises_is_not_an_installation_s(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->specs[0].enterprise = mem_string("octo-corp");
        expect_limit(stage, "enterprise", LIMIT);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        one_job(stage, ",\"installation\":4711");
        assert_sent(stage, "\"MessageGroupId\":\"enterprise\"");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(as_many_are_launched_as_can_be_registered_in_time),
                TEST(few_jobs_ask_nobody),
                TEST(behind_a_line_nobody_is_launched),
                TEST(what_cannot_wait_in_line_comes_again),
                TEST(what_has_waited_in_line_is_launched),
                TEST(what_is_not_its_first_try_is_asked_for_before_it_waits),
                TEST(what_comes_again_waits_at_its_place),
                TEST(a_stream_of_few_jobs_is_no_way_past_the_line),
                TEST(the_next_launch_waits_in_line_as_well),
                TEST(without_an_answer_all_are_launched),
                TEST(at_a_limit_that_lasts_jobs_wait_in_line),
                TEST(what_cannot_wait_in_line_is_parked),
                TEST(when_it_is_nearly_over_the_line_is_looked_at),
                TEST(the_limit_of_enterprises_is_not_an_installation_s),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
