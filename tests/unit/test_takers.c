/* SPDX-License-Identifier: MIT */

/*
 * A job whose machine another one took: it gets the machine of who took it, or of who took that, as
 * long as there is one; where there is none, one more is launched, and not before.
 */

#include <stdlib.h>

#include "queued_stage.h"

#define NOW_MS 1767323045000
#define WATCHED_SINCE(launched_ms, more)                                                      \
        "{\"action\":\"watched\",\"id\":1,\"run_id\":2,\"attempt\":1,\"repository\":\"o/r\"," \
        "\"url\":\"https://github.test/"                                                      \
        "1\",\"labels\":[\"linux\"],\"spec\":\"linux\",\"instance\":"                         \
        "\"i-00000001\",\"instance_type\":\"m7i.large\",\"launched_ms\":" launched_ms more "}"
#define WATCHED(more) WATCHED_SINCE("1767322800000", more)
#define TYPED(prefix, names, type)               \
        STAGE_TAG("scale-agent:prefix", prefix)  \
        STAGE_TAG("scale-agent:launches", names) \
        STAGE_TAG("scale-agent:spec", "linux")   \
        STAGE_TAG("scale-agent:scope", "repos/o/r") STAGE_TAG("scale-agent:type", type)
#define TAGS(prefix, names) TYPED(prefix, names, "m7i.large")
#define OF(prefix, id, state, names, more) STAGE_INSTANCE(id, state, TAGS(prefix, names) more)
#define OURS(id, state, names, more) OF("/p", id, state, names, more)
/* A free machine of job 2. */
#define OTHER(tag, value, tag2, value2)                                                            \
        STAGE_INSTANCE("i-00000002", "running",                                                    \
                STAGE_TAG("scale-agent:prefix", "/p") STAGE_TAG("scale-agent:launches", "/2-1-0/") \
                        STAGE_TAG("scale-agent:type", "m7i.large") STAGE_TAG(                      \
                                "scale-agent:" tag, value) STAGE_TAG("scale-agent:" tag2, value2))
#define RUNS(job)                                                    \
        STAGE_TAG("scale-agent:job-url", "https://github.test/" job) \
        STAGE_TAG("scale-agent:job-attempt", "1")

/* Each time it is another watch, whatever BODY says. */
static const char *watch(struct stage *stage, const char *body)
{
        stage->scaler.watched = (struct recent){0};
        return stage_one(stage, watch_handle, body);
}

/* Job 1 does not run, and job 2 took its machine. */
static void expect_taken(struct stage *stage)
{
        expect_instances(stage, "job-url&Filter.1.Value.1=https", "");
        expect_instances(
                stage, "instance-id&", OURS("i-00000001", "running", "/1-1-0/", RUNS("2")));
}

/* What EC2 shows of the machines that were launched for JOB. */
static void expect_launches(struct stage *stage, int job, const char *instances)
{
        _cleanup_free_ char *filter =
                mem_format("launches&Filter.1.Value.1=%%2A%%2F%d-1-%%2A", job);

        expect_instances(stage, filter, instances);
}

static void expect_queued(struct stage *stage)
{
        script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/jobs/1", NULL, 200,
                "{\"status\":\"queued\"}");
}

/* GitHub is not asked. */
static void who_has_a_free_machine_gives_it(void **state)
{
        static const char *const machines[] = {
                OURS("i-00000002", "running", "/2-1-0/", ""),
                OURS("i-00000002", "pending", "/2-1-7/9-1-0/", ""),
                OURS("i-00000003", "running", "/2-1-0/", RUNS("3"))
                        OURS("i-00000002", "running", "/2-1-1/", ""),
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
                expect_taken(stage);
                expect_launches(stage, 2, machines[i]);
                stage_expect_sent(stage, "\"DelaySeconds\":60}]");
                assert_string_equal(watch(stage, WATCHED("")), STAGE_NONE_FAILED);
                assert_sent(stage, "\\\"waits\\\":1,");
                assert_not_sent(stage, "\\\"watches\\\"");
        }
}

static void who_lost_that_to_others_is_followed(void **state)
{
        struct stage *stage = *state;

        expect_taken(stage);
        expect_launches(stage, 2, OURS("i-00000002", "terminated", "/2-1-0/", RUNS("3")));
        expect_launches(stage, 3, OURS("i-00000003", "running", "/3-1-0/", RUNS("4")));
        expect_launches(stage, 4, OURS("i-00000004", "running", "/4-1-0/", ""));
        stage_expect_sent(stage, "\"DelaySeconds\":60}]");
        assert_string_equal(watch(stage, WATCHED("")), STAGE_NONE_FAILED);
}

#define LAUNCHED_AT(time, id, names, more)                       \
        "<item><instanceId>" id "</instanceId><launchTime>" time \
        "</launchTime><tagSet>" TAGS("/p", names) more "</tagSet></item>"

/* Whoever took the first one was missed when the second was launched. */
static void of_two_machines_of_a_taker_the_last_one_is_followed(void **state)
{
#define FIRST LAUNCHED_AT("2026-01-02T03:00:00Z", "i-00000002", "/2-1-0/", RUNS("3"))
#define SECOND LAUNCHED_AT("2026-01-02T03:02:00Z", "i-00000003", "/2-1-1/", RUNS("4"))
        static const char *const machines[] = {FIRST SECOND, SECOND FIRST};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
                expect_taken(stage);
                expect_launches(stage, 2, machines[i]);
                expect_launches(stage, 4, OURS("i-00000004", "running", "/4-1-0/", ""));
                stage_expect_sent(stage, "\"DelaySeconds\":60}]");
                assert_string_equal(watch(stage, WATCHED("")), STAGE_NONE_FAILED);
        }
}

static void where_no_machine_is_left_one_is_launched(void **state)
{
        static const char *const machines[] = {
                "",
                OURS("i-00000002", "terminated", "/2-1-0/", ""),
                OURS("i-00000002", "running", "/9-1-0/2-1-0/", ""), /* the first name's */
                OURS("i-00000002", "running", "/22-1-0/", ""),
                OURS("i-00000002", "running", "/2-1-0/", STAGE_TAG("scale-agent:idle", "1")),
                OF("/q", "i-00000002", "running", "/2-1-0/", ""),
                OTHER("spec", "large", "scope", "repos/o/r"),
                OTHER("spec", "linux", "scope", "repos/o/s"),
                OTHER("spec", "linux", "arch", "arm64"),
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
                expect_taken(stage);
                expect_launches(stage, 2, machines[i]);
                expect_queued(stage);
                stage_expect_count(stage, "register.fifo", 9, 0);
                stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
                assert_string_equal(watch(stage, WATCHED("")), STAGE_NONE_FAILED);
        }
        assert_logged(stage, "another job took its machine");
}

/* A job that names no type takes machines of any. The type that a runner has as a label counts, and
 * not the one that EC2 had. */
static void where_jobs_name_types_a_machine_of_another_does_not_do(void **state)
{
        static const char *const types[] = {"m7i.large", "m7i.2xlarge"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                _cleanup_free_ char *free_machine =
                        mem_format("<item><instanceId>i-00000002</instanceId><instanceType>"
                                   "m7a.2xlarge</instanceType><tagSet>" TYPED(
                                           "/p", "/2-1-0/", "%s") "</tagSet></item>",
                                types[i]);

                expect_taken(stage);
                expect_launches(stage, 2, free_machine);
                if (i == 1) {
                        expect_queued(stage);
                        stage_expect_count(stage, "register.fifo", 0, 0);
                }
                stage_expect_sent(stage, i == 0 ? "sqs.test/watch" : "queued.fifo");
                assert_string_equal(watch(stage, WATCHED("")), STAGE_NONE_FAILED);
        }
}

#define IN_RUN(run, id) "https://github.test/o/r/actions/runs/" run "/job/" id

/* A job with a label of its own, whose machine one without took: the taker's machine has no such
 * label. Only one of its run may have the same. */
static void who_has_a_label_of_its_own_gets_a_machine_of_its_own(void **state)
{
        static const struct {
                const char *taker;
                bool waits;
        } rows[] = {
                {IN_RUN("22", "3"), false},
                {IN_RUN("1", "3"), false},
                {IN_RUN("2", "3"), true},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *own =
                        mem_format(OURS("i-00000001", "running", "/1-1-0/",
                                           STAGE_TAG("scale-agent:job-attempt", "1")
                                                   STAGE_TAG("scale-agent:job-url", "%s")),
                                rows[i].taker);

                expect_instances(stage, "job-url&Filter.1.Value.1=https", "");
                expect_instances(stage, "instance-id&", own);
                if (rows[i].waits) {
                        expect_launches(stage, 3, OURS("i-00000003", "running", "/3-1-0/", ""));
                } else {
                        expect_queued(stage);
                        stage_expect_count(stage, "register.fifo", 0, 0);
                }
                stage_expect_sent(stage, rows[i].waits ? "sqs.test/watch" : "queued.fifo");
                assert_string_equal(
                        watch(stage, "{\"action\":\"watched\",\"id\":1,\"run_id\":2,\"attempt\":1,"
                                     "\"repository\":\"o/r\",\"url\":\"" IN_RUN(
                                             "2", "1") "\","
                                                       "\"labels\":[\"linux\",\"run-2-0\"],"
                                                       "\"spec\":\"linux\","
                                                       "\"instance\":\"i-00000001\",\"instance_"
                                                       "type\":\"m7i.large\","
                                                       "\"launched_ms\":1767322800000}"),
                        STAGE_NONE_FAILED);
        }
}

/* When a job was short, EC2 may not show its machine any more. */
static void while_many_are_registered_none_is_launched(void **state)
{
        struct stage *stage = *state;

        expect_taken(stage);
        expect_launches(stage, 2, "");
        expect_queued(stage);
        stage_expect_count(stage, "register.fifo", 12, 0);
        stage_expect_sent(stage, "\"DelaySeconds\":64}]");
        assert_string_equal(watch(stage, WATCHED("")), STAGE_NONE_FAILED);
        assert_not_logged(stage, "relaunch");
}

/* Five times, since that machine may hang. */
static void a_free_machine_is_not_waited_for_for_ever(void **state)
{
        struct stage *stage = *state;

        for (int waits = 4; waits <= 5; waits++) {
                expect_taken(stage);
                expect_launches(stage, 2, OURS("i-00000002", "running", "/2-1-0/", ""));
                if (waits == 5) {
                        expect_queued(stage);
                        stage_expect_count(stage, "register.fifo", 0, 0);
                }
                stage_expect_sent(stage, waits == 4 ? "\\\"waits\\\":5," : "queued.fifo");
                assert_string_equal(watch(stage, waits == 4 ? WATCHED(",\"waits\":4")
                                                            : WATCHED(",\"waits\":5")),
                        STAGE_NONE_FAILED);
        }
}

/* Nobody can tell where a way ends that is too long. */
static void a_way_is_followed_for_six_steps(void **state)
{
        struct stage *stage = *state;

        expect_taken(stage);
        for (int i = 0; i < 6; i++)
                expect_launches(stage, 2, OURS("i-00000002", "running", "/2-1-0/", RUNS("2")));
        expect_queued(stage);
        stage_expect_count(stage, "register.fifo", 1, 0);
        stage_expect_sent(stage, "\\\"watches\\\":1,");
        assert_string_equal(watch(stage, WATCHED("")), STAGE_NONE_FAILED);
}

static void what_ec2_does_not_tell_comes_again(void **state)
{
        struct stage *stage = *state;

        expect_taken(stage);
        expect_refusal(stage, "launches&", 403, "UnauthorizedOperation");
        assert_string_equal(watch(stage, WATCHED("")), STAGE_FAILED("m1"));
}

/* Then nobody is taken to wait. */
static void where_sqs_does_not_count_one_is_launched(void **state)
{
        struct stage *stage = *state;

        for (int refused = 0; refused <= 1; refused++) {
                expect_taken(stage);
                expect_launches(stage, 2, "");
                expect_queued(stage);
                if (refused)
                        script_expect(stage->script, "POST", STAGE_SQS, "register.fifo", 403,
                                "{\"__type\":\"AccessDenied\"}");
                else
                        stage_expect_count(stage, "register.fifo", 0, 0);
                stage_expect_sent(stage, "queued.fifo");
                assert_string_equal(watch(stage, WATCHED("")), STAGE_NONE_FAILED);
                if (refused)
                        assert_logged(stage, "waiting jobs could not be counted");
                else
                        assert_not_logged(stage, "waiting jobs could not be counted");
        }
}

static void without_a_configuration_nobody_is_looked_at(void **state)
{
        struct stage *stage = *state;

        config_free(MEM_STEAL(stage->scaler.config));
        setenv("SCALE_AGENT_CONFIG", "{}", 1);
        assert_string_equal(watch(stage, WATCHED("")), STAGE_FAILED("m1"));
        assert_int_equal(script_requests(stage->script), 0);
}

/* -- in a burst -- */

/* Without a machine of its own, the taker leaves the line; the job takes its place, and GitHub is
 * not asked. What cannot be sent comes again. */
static void who_lost_its_machine_lines_up_again(void **state)
{
        static const int statuses[] = {200, 403};
        struct stage *stage = *state;

        stage->scaler.burst_seen_ms = stage_now_ms(stage);
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                expect_taken(stage);
                expect_launches(stage, 2, "");
                stage_expect_count(stage, "register.fifo", 100, 0);
                stage_expect_count(stage, "paced.fifo", 141, 0);
                script_expect(stage->script, "POST", STAGE_SQS,
                        "{\"QueueUrl\":\"https://sqs.test/paced.fifo\"", statuses[i],
                        "{\"__type\":\"AccessDenied\"}");
                assert_string_equal(
                        watch(stage, WATCHED("")), i == 0 ? STAGE_NONE_FAILED : STAGE_FAILED("m1"));
                assert_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        }
        assert_logged(stage, "another job took its machine");
}

/* Jobs that were queued within five minutes are launched without a question, the taker as well:
 * here the last of the line is, just so, or just not. */
static void where_the_taker_is_launched_anyway_its_machine_is_waited_for(void **state)
{
        static const struct {
                const char *job;
                int in_line;
                bool waits;
        } rows[] = {
                {WATCHED(",\"queued_ms\":1767322985000"), 719, true}, /* a minute ago, 240 s */
                {WATCHED(",\"queued_ms\":1767322985000"), 720, false},
                {WATCHED(",\"webhook_ms\":1767322985000"), 719, true},
                {WATCHED(",\"queued_ms\":1767322985000"), 0, true}, /* it is in queued.fifo */
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                stage->scaler.burst_seen_ms = stage_now_ms(stage);
                expect_taken(stage);
                expect_launches(stage, 2, "");
                stage_expect_count(stage, "register.fifo", 9, 0);
                stage_expect_count(stage, "paced.fifo", rows[i].in_line, 0);
                stage_expect_sent(stage, rows[i].waits ? "sqs.test/watch" : "paced.fifo");
                assert_string_equal(watch(stage, rows[i].job), STAGE_NONE_FAILED);
        }
}

/* -- machines that boot -- */

/* For four minutes; then GitHub is asked. */
static void a_machine_that_may_still_boot_is_waited_for(void **state)
{
        struct stage *stage = *state;

        for (int seconds = 239; seconds <= 240; seconds++) {
                _cleanup_free_ char *body = mem_format(
                        WATCHED_SINCE("%lld", ""), (long long)(NOW_MS - seconds * MSEC_PER_SEC));

                expect_instances(stage, "job-url", "");
                expect_instances(
                        stage, "instance-id&", OURS("i-00000001", "running", "/1-1-0/", ""));
                if (seconds == 240)
                        expect_queued(stage);
                stage_expect_sent(
                        stage, seconds < 240 ? "\"DelaySeconds\":60}]" : "\"DelaySeconds\":240}]");
                assert_string_equal(watch(stage, body), STAGE_NONE_FAILED);
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(who_has_a_free_machine_gives_it),
                TEST(who_lost_that_to_others_is_followed),
                TEST(of_two_machines_of_a_taker_the_last_one_is_followed),
                TEST(where_no_machine_is_left_one_is_launched),
                TEST(where_jobs_name_types_a_machine_of_another_does_not_do),
                TEST(who_has_a_label_of_its_own_gets_a_machine_of_its_own),
                TEST(while_many_are_registered_none_is_launched),
                TEST(a_free_machine_is_not_waited_for_for_ever),
                TEST(a_way_is_followed_for_six_steps),
                TEST(what_ec2_does_not_tell_comes_again),
                TEST(where_sqs_does_not_count_one_is_launched),
                TEST(without_a_configuration_nobody_is_looked_at),
                TEST(who_lost_its_machine_lines_up_again),
                TEST(where_the_taker_is_launched_anyway_its_machine_is_waited_for),
                TEST(a_machine_that_may_still_boot_is_waited_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
