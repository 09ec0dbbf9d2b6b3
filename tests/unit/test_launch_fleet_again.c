/* SPDX-License-Identifier: MIT */

/*
 * Launching by a fleet for jobs that were tried before: what comes again asks for the same, or
 * finds what was launched.
 */

#include <stdlib.h>
#include <string.h>

#include "fleet_stage.h"

#define FOUND(id, state, names)   \
        STAGE_INSTANCE(id, state, \
                STAGE_TAG("scale-agent:prefix", "/p") STAGE_TAG("scale-agent:launches", names))
#define LOOKED(id, state) STAGE_INSTANCE(id, state, "")
#define MARK "0123456789abcdef"

static void expect_queued(struct stage *stage, const char *job)
{
        _cleanup_free_ char *url = mem_format("%s/repos/o/r/actions/jobs/%s", STAGE_GITHUB, job);

        script_expect(stage->script, "GET", url, NULL, 200, "{\"status\":\"queued\"}");
}

static void expect_no_handover(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "\"WithDecryption\":true", 400,
                "{\"__type\":\"ParameterNotFound\"}");
}

/* A repeated token returns the first answer: whether its machine lives, only a look tells. */
static void a_repeated_fleet_is_looked_at(void **state)
{
        static const char *const states[] = {"pending", "running", "terminated"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *found = mem_format(LOOKED("i-00000001", "%s"), states[i]);

                expect_instances(stage, "tag%3Ascale-agent%3Alaunches", "");
                expect_queued(stage, "1");
                expect_fleet(stage, "CreateFleet", 1, 1, "");
                expect_instances(stage, "instance-id&Filter.1.Value.1=i-00000001", found);
                if (i == 2) {
                        expect_fleet(stage, "CreateFleet", 2, 2, "");
                        expect_instances(stage, "instance-id&Filter.1.Value.1=i-00000002", "");
                }
                if (i == 1)
                        expect_no_handover(stage);
                expect_registration(stage, i == 2 ? 2 : 1);
                assert_string_equal(queued_one(stage, queued_job_with(1, "linux", ",\"stale\":1")),
                        STAGE_NONE_FAILED);
        }
}

static void expect_empty_line(struct stage *stage)
{
        stage_expect_count(stage, "paced.fifo", 0, 0);
}

/* EC2 answers a token once more as it did the first time; what refused then may be mended. */
static void an_answer_of_old_that_launched_nothing_is_not_believed(void **state)
{
        struct stage *stage = *state;
        char tokens[3][65];
        _cleanup_free_ char *first = NULL;

        unsetenv("NOTIFY_QUEUE_URL");
        for (int i = 0; i < 3; i++) {
                const struct stage_message message = {"m1", queued_job(1, "linux"), i + 1, NULL};

                if (i > 0) {
                        expect_instances(stage, "tag%3Ascale-agent%3Alaunches", "");
                        expect_queued(stage, "1");
                        expect_empty_line(stage); /* it may stand there already */
                        expect_fleet(stage, first, 1, 0, ERROR("UnauthorizedOperation", "", ""));
                }
                expect_fleet(stage, "CreateFleet", 1, 0, ERROR("UnauthorizedOperation", "", ""));
                assert_string_equal(queued_alone(stage, &message, 1), STAGE_FAILED("m1"));
                fleet_last_token(stage, tokens[i]);
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(tokens[i], tokens[j]);
                if (i == 0)
                        first = mem_format("ClientToken=%s&", tokens[0]);
                script_sleep(stage->script, 6 * 60 * MSEC_PER_SEC);
        }
}

/* Of each, the state counts. */
static void of_a_repeated_fleet_those_that_live_are_taken(void **state)
{
        static const char *const looked[] = {
                LOOKED("i-00000002", "pending") LOOKED("i-00000001", "terminated"),
                LOOKED("i-00000002", "terminated") LOOKED("i-00000001", "pending"),
        };
        struct stage *stage = *state;

        for (int i = 0; i < 2; i++) {
                const struct stage_message messages[] = {
                        {"a", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL},
                        {"b", queued_job_with(2, "linux", ",\"stale\":1"), 0, NULL}};

                expect_instances(stage, "tag%3Ascale-agent%3Alaunches", "");
                script_expect(stage->script, "GET",
                        STAGE_GITHUB "/repos/o/r/actions/runs/2/attempts/1/jobs?", NULL, 200,
                        "{\"total_count\":2,\"jobs\":[{\"id\":1,\"status\":\"queued\"},"
                        "{\"id\":2,\"status\":\"queued\"}]}");
                expect_fleet(stage, "TotalTargetCapacity=2&", 1, 2, "");
                expect_instances(stage,
                        "instance-id&Filter.1.Value.1=i-00000001&Filter.1.Value.2=i-00000002",
                        looked[i]);
                expect_fleet(stage, "TotalTargetCapacity=1&", 3, 3, "");
                expect_instances(stage, "instance-id&Filter.1.Value.1=i-00000003",
                        LOOKED("i-00000003", "pending"));
                assert_string_equal(queued_alone(stage, messages, 2), STAGE_NONE_FAILED);
                assert_not_logged(stage, "could not be looked up");
                assert_logged(stage, i == 0 ? "\"instance\":\"i-00000002\",\"job\":2,"
                                            : "\"instance\":\"i-00000001\",\"job\":1,");
                assert_logged(stage, i == 0 ? "\"instance\":\"i-00000003\",\"job\":1,"
                                            : "\"instance\":\"i-00000003\",\"job\":2,");
        }
}

static void tokens_are_renewed_three_times(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {
                "m1", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL};

        unsetenv("NOTIFY_QUEUE_URL");
        expect_instances(stage, "tag%3Ascale-agent%3Alaunches", "");
        expect_queued(stage, "1");
        for (int i = 0; i < 4; i++) {
                expect_fleet(stage, "CreateFleet", 1, 1, "");
                expect_instances(stage, "instance-id", LOOKED("i-00000001", "terminated"));
        }
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_FAILED("m1"));
        assert_logged(stage, "EC2 returned instances that have ended");
}

/* It is a part of each machine's ARN. A function knows its own, other programs may not. */
static void an_account_that_is_not_known_is_looked_up(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", queued_job(1, "linux"), 0, NULL};
        _cleanup_free_ char *sent = NULL;

        stage->scaler.account[0] = '\0';
        expect_fleet(stage, "CreateFleet", 1, 1, "");
        expect_instances(
                stage, "instance-id&Filter.1.Value.1=i-00000001", LOOKED("i-00000001", "pending"));
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
        sent = script_take_served(stage->script, "sqs.test/register.fifo");
        assert_contains(sent, "123456789012");
}

static void machines_that_cannot_be_looked_up_are_taken(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {
                "a", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL};

        expect_instances(stage, "tag%3Ascale-agent%3Alaunches", "");
        expect_queued(stage, "1");
        expect_fleet(stage, "CreateFleet", 1, 1, "");
        expect_refusal(stage, "instance-id", 403, "UnauthorizedOperation");
        stage_expect_sent(stage, "sqs.test/register.fifo");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
        assert_logged(stage, "could not be looked up");
        assert_sent(stage, "i-00000001");
}

/* A crash after the call: each job of the batch finds the machine that is its own. */
static void each_job_recalls_its_own_machine_of_a_fleet(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL},
                {"b", queued_job_with(3, "linux", ",\"stale\":1"), 0, NULL}};

        expect_instances(stage, "tag%3Ascale-agent%3Alaunches",
                FOUND("i-0000000c", "pending", MARK "/1-1-0/2-1-0/3-1-0/")
                        FOUND("i-0000000a", "pending", MARK "/1-1-0/2-1-0/3-1-0/")
                                FOUND("i-0000000b", "pending", MARK "/1-1-0/2-1-0/3-1-0/"));
        script_expect(stage->script, "GET",
                STAGE_GITHUB "/repos/o/r/actions/runs/2/attempts/1/jobs?", NULL, 200,
                "{\"total_count\":2,\"jobs\":[{\"id\":1,\"status\":\"queued\"},"
                "{\"id\":3,\"status\":\"queued\"}]}");
        assert_string_equal(queued_alone(stage, messages, 2), STAGE_NONE_FAILED);
        for (int i = 0; i < 2; i++)
                expect_no_handover(stage);
        expect_registration(stage, 10);
        expect_registration(stage, 12);
        assert_string_equal(register_sent(stage, 1), STAGE_NONE_FAILED);
}

/* EC2 has forgotten i-00000001 of the same fleet: what is left would be the first one's by order.
 */
static void a_launched_jobs_machine_is_the_one_that_its_message_names(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", queued_job(2, "linux"), 0, NULL};

        expect_fleet(stage, "CreateFleet", 2, 2, "");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
        expect_instances(stage, "tag%3Ascale-agent%3Alaunches",
                FOUND("i-00000002", "running", MARK "/1-1-0/2-1-0/"));
        expect_no_handover(stage);
        expect_registration(stage, 2);
        script_sleep(stage->script, 10 * 60 * MSEC_PER_SEC); /* no longer new */
        assert_string_equal(register_sent(stage, 2), STAGE_NONE_FAILED);
}

/* The machine that a message names has ended, and EC2 shows it no longer. Then what was launched
 * with it is another job's, and what was launched since is its own: the message came again. */
static void after_the_machine_that_a_message_names_comes_the_one_launched_since(void **state)
{
        static const char *const times[] = {"2026-01-02T03:04:05.000Z", "2026-01-02T03:03:59.000Z"};
        struct stage *stage = *state;
        const struct stage_message message = {"a",
                queued_job_with(1, "linux",
                        ",\"stale\":1,\"instance\":\"i-0000000f\",\"launched_ms\":1767323040000"),
                0, NULL};

        for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
                _cleanup_free_ char *found = mem_format(
                        "<item><instanceId>i-00000001</instanceId><launchTime>%s</launchTime>"
                        "<tagSet>" STAGE_TAG("scale-agent:launches", MARK "/1-1-0/")
                                STAGE_TAG("scale-agent:prefix", "/p") "</tagSet></item>",
                        times[i]);
                _cleanup_free_ char *sent = NULL;

                expect_instances(stage, "tag%3Ascale-agent%3Alaunches", found);
                expect_queued(stage, "1");
                if (i == 1) {
                        expect_fleet(stage, "CreateFleet", 2, 2, "");
                        expect_instances(stage, "instance-id", "");
                }
                assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
                sent = script_take_served(stage->script, "sqs.test/register.fifo");
                assert_contains(sent, i == 0 ? "i-00000001" : "i-00000002");
        }
}

/* What was empty then says nothing about the next launch. */
static void what_was_left_out_ends_with_its_launch(void **state)
{
        static const char *const states[] = {"running", "terminated"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *sent = NULL;
                _cleanup_free_ char *found =
                        mem_format(FOUND("i-00000001", "%s", MARK "/1-1-0/"), states[i]);

                expect_instances(stage, "tag%3Ascale-agent%3Alaunches", found);
                expect_queued(stage, "1");
                if (i == 1)
                        stage_expect_sent(stage, "sqs.test/queued.fifo");
                queued_alone(stage,
                        &(const struct stage_message){"a",
                                queued_job_with(1, "linux", ",\"stale\":1,\"left_out\":\"01\""), 0,
                                NULL},
                        1);
                sent = i == 0 ? script_take_served(stage->script, "sqs.test/register.fifo")
                              : mem_string(script_last_body(stage->script));
                assert_contains(sent, i == 0 ? "i-00000001" : "\\\"launch\\\":1");
                assert_lacks(sent, "left_out");
        }
}

/* As RunInstances says it of a token. */
static void a_token_whose_machines_have_ended_is_replaced(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", queued_job(1, "linux"), 0, NULL};
        char tokens[2][65];

        unsetenv("NOTIFY_QUEUE_URL");
        for (int i = 0; i < 2; i++) {
                if (i > 0)
                        expect_refusal(stage, "CreateFleet", 400, "IdempotentInstanceTerminated");
                expect_refusal(stage, "CreateFleet", 403, "UnauthorizedOperation");
                assert_string_equal(queued_alone(stage, &message, 1), STAGE_FAILED("a"));
                fleet_last_token(stage, tokens[i]);
        }
        assert_string_not_equal(tokens[0], tokens[1]);
}

static void other_parameters_for_a_token_find_its_machines(void **state)
{
        static const char *const states[] = {"running", "terminated", NULL};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *found = NULL;

                expect_refusal(stage, "CreateFleet", 400, "IdempotentParameterMismatch");
                found = mem_format(LOOKED("i-00000001", "%s"), states[i] ? states[i] : "");
                expect_instances(stage,
                        "Filter.1.Name=tag%3Ascale-agent%3Alaunches&Filter.1.Value.1=",
                        states[i] ? found : "");
                if (i > 0)
                        expect_fleet(stage, "CreateFleet", 2, 2, "");
                if (i == 0)
                        expect_no_handover(stage);
                expect_registration(stage, i > 0 ? 2 : 1);
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fleet_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_repeated_fleet_is_looked_at),
                TEST(tokens_are_renewed_three_times),
                TEST(an_answer_of_old_that_launched_nothing_is_not_believed),
                TEST(of_a_repeated_fleet_those_that_live_are_taken),
                TEST(an_account_that_is_not_known_is_looked_up),
                TEST(machines_that_cannot_be_looked_up_are_taken),
                TEST(each_job_recalls_its_own_machine_of_a_fleet),
                TEST(a_launched_jobs_machine_is_the_one_that_its_message_names),
                TEST(after_the_machine_that_a_message_names_comes_the_one_launched_since),
                TEST(what_was_left_out_ends_with_its_launch),
                TEST(a_token_whose_machines_have_ended_is_replaced),
                TEST(other_parameters_for_a_token_find_its_machines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
