/* SPDX-License-Identifier: MIT */

/*
 * A completed job: a machine is ended only where the spec asks for it and no other job runs on it,
 * and a job that failed with its machine is followed.
 */

#include <stdlib.h>

#include "stage.h"

#define JOB(id, spec, runner)                                                                     \
        "{\"action\":\"completed\",\"id\":" id ",\"run_id\":2,\"repository\":\"o/r\",\"labels\":" \
        "[],\"spec\":\"" spec "\",\"started_ms\":1000,\"completed_ms\":61000,\"conclusion\":"     \
        "\"success\",\"runner_id\":23,\"runner_name\":\"" runner "\"}"
#define RUNNER STAGE_GITHUB "/orgs/o/actions/runners/23"

/* `instance` knows whether a machine has left anything. */
static void no_machine_is_looked_after(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", JOB("1", "linux", "i-00000001"), 0, NULL},
                {"b", JOB("2", "linux", "GitHub Actions 2"), 0, NULL},
                {"c", "garbage", 0, NULL},
        };

        assert_string_equal(stage_batch(stage, completed_handle, messages, 3), STAGE_FAILED("c"));
        assert_logged(stage, "\"RunTime\":60000,\"job\":1");
        assert_int_equal(script_requests(stage->script), 0);
}

/* What GitHub does not say is not measured. */
static void a_run_time_has_a_beginning_and_an_end(void **state)
{
        static const struct {
                const char *members;
                const char *run_time; /* NULL: none */
        } rows[] = {
                {",\"started_ms\":1000,\"completed_ms\":1000,\"runner_name\":\"x\"",
                        "\"RunTime\":0,"},
                {",\"started_ms\":1,\"completed_ms\":3,\"runner_name\":\"x\"", "\"RunTime\":2,"},
                {",\"started_ms\":1000,\"completed_ms\":999,\"runner_name\":\"x\"", NULL},
                {",\"completed_ms\":1000,\"runner_name\":\"x\"", NULL},
                {",\"started_ms\":1000,\"completed_ms\":2000", NULL}, /* nobody ran it */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *body = mem_format(
                        "{\"action\":\"completed\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\","
                        "\"labels\":[],\"spec\":\"linux\"%s}",
                        rows[i].members);
                struct stage *stage;

                if (i > 0) {
                        stage_tear_down(state);
                        stage_set_up(state);
                }
                stage = *state;
                assert_string_equal(stage_one(stage, completed_handle, body), STAGE_NONE_FAILED);
                if (rows[i].run_time)
                        assert_logged(stage, rows[i].run_time);
                else
                        assert_not_logged(stage, "RunTime");
        }
}

/* Of a runner without an id nobody knows whether it has another job; one that is not named as its
 * instance is not ours. */
static void only_a_known_machine_of_ours_is_ended(void **state)
{
        static const char *const bodies[] = {
                "{\"action\":\"completed\",\"id\":1,\"run_id\":2,\"repository\":\"o/"
                "r\",\"labels\":[],"
                "\"spec\":\"organization\",\"runner_name\":\"i-00000001\"}",
                "{\"action\":\"completed\",\"id\":1,\"run_id\":2,\"repository\":\"o/"
                "r\",\"labels\":[],"
                "\"spec\":\"gone\",\"runner_id\":23,\"runner_name\":\"i-00000001\"}",
                JOB("1", "organization", "GitHub Actions 2"),
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                assert_string_equal(
                        stage_one(stage, completed_handle, bodies[i]), STAGE_NONE_FAILED);
        }
}

static void expect_machine(struct stage *stage, const char *state, const char *scope)
{
        _cleanup_free_ char *xml = mem_format(
                "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
                "<instanceId>i-00000001</instanceId><instanceState><name>%s</name></instanceState>"
                "<tagSet><item><key>scale-agent:prefix</key><value>/p</value></item>"
                "<item><key>scale-agent:scope</key><value>%s</value></item></tagSet></item>"
                "</instancesSet></item></reservationSet></DescribeInstancesResponse>",
                state, scope);

        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200, xml);
}

static void an_old_runner_is_deregistered_and_terminated(void **state)
{
        struct stage *stage = *state;

        expect_machine(stage, "running", "orgs/o");
        script_expect(stage->script, "DELETE", RUNNER, NULL, 204, "");
        script_expect(stage->script, "POST", STAGE_EC2,
                "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-00000001", 200,
                "<TerminateInstancesResponse/>");
        assert_string_equal(
                stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                STAGE_NONE_FAILED);
}

/* A token that was replaced in SSM takes effect in a warm process. */
static void a_refused_token_is_read_again(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "new-token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        expect_machine(stage, "running", "orgs/o");
        script_expect(stage->script, "DELETE", RUNNER, NULL, 401, "{\"message\":\"bad\"}");
        assert_string_equal(
                stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                STAGE_FAILED("m1"));
        expect_machine(stage, "running", "orgs/o");
        script_expect(stage->script, "DELETE", RUNNER, NULL, 422, "");
        assert_string_equal(
                stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                STAGE_NONE_FAILED);
        assert_string_equal(github_kept_token(stage->scaler.github, 0), "new-token");
}

/* No token of the App is asked for. */
static void a_runner_of_an_enterprise_is_deregistered_with_its_token(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        github_set_enterprise_token(stage->scaler.github, "classic-token");
        expect_machine(stage, "running", "enterprises/octo-corp");
        script_expect(stage->script, "DELETE",
                STAGE_GITHUB "/enterprises/octo-corp/actions/runners/23", NULL, 422, "");
        assert_string_equal(
                stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                STAGE_NONE_FAILED);
        assert_contains(script_last_headers(stage->script), "Bearer classic-token");
}

static void a_machine_that_runs_another_job_stays(void **state)
{
        struct stage *stage = *state;

        expect_machine(stage, "running", "orgs/o");
        script_expect(stage->script, "DELETE", RUNNER, NULL, 422, "{\"message\":\"busy\"}");
        assert_string_equal(
                stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                STAGE_NONE_FAILED);
        assert_logged(stage, "its machine stays");
}

/* Whoever may register a runner anywhere may name it as a machine of ours is named; and a message
 * comes twice, when EC2 knows nothing of the machine any more. */
static void a_machine_that_cannot_have_had_the_job_stays(void **state)
{
        static const char *const scopes[] = {"repos/o/other", "orgs/oo", "orgs/", "repos/o"};
        struct stage *stage = *state;

        for (size_t i = 0; i <= ARRAY_SIZE(scopes) + 1; i++) {
                if (i < ARRAY_SIZE(scopes))
                        expect_machine(stage, "running", scopes[i]);
                else if (i == ARRAY_SIZE(scopes))
                        expect_machine(stage, "terminated", "orgs/o");
                else
                        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances",
                                200,
                                "<DescribeInstancesResponse><reservationSet/></"
                                "DescribeInstancesResponse>");
                assert_string_equal(
                        stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                        STAGE_NONE_FAILED);
        }
}

/* A job may run on another spec's machine, whose runner is registered with the repository. */
static void a_runner_is_deregistered_where_its_machine_says(void **state)
{
        struct stage *stage = *state;

        expect_machine(stage, "running", "repos/O/r");
        script_expect(stage->script, "DELETE", STAGE_GITHUB "/repos/O/r/actions/runners/23", NULL,
                204, "");
        script_expect(stage->script, "POST", STAGE_EC2, "Action=TerminateInstances", 200,
                "<TerminateInstancesResponse/>");
        assert_string_equal(
                stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                STAGE_NONE_FAILED);
}

/* A warm process must not keep a token that was revoked or replaced. */
static void a_refused_token_is_replaced(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "new-token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        expect_machine(stage, "running", "orgs/o");
        script_expect(stage->script, "DELETE", RUNNER, NULL, 401, "{\"message\":\"bad\"}");
        assert_string_equal(
                stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                STAGE_FAILED("m1"));
        expect_machine(stage, "running", "orgs/o");
        script_expect(stage->script, "DELETE", RUNNER, NULL, 204, "");
        script_expect(stage->script, "POST", STAGE_EC2, "TerminateInstances", 200,
                "<TerminateInstancesResponse/>");
        assert_string_equal(
                stage_one(stage, completed_handle, JOB("1", "organization", "i-00000001")),
                STAGE_NONE_FAILED);
        assert_string_equal(github_kept_token(stage->scaler.github, 0), "new-token");
}

#define FAILED(id, conclusion)                                          \
        "{\"action\":\"completed\",\"id\":" id                          \
        ",\"run_id\":2,\"attempt\":1,\"repository\":\"o/r\","           \
        "\"labels\":[],\"spec\":\"linux\",\"conclusion\":\"" conclusion \
        "\",\"runner_id\":23,\"runner_name\":\"i-0000000" id "\"}"
#define MACHINE(id, reason, tags)                                                  \
        "<item><instanceId>i-0000000" id "</instanceId><stateReason><code>" reason \
        "</code></stateReason><tagSet>" tags "</tagSet></item>"
#define FADED(id, reason)                                                                      \
        "<item><instanceId>i-0000000" id "</instanceId><instanceState><name>terminated</name>" \
        "</instanceState><stateReason><code>" reason "</code></stateReason></item>"
#define TAKEN "Server.SpotInstanceTermination"
#define OF_OTHERS "<item><key>scale-agent:prefix</key><value>/other</value></item>"
#define OURS "<item><key>scale-agent:prefix</key><value>/p</value></item>"

/* `instance` follows a lost job only where its machine has the tag with the job; `completed` is the
 * second line. */
static void a_job_that_failed_with_its_machine_is_followed(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", FAILED("1", "failure"), 0, NULL}, {"b", FAILED("2", "success"), 0, NULL},
                {"c", FAILED("3", "cancelled"), 0, NULL}, {"d", FAILED("4", "failure"), 0, NULL},
                {"e", FAILED("5", "failure"), 0, NULL},
                {"f", FAILED("6", "failure"), 0, NULL}, /* its machine's tags are gone */
        };

        script_expect(stage->script, "POST", STAGE_EC2,
                "Value.1=i-00000001&Filter.1.Value.2=i-00000003&Filter.1.Value.3=i-00000004", 200,
                "<DescribeInstancesResponse><reservationSet><item><instancesSet>" MACHINE(
                        "1", TAKEN, OURS) MACHINE("3", TAKEN, OURS) MACHINE("4", TAKEN, OF_OTHERS)
                        MACHINE("5", "Client.InstanceInitiatedShutdown", OURS)
                                FADED("6", TAKEN) "</instancesSet></item></reservationSet></"
                                                  "DescribeInstancesResponse>");
        stage_expect_sent(stage, "{\\\"action\\\":\\\"lost\\\",\\\"id\\\":1,");
        stage_expect_sent(stage, "{\\\"action\\\":\\\"lost\\\",\\\"id\\\":3,");
        stage_expect_sent(stage, "{\\\"action\\\":\\\"lost\\\",\\\"id\\\":6,");
        assert_string_equal(stage_batch(stage, completed_handle, messages, 6), STAGE_NONE_FAILED);

        script_expect(stage->script, "POST", STAGE_EC2, NULL, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        assert_string_equal(stage_batch(stage, completed_handle, messages, 2), STAGE_FAILED("a"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(no_machine_is_looked_after),
                TEST(a_run_time_has_a_beginning_and_an_end),
                TEST(only_a_known_machine_of_ours_is_ended),
                TEST(an_old_runner_is_deregistered_and_terminated),
                TEST(a_refused_token_is_read_again),
                TEST(a_runner_of_an_enterprise_is_deregistered_with_its_token),
                TEST(a_machine_that_runs_another_job_stays),
                TEST(a_machine_that_cannot_have_had_the_job_stays),
                TEST(a_runner_is_deregistered_where_its_machine_says),
                TEST(a_refused_token_is_replaced),
                TEST(a_job_that_failed_with_its_machine_is_followed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
