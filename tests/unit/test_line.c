/* SPDX-License-Identifier: MIT */

/*
 * The line at a limit of machines: its first looks for room, and is launched when there is some. Of
 * several lines, the one whose repository has the fewest machines comes first.
 */

#include <stdio.h>
#include <string.h>

#include "job/line.h"
#include "job/line_look.h"
#include "queued_stage.h"

#define MACHINE(id, spec, repository)               \
        STAGE_INSTANCE(id, "running",               \
                STAGE_TAG("scale-agent:spec", spec) \
                        STAGE_TAG("scale-agent:repository", repository))

static void expect_living(struct stage *stage, const char *machines)
{
        expect_instances(
                stage, "Filter.1.Name=tag%3Ascale-agent%3Aprefix&Filter.1.Value.1=%2Fp", machines);
}

/* GitHub says of job ID, of repository o/NAME, that it is in STATUS. */
static void expect_job(struct stage *stage, int id, const char *name, const char *status)
{
        _cleanup_free_ char *url = mem_format("/repos/o/%s/actions/jobs/%d", name, id);
        _cleanup_free_ char *answer = mem_format("{\"status\":\"%s\"}", status);

        script_expect(stage->script, "GET", url, NULL, 200, answer);
}

/* And of the run of all jobs, which JOBS it has. */
static void expect_run(struct stage *stage, const char *jobs)
{
        _cleanup_free_ char *answer = mem_format("{\"total_count\":3,\"jobs\":%s}", jobs);

        script_expect(stage->script, "GET", "/actions/runs/2/attempts/1/jobs?per_page=100&page=1",
                NULL, 200, answer);
}

#define BODY_SIZE 600

static void write_body(
        char body[static BODY_SIZE], int id, const char *spec, const char *name, const char *more)
{
        snprintf(body, BODY_SIZE,
                "{\"action\":\"limited\",\"id\":%d,\"run_id\":2,\"attempt\":1,\"repository\":"
                "\"o/%s\",\"name\":\"build\",\"labels\":[\"%s\"],\"spec\":\"%s\","
                "\"instance_type\":\"m7i.large\",\"stale\":1%s}",
                id, name, strcmp(spec, "gone") == 0 ? "nowhere" : "linux", spec, more);
}

static const char *look_at(struct stage *stage, int id, const char *spec, const char *name,
        const char *more, int receives)
{
        char body[BODY_SIZE];

        write_body(body, id, spec, name, more);
        return stage_batch(
                stage, admit_handle, &(const struct stage_message){"m1", body, receives, NULL}, 1);
}

static const char *look(struct stage *stage, int receives)
{
        return look_at(stage, 1, "linux", "r", ",\"limited\":1,\"sends\":1", receives);
}

#define WAITS STAGE_FAILED("m1")
#define DONE STAGE_NONE_FAILED

/* It stays where it is, at its place. A minute's looks are a line of the log. */
static void while_it_is_full_the_first_waits(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->specs[0].max_machines = 1;
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        assert_string_equal(look(stage, 1), WAITS);
        assert_not_logged(stage, "waiting");
        script_sleep(stage->script, 10 * MSEC_PER_SEC);
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        assert_string_equal(look(stage, 6), WAITS);
        assert_logged(stage, "\"message\":\"waiting\"");
        assert_logged(stage, "max_machines of spec linux: 1 machines live");
        assert_logged(stage, "\"delay_seconds\":10");
        assert_logged(stage, "\"AtLimit\":1");
}

static void a_process_counts_every_five_seconds(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        assert_string_equal(look(stage, 1), WAITS);
        assert_string_equal(look_at(stage, 2, "fallback", "s", "", 1), WAITS);
        script_sleep(stage->script, 5 * MSEC_PER_SEC);
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        assert_string_equal(look_at(stage, 2, "fallback", "s", "", 2), WAITS);
}

static void where_there_is_room_the_first_is_launched(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 2;
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        expect_job(stage, 1, "r", "queued");
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/queued.fifo\"");
        assert_string_equal(look(stage, 7), DONE);
        assert_sent(stage, "\"MessageDeduplicationId\":\"1-1-0-1\"");
        assert_sent(stage, "\"MessageGroupId\":\"1\"");
        assert_sent(stage, "\\\"action\\\":\\\"queued\\\"");
        assert_sent(stage, "\\\"limited\\\":1,");
        /* Its machine counts before EC2 shows it. */
        assert_string_equal(look_at(stage, 2, "linux", "r", "", 1), WAITS);
}

/* `queued` found no room: what was to be its machine does not stand in its way. */
static void who_comes_back_does_not_wait_for_itself(void **state)
{
        static const char *const jobs[] = {
                ",\"limited\":1,\"sends\":1", ",\"limited\":2,\"sends\":2"};
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        for (int i = 0; i < 2; i++) {
                stage->scaler.limits.counted_ms = 0;
                expect_living(stage, "");
                expect_job(stage, 1, "r", "queued");
                stage_expect_sent(stage, "queued.fifo");
                assert_string_equal(look_at(stage, 1, "linux", "r", jobs[i], 1 + i), DONE);
        }
}

/* The two may count differently for a while: the job looks no more often than any, and GitHub is
 * not asked each time; but the room is kept for it. */
static void who_comes_back_looks_later(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, "");
        assert_string_equal(look_at(stage, 1, "linux", "r", ",\"limited\":2", 1), WAITS);
        assert_string_equal(look_at(stage, 2, "linux", "s", ",\"limited\":1", 9), WAITS);
        script_sleep(stage->script, 10 * MSEC_PER_SEC);
        expect_living(stage, "");
        expect_job(stage, 1, "r", "queued");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look_at(stage, 1, "linux", "r", ",\"limited\":2", 2), DONE);
}

static void who_no_longer_waits_at_github_leaves(void **state)
{
        static const char *const states[] = {"in_progress", "completed"};

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                struct stage *stage = *state;

                stage->scaler.config->max_machines = 1;
                stage->scaler.limits.counted_ms = 0;
                expect_living(stage, "");
                expect_job(stage, 1, "r", states[i]);
                if (i > 0)
                        expect_run(stage, "[{\"id\":1,\"status\":\"completed\"}]");
                assert_string_equal(look(stage, 7), DONE);
                assert_logged(stage, "it leaves the line");
        }
        assert_int_equal(((struct stage *)*state)->scaler.limits.n_grants, 0);
}

/* One look at a run that was cancelled does for all of its jobs; one that did not end is asked for
 * as ever. */
static void a_cancelled_run_leaves_without_a_call_for_each_job(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, "");
        expect_job(stage, 1, "r", "completed");
        expect_run(stage, "[{\"id\":1,\"status\":\"completed\"},{\"id\":2,\"status\":"
                          "\"completed\"},{\"id\":3,\"status\":\"queued\"}]");
        assert_string_equal(look_at(stage, 1, "linux", "r", ",\"limited\":1", 7), DONE);
        assert_string_equal(look_at(stage, 2, "linux", "r", ",\"limited\":1", 1), DONE);
        expect_job(stage, 3, "r", "queued");
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/queued.fifo\"");
        assert_string_equal(look_at(stage, 3, "linux", "r", ",\"limited\":1", 1), DONE);
        /* Where its machine is launched, it is not asked for again. */
        assert_sent(stage, "\\\"asked_ms\\\":17673");
}

/* `queued` parks it. */
static void one_that_github_holds_is_sent_on(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, "");
        expect_job(stage, 1, "r", "waiting");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look(stage, 7), DONE);
        assert_int_equal(stage->scaler.limits.n_grants, 0);
}

static void while_github_cannot_be_asked_it_waits(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, "");
        script_expect_headers(
                stage->script, "GET", "/actions/jobs/1", NULL, 429, "Retry-After: 90\r\n", "{}");
        assert_string_equal(look(stage, 7), WAITS);
        assert_logged(stage, "there is room for a job, and GitHub cannot be asked");
}

/* It may fail for one job alone. Where it fails for two, it would for all lines: after a minute,
 * one of them asks again. */
static void while_github_fails_one_asks_for_all_lines(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 4;
        expect_living(stage, "");
        for (int i = 0; i < 6; i++)
                script_expect(stage->script, "GET", i < 3 ? "/actions/jobs/1" : "/actions/jobs/2",
                        NULL, 503, "<html>");
        assert_string_equal(look(stage, 7), WAITS);
        assert_string_equal(look_at(stage, 2, "linux", "r", "", 7), WAITS);
        assert_not_logged(stage, "GitHub is left alone for a while");
        assert_string_equal(look_at(stage, 3, "fallback", "s", "", 7), WAITS);
        assert_logged(stage, "GitHub is left alone for a while");
        script_sleep(stage->script, 60 * MSEC_PER_SEC);
        expect_living(stage, "");
        expect_job(stage, 3, "s", "queued");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look_at(stage, 3, "fallback", "s", "", 8), DONE);
}

/* So that a job which goes to and fro for minutes is asked for a few times. */
static void who_comes_back_again_and_again_looks_later_each_time(void **state)
{
        static const struct {
                int limited;
                int64_t seconds;
        } rows[] = {{2, 10}, {3, 20}, {7, 60}, {99, 60}};
        struct stage *stage = *state;

        for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
                _cleanup_(job_release) struct job job = {0};
                char body[BODY_SIZE];
                int64_t seconds;
                struct err err;

                write_body(body, 1, "linux", "r", "");
                assert_int_equal(job_parse(body, strlen(body), &job, &err), 0);
                job.limited = rows[i / 2].limited;
                stage->scaler.config->max_machines = (int64_t)i % 2; /* 0: no limit any more */
                stage->scaler.limits.counted_ms = 0;
                if (i % 2 == 1)
                        expect_living(stage, "");
                assert_int_equal(line_look(&stage->scaler, &job, 1, &seconds, &err), LINE_WAITS);
                assert_int_equal(seconds, rows[i / 2].seconds);
        }
}

static void while_ec2_cannot_be_asked_it_waits(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors>"
                "</Response>");
        assert_string_equal(look(stage, 7), WAITS);
        assert_logged(stage, "job waits at its limit");
}

/* Whatever the configuration says by now. */
static void without_a_limit_the_line_goes_on(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look(stage, 7), DONE);
        stage->scaler.config->max_machines = 1;
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look_at(stage, 1, "gone", "r", ",\"labels\":[\"nowhere\"]", 7), DONE);
}

/* `queued` may have read an older configuration, and send it back. */
static void without_a_limit_who_comes_back_waits(void **state)
{
        static const char *const specs[] = {"linux", "gone"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
                assert_string_equal(look_at(stage, 1, specs[i], "r", ",\"limited\":2", 1), WAITS);
                stage_expect_sent(stage, "queued.fifo");
                assert_string_equal(look_at(stage, 1, specs[i], "r", ",\"limited\":2", 2), DONE);
        }
}

/* SQS would make it a dead letter. */
static void after_hours_it_leaves_the_line_for_a_place_of_its_own(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        assert_string_equal(look(stage, 899), WAITS);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/limited.fifo\"");
        assert_string_equal(look(stage, 900), DONE);
        assert_sent(stage, "\"MessageGroupId\":\"1\"");
        assert_sent(stage, "\"MessageDeduplicationId\":\"1-1-0-1-1\"");
        assert_sent(stage, "\\\"limited\\\":2,");
}

/* SQS takes no more than 128 characters. */
static void a_long_repository_s_line_is_cut_off(void **state)
{
        _cleanup_free_ char *group = mem_format("\"MessageGroupId\":\"linux/o/%0120d\"", 7);
        _cleanup_free_ char *name = mem_format("%0120d00", 7);
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        stage_expect_sent(stage, group);
        assert_string_equal(look_at(stage, 1, "linux", name, "", 900), DONE);
}

/* In an outage as well, be it EC2's or GitHub's. */
static void an_outage_makes_no_dead_letter(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors>"
                "</Response>");
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/limited.fifo\"");
        assert_string_equal(look(stage, 900), DONE);
        expect_living(stage, "");
        script_expect_headers(
                stage->script, "GET", "/actions/jobs/1", NULL, 429, "Retry-After: 90\r\n", "{}");
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/limited.fifo\"");
        assert_string_equal(look(stage, 990), DONE);
        assert_sent(stage, "\"MessageGroupId\":\"1\"");
}

/* A webhook that comes again makes another message of a launch. If SQS swallowed either because of
 * the other one, in two queues, nobody would know of the job. */
static void another_message_of_a_launch_is_not_taken_for_it(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-0-1-1\"");
        assert_string_equal(look(stage, 900), DONE);
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-0-3-1\"");
        assert_string_equal(
                look_at(stage, 1, "linux", "r", ",\"limited\":1,\"sends\":3", 900), DONE);
}

/* What is wrong for good becomes one. */
static void its_last_receive_is_that_of_its_queue(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        script_expect(stage->script, "POST", STAGE_SQS, "queued.fifo", 403,
                "{\"__type\":\"AccessDenied\"}");
        expect_living(stage, "");
        expect_job(stage, 1, "r", "queued");
        assert_string_equal(look(stage, 999), WAITS);
        script_expect(stage->script, "POST", STAGE_SQS, "queued.fifo", 403,
                "{\"__type\":\"AccessDenied\"}");
        stage->scaler.limits.n_grants = 0;
        expect_job(stage, 1, "r", "queued");
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/dead\"");
        assert_string_equal(look(stage, 1000), DONE);
}

/* -- several lines -- */

/* One machine ends. Of equal lines, the one that has waited the longest comes first; */
static void who_has_looked_more_often_comes_first(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 1;
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
        assert_string_equal(look_at(stage, 1, "linux", "r", ",\"limited\":1", 5), WAITS);
        script_sleep(stage->script, 6 * MSEC_PER_SEC);
        expect_living(stage, "");
        assert_string_equal(look_at(stage, 2, "linux", "s", ",\"limited\":1", 4), WAITS);
        expect_job(stage, 1, "r", "queued");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look_at(stage, 1, "linux", "r", ",\"limited\":1", 6), DONE);
}

/* before all, the repository with the fewest machines; */
static void who_has_fewer_machines_comes_first(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 2;
        expect_living(
                stage, MACHINE("i-000000a1", "linux", "o/r") MACHINE("i-000000a2", "linux", "o/r"));
        assert_string_equal(look_at(stage, 1, "linux", "s", ",\"limited\":1", 1), WAITS);
        script_sleep(stage->script, 6 * MSEC_PER_SEC);
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/r"));
        assert_string_equal(look_at(stage, 2, "linux", "r", ",\"limited\":1", 9), WAITS);
        expect_job(stage, 1, "s", "queued");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look_at(stage, 1, "linux", "s", ",\"limited\":1", 2), DONE);
}

/* of this spec, where both wait for one of it; */
static void who_has_fewer_machines_of_the_spec_comes_first(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->specs[0].max_machines = 2;
        expect_living(stage,
                MACHINE("i-000000a1", "linux", "o/r") MACHINE("i-000000a2", "linux", "o/x") MACHINE(
                        "i-000000a3", "fallback", "o/s") MACHINE("i-000000a4", "fallback", "o/s"));
        assert_string_equal(look_at(stage, 1, "linux", "s", ",\"limited\":1", 1), WAITS);
        script_sleep(stage->script, 6 * MSEC_PER_SEC);
        expect_living(stage, MACHINE("i-000000a1", "linux", "o/r") MACHINE("i-000000a3", "fallback",
                                     "o/s") MACHINE("i-000000a4", "fallback", "o/s"));
        assert_string_equal(look_at(stage, 2, "linux", "r", ",\"limited\":1", 9), WAITS);
        expect_job(stage, 1, "s", "queued");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look_at(stage, 1, "linux", "s", ",\"limited\":1", 2), DONE);
}

/* and who had its turn already, or replaces a machine, comes before the lines. */
static void who_had_its_turn_comes_first(void **state)
{
        static const char *const jobs[] = {",\"limited\":2", ",\"launch\":1"};

        for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
                struct stage *stage = *state;

                stage->scaler.config->max_machines = 1;
                stage->scaler.limits.n_grants = 0;
                stage->scaler.limits.counted_ms = 0;
                expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
                assert_string_equal(look_at(stage, 1, "linux", "r", jobs[i], 1), WAITS);
                script_sleep(stage->script, 6 * MSEC_PER_SEC);
                expect_living(stage, "");
                assert_string_equal(look_at(stage, 2, "linux", "s", ",\"limited\":1", 9), WAITS);
                expect_job(stage, 1, "r", "queued");
                stage_expect_sent(stage, "queued.fifo");
                assert_string_equal(look_at(stage, 1, "linux", "r", jobs[i], 2), DONE);
        }
}

/* One whose own limit is full keeps nobody back, nor one that looks no longer, */
static void who_could_not_go_keeps_nobody_back(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 2;
        stage->scaler.config->specs[1].max_machines = 1;
        expect_living(stage,
                MACHINE("i-000000a1", "fallback", "o/x") MACHINE("i-000000a2", "linux", "o/x"));
        assert_string_equal(look_at(stage, 1, "fallback", "r", ",\"limited\":1", 9), WAITS);
        script_sleep(stage->script, 6 * MSEC_PER_SEC);
        expect_living(stage, MACHINE("i-000000a1", "fallback", "o/x"));
        expect_job(stage, 2, "s", "queued");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look_at(stage, 2, "linux", "s", ",\"limited\":1", 1), DONE);
}

static void who_looks_no_longer_keeps_nobody_back(void **state)
{
        static const int64_t waits_ms[] = {14 * MSEC_PER_SEC + 900, 15 * MSEC_PER_SEC};

        for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++) {
                struct stage *stage = *state;

                stage->scaler.config->max_machines = 1;
                stage->scaler.limits.n_heads = 0;
                stage->scaler.limits.counted_ms = 0;
                expect_living(stage, MACHINE("i-000000a1", "linux", "o/x"));
                assert_string_equal(look_at(stage, 1, "linux", "r", ",\"limited\":1", 9), WAITS);
                script_sleep(stage->script, waits_ms[i]);
                expect_living(stage, "");
                if (i == 1) {
                        expect_job(stage, 2, "s", "queued");
                        stage_expect_sent(stage, "queued.fifo");
                }
                assert_string_equal(look_at(stage, 2, "linux", "s", ",\"limited\":1", 1),
                        i == 1 ? DONE : WAITS);
        }
}

/* and where there is room for all, all go. */
static void room_for_all_is_for_all(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->max_machines = 2;
        expect_living(
                stage, MACHINE("i-000000a1", "linux", "o/x") MACHINE("i-000000a2", "linux", "o/x"));
        assert_string_equal(look_at(stage, 1, "linux", "r", ",\"limited\":1", 9), WAITS);
        script_sleep(stage->script, 6 * MSEC_PER_SEC);
        expect_living(stage, "");
        expect_job(stage, 2, "s", "queued");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(look_at(stage, 2, "linux", "s", ",\"limited\":1", 1), DONE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(while_it_is_full_the_first_waits),
                TEST(a_process_counts_every_five_seconds),
                TEST(where_there_is_room_the_first_is_launched),
                TEST(who_comes_back_does_not_wait_for_itself),
                TEST(who_comes_back_looks_later),
                TEST(who_no_longer_waits_at_github_leaves),
                TEST(a_cancelled_run_leaves_without_a_call_for_each_job),
                TEST(one_that_github_holds_is_sent_on),
                TEST(while_github_cannot_be_asked_it_waits),
                TEST(while_github_fails_one_asks_for_all_lines),
                TEST(who_comes_back_again_and_again_looks_later_each_time),
                TEST(while_ec2_cannot_be_asked_it_waits),
                TEST(without_a_limit_the_line_goes_on),
                TEST(without_a_limit_who_comes_back_waits),
                TEST(after_hours_it_leaves_the_line_for_a_place_of_its_own),
                TEST(a_long_repository_s_line_is_cut_off),
                TEST(an_outage_makes_no_dead_letter),
                TEST(another_message_of_a_launch_is_not_taken_for_it),
                TEST(its_last_receive_is_that_of_its_queue),
                TEST(who_has_looked_more_often_comes_first),
                TEST(who_has_fewer_machines_comes_first),
                TEST(who_has_fewer_machines_of_the_spec_comes_first),
                TEST(who_had_its_turn_comes_first),
                TEST(who_could_not_go_keeps_nobody_back),
                TEST(who_looks_no_longer_keeps_nobody_back),
                TEST(room_for_all_is_for_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
