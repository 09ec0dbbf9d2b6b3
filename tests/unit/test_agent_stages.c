/* SPDX-License-Identifier: MIT */

/*
 * The agent's stages that talk to the network, each alone: what they ask, and what follows from the
 * answers. Their timers run in real time, so tests wait for back-offs of a fraction of a second.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "../../runner-agent/container.h"
#include "mem.h"
#include "script.h"

#define TOKEN_URL "/latest/api/token"
#define IDENTITY_URL "/latest/dynamic/instance-identity/document"
#define ROLES_URL "/latest/meta-data/iam/security-credentials/"
#define SPOT_URL "/latest/meta-data/spot/instance-action"
#define SSM_URL "https://ssm.eu-central-1.amazonaws.com"
#define EVENTS_URL "https://events.eu-central-1.amazonaws.com"
#define NAME "/scale-agent/runners/i-0123456789abcdef0"

#define IDENTITY                                                                  \
        "{\"instanceId\":\"i-0123456789abcdef0\",\"instanceType\":\"m7i.large\"," \
        "\"availabilityZone\":\"eu-central-1a\",\"region\":\"eu-central-1\","     \
        "\"accountId\":\"123456789012\"}"
#define CREDENTIALS                                                                      \
        "{\"Code\":\"Success\",\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"secret\"," \
        "\"Token\":\"session\",\"Expiration\":\"2026-01-02T09:00:00Z\"}"
#define HANDOVER                                                                                  \
        "{\\\"version\\\":1,\\\"jit_config\\\":\\\"QUJD\\\",\\\"prefix\\\":\\\"/scale-agent\\\"," \
        "\\\"spec\\\":\\\"s\\\",\\\"scope\\\":\\\"orgs/o\\\",\\\"job\\\":{\\\"id\\\":7}}"
#define FOUND "{\"Parameter\":{\"Value\":\"" HANDOVER "\"}}"
#define NOT_FOUND "{\"__type\":\"ParameterNotFound\"}"
#define DENIED "{\"__type\":\"AccessDeniedException\",\"message\":\"not authorized\"}"
#define THROTTLED "{\"__type\":\"ThrottlingException\",\"message\":\"slowly\"}"
#define EVENT_TAKEN "{\"FailedEntryCount\":0,\"Entries\":[{\"EventId\":\"1\"}]}"

/* What the stage under test told. */
static struct {
        unsigned calls;
        int result;
        struct err err;
        enum report_stage stage;
        int64_t grace_ms;
} told;

struct stand {
        struct agent agent;
        struct script *script;
};

static int make_stand(void **state)
{
        struct stand *stand = mem_alloc(sizeof(*stand));

        unsetenv("AWS_ENDPOINT_URL");
        memset(&told, 0, sizeof(told));
        agent_init(&stand->agent);
        stand->script = script_new();
        stand->agent.clock = script_clock(stand->script);
        stand->agent.http = script_http(stand->script);
        stand->agent.log.level = LOG_LEVEL_ERROR;
        stand->agent.config.identify_limit_seconds = 10;
        *state = stand;
        return 0;
}

/* As it is after identify. */
static int make_identified_stand(void **state)
{
        struct aws_credentials credentials = {
                .access_key = mem_string("AKIA"),
                .secret_key = mem_string("secret"),
        };
        struct agent *agent;

        make_stand(state);
        agent = &((struct stand *)*state)->agent;
        agent->is_identified = true;
        strcpy(agent->identity.instance_id, "i-0123456789abcdef0");
        strcpy(agent->identity.region, "eu-central-1");
        agent->metadata_token = mem_string("TOKEN");
        aws_set_credentials(agent_aws(agent), &credentials);
        return 0;
}

static int free_stand(void **state)
{
        struct stand *stand = *state;

        agent_release(&stand->agent); /* which checks that the script was followed */
        free(stand);
        return 0;
}

static void done(struct agent *agent, int result, const struct err *err)
{
        (void)agent;
        told.calls++;
        told.result = result;
        if (err)
                told.err = *err;
}

static void alarm_of_watch(
        struct agent *agent, enum report_stage stage, const char *reason, int64_t grace_ms)
{
        done(agent, 0, NULL);
        told.stage = stage;
        told.grace_ms = grace_ms;
        err_set(&told.err, 0, "%s", reason ? reason : "");
}

/* Lets the agent go on until it has told something CALLS times. */
static void go_on_until(struct stand *stand, unsigned calls)
{
        for (int i = 0; i < 500 && told.calls < calls; i++) {
                http_finish(stand->agent.http);
                sd_event_run(agent_event(&stand->agent), 10000);
        }
        assert_int_equal(told.calls, calls);
}

static void go_on(struct stand *stand, bool *condition)
{
        for (int i = 0; i < 500 && !*condition; i++) {
                http_finish(stand->agent.http);
                sd_event_run(agent_event(&stand->agent), 10000);
        }
        assert_true(*condition);
}

/* -- identify -------------------------------------------------------------------------------- */

static void expect_identity(struct script *script)
{
        script_expect(script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_expect(script, "GET", ROLES_URL, NULL, 200, "runner\n");
        script_expect(script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
}

static void test_a_machine_learns_who_it_is(void **state)
{
        struct stand *stand = *state;

        expect_identity(stand->script);
        identify_start(&stand->agent, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
        assert_true(stand->agent.is_identified);
        assert_string_equal(stand->agent.identity.instance_id, "i-0123456789abcdef0");
        assert_string_equal(stand->agent.metadata_token, "TOKEN");
        assert_true(agent_has_aws(&stand->agent));
        assert_string_equal(agent_aws(&stand->agent)->credentials.secret_key, "secret");
        assert_true(stand->agent.times[REPORT_TIME_IDENTIFIED] > 0);
}

static void test_identity_and_role_are_asked_for_at_the_same_time(void **state)
{
        struct stand *stand = *state;
        int64_t before = clock_monotonic_ms(stand->agent.clock);

        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_latency(stand->script, 100);
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_latency(stand->script, 50);
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        script_latency(stand->script, 50);
        identify_start(&stand->agent, done);
        go_on_until(stand, 1);
        assert_in_range(clock_monotonic_ms(stand->agent.clock) - before, 100, 105);
}

static void test_whatever_fails_is_asked_again(void **state)
{
        struct stand *stand = *state;

        script_expect_failure(stand->script, "PUT", TOKEN_URL, -EHOSTUNREACH);
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 500, "");
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", IDENTITY_URL, NULL, 200, "<html>");
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_latency(stand->script, 10);
        expect_identity(stand->script);
        identify_start(&stand->agent, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
}

static void test_without_metadata_it_is_no_instance(void **state)
{
        struct stand *stand = *state;

        script_expect_failure(stand->script, "PUT", TOKEN_URL, -ETIMEDOUT);
        script_latency(stand->script, 12000);
        identify_start(&stand->agent, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, -ETIMEDOUT);
        assert_false(stand->agent.is_identified);
        assert_non_null(strstr(told.err.text, "this is not an EC2 instance"));
        assert_non_null(strstr(told.err.text, "scripted failure"));
}

static void test_an_instance_without_a_role_is_an_instance(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_expect(stand->script, "GET", ROLES_URL, NULL, 404, "");
        script_latency(stand->script, 12000);
        identify_start(&stand->agent, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, -ETIMEDOUT);
        assert_true(stand->agent.is_identified);
        assert_false(agent_has_aws(&stand->agent));
        assert_non_null(strstr(told.err.text, "instance profile"));
        assert_non_null(strstr(told.err.text, "has no role"));
}

static void test_credentials_are_refreshed_without_a_second_done(void **state)
{
        struct stand *stand = *state;
        struct aws *aws;

        expect_identity(stand->script);
        identify_start(&stand->agent, done);
        go_on_until(stand, 1);
        aws = agent_aws(&stand->agent);
        mem_free_secret(MEM_STEAL(aws->credentials.secret_key));
        script_expect_failure(stand->script, "PUT", TOKEN_URL, -ETIMEDOUT);
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN2");
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        identify_refresh(&stand->agent);
        identify_refresh(&stand->agent);
        for (int i = 0; i < 500 && !aws->credentials.secret_key; i++) {
                http_finish(stand->agent.http);
                sd_event_run(agent_event(&stand->agent), 10000);
        }
        assert_string_equal(aws->credentials.secret_key, "secret");
        assert_string_equal(stand->agent.metadata_token, "TOKEN2");
        assert_int_equal(told.calls, 1);
}

/* -- receive --------------------------------------------------------------------------------- */

static void test_a_handover_is_waited_for(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", SSM_URL, NAME, 400, NOT_FOUND);
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, FOUND);
        receive_start(&stand->agent, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
        assert_true(stand->agent.has_handover);
        assert_int_equal(stand->agent.handover.job.id, 7);
        assert_string_equal(stand->agent.handover.jit_config, "QUJD");
}

static void test_the_last_refusal_is_part_of_the_reason(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        script_latency(stand->script, 600000);
        receive_start(&stand->agent, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, -ETIMEDOUT);
        assert_non_null(strstr(told.err.text, NAME " within 600 s"));
        assert_non_null(strstr(told.err.text, "ssm:GetParameter"));
}

static void test_a_garbled_handover_is_no_reason_to_wait(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", SSM_URL, NAME, 200,
                "{\"Parameter\":{\"Value\":\"TOPSECRET\"}}");
        receive_start(&stand->agent, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, -EBADMSG);
        assert_null(strstr(told.err.text, "TOPSECRET"));
        assert_true(stand->agent.receive.was_seen);
        assert_false(stand->agent.has_handover);
}

/* -- reports --------------------------------------------------------------------------------- */

static void test_reports_keep_their_order(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 400, THROTTLED);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"failed\\\"", 200, EVENT_TAKEN);
        reports_send(&stand->agent, REPORT_READY, NULL);
        reports_send(&stand->agent, REPORT_FAILED, "because");
        reports_finish(&stand->agent, 4000, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
        assert_non_null(strstr(script_last_body(stand->script), "because"));
}

static void test_an_entry_that_was_refused_is_not_sent(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200,
                "{\"FailedEntryCount\":1,\"Entries\":[{\"ErrorCode\":\"InternalFailure\"}]}");
        script_expect(stand->script, "POST", EVENTS_URL, "\\\"ready\\\"", 200, EVENT_TAKEN);
        reports_send(&stand->agent, REPORT_READY, NULL);
        reports_finish(&stand->agent, 4000, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
}

static void test_reports_give_up_in_time(void **state)
{
        struct stand *stand = *state;

        stand->agent.log.level = LOG_LEVEL_ERROR;
        script_expect(stand->script, "POST", EVENTS_URL, NULL, 400, DENIED);
        reports_send(&stand->agent, REPORT_READY, NULL);
        reports_finish(&stand->agent, 20, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, -ETIMEDOUT);
        assert_int_equal(stand->agent.reports.n_waiting, 1);
}

static void test_without_credentials_nothing_is_reported(void **state)
{
        struct stand *stand = *state;

        reports_send(&stand->agent, REPORT_FAILED, "x");
        reports_finish(&stand->agent, 1000, done);
        assert_int_equal(told.calls, 1);
        assert_int_equal(told.result, 0);
}

static void test_more_reports_than_there_can_be_are_dropped(void **state)
{
        struct stand *stand = *state;

        for (size_t i = 0; i < REPORTS_MAX; i++)
                script_expect(stand->script, "POST", EVENTS_URL, NULL, 200, EVENT_TAKEN);
        for (size_t i = 0; i < REPORTS_MAX + 3; i++)
                reports_send(&stand->agent, REPORT_READY, NULL);
        reports_finish(&stand->agent, 4000, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
}

/* -- clean up -------------------------------------------------------------------------------- */

static void test_a_parameter_is_deleted_and_looked_for_again(void **state)
{
        struct stand *stand = *state;

        stand->agent.receive.was_seen = true;
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, THROTTLED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, "{}");
        clean_up_start(&stand->agent);
        go_on(stand, &stand->agent.clean_up.is_deleted);
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, NOT_FOUND);
        clean_up_finish(&stand->agent, 4000, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
        assert_int_equal(script_requests(stand->script), 3);
}

static void test_a_parameter_that_came_back_is_deleted_again(void **state)
{
        struct stand *stand = *state;

        stand->agent.receive.was_seen = true;
        stand->agent.clean_up.is_deleted = true;
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, FOUND);
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, "{}");
        clean_up_finish(&stand->agent, 4000, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
        assert_true(stand->agent.clean_up.is_deleted);
}

static void test_what_can_neither_be_deleted_nor_read_is_gone(void **state)
{
        struct stand *stand = *state;

        stand->agent.receive.was_seen = true;
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        clean_up_finish(&stand->agent, 4000, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
        assert_true(stand->agent.clean_up.is_deleted);
}

static void test_what_can_be_read_and_not_deleted_is_left_behind(void **state)
{
        struct stand *stand = *state;

        stand->agent.receive.was_seen = true;
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, FOUND);
        clean_up_finish(&stand->agent, 50, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, -ETIMEDOUT);
        assert_non_null(strstr(told.err.text, "ssm:DeleteParameter"));
}

static void test_nothing_is_deleted_that_was_not_there(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        clean_up_start(&stand->agent);
        clean_up_finish(&stand->agent, 4000, done);
        go_on_until(stand, 1);
        assert_int_equal(told.result, 0);
        assert_int_equal(script_requests(stand->script), 1);
}

/* -- watch ----------------------------------------------------------------------------------- */

static void test_a_spot_notice_is_an_alarm(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:06:05Z\"}");
        watch_start(&stand->agent, alarm_of_watch);
        go_on_until(stand, 1);
        assert_int_equal(told.stage, REPORT_INTERRUPTED);
        assert_non_null(strstr(told.err.text, "terminate at 2026-01-02T03:06:05.000Z"));
        assert_int_equal(told.grace_ms, 30000);
}

static void test_a_late_notice_leaves_less_time(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"stop\",\"time\":\"2026-01-02T03:04:25Z\"}");
        watch_start(&stand->agent, alarm_of_watch);
        go_on_until(stand, 1);
        assert_in_range(told.grace_ms, 11900, 12000);
}

static void test_a_notice_in_the_past_leaves_none(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:00:00Z\"}");
        watch_start(&stand->agent, alarm_of_watch);
        go_on_until(stand, 1);
        assert_int_equal(told.grace_ms, 0);
}

static void test_an_ended_metadata_token_is_replaced(void **state)
{
        struct stand *stand = *state;
        struct agent *agent = &stand->agent;

        stand->agent.config.spot_poll_seconds = 1;
        script_expect(stand->script, "GET", SPOT_URL, NULL, 401, "");
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN2");
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        script_expect(stand->script, "GET", SPOT_URL, NULL, 200,
                "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:06:05Z\"}");
        watch_start(agent, alarm_of_watch);
        go_on_until(stand, 1);
        assert_string_equal(agent->metadata_token, "TOKEN2");
        assert_non_null(strstr(script_last_headers(stand->script), "TOKEN2"));
}

#define IDENTIFIED(test_) cmocka_unit_test_setup_teardown(test_, make_identified_stand, free_stand)
#define FRESH(test_) cmocka_unit_test_setup_teardown(test_, make_stand, free_stand)

int main(void)
{
        const struct CMUnitTest tests[] = {
                FRESH(test_a_machine_learns_who_it_is),
                FRESH(test_identity_and_role_are_asked_for_at_the_same_time),
                FRESH(test_whatever_fails_is_asked_again),
                FRESH(test_without_metadata_it_is_no_instance),
                FRESH(test_an_instance_without_a_role_is_an_instance),
                FRESH(test_credentials_are_refreshed_without_a_second_done),
                IDENTIFIED(test_a_handover_is_waited_for),
                IDENTIFIED(test_the_last_refusal_is_part_of_the_reason),
                IDENTIFIED(test_a_garbled_handover_is_no_reason_to_wait),
                IDENTIFIED(test_reports_keep_their_order),
                IDENTIFIED(test_an_entry_that_was_refused_is_not_sent),
                IDENTIFIED(test_reports_give_up_in_time),
                FRESH(test_without_credentials_nothing_is_reported),
                IDENTIFIED(test_more_reports_than_there_can_be_are_dropped),
                IDENTIFIED(test_a_parameter_is_deleted_and_looked_for_again),
                IDENTIFIED(test_a_parameter_that_came_back_is_deleted_again),
                IDENTIFIED(test_what_can_neither_be_deleted_nor_read_is_gone),
                IDENTIFIED(test_what_can_be_read_and_not_deleted_is_left_behind),
                IDENTIFIED(test_nothing_is_deleted_that_was_not_there),
                IDENTIFIED(test_a_spot_notice_is_an_alarm),
                IDENTIFIED(test_a_late_notice_leaves_less_time),
                IDENTIFIED(test_a_notice_in_the_past_leaves_none),
                IDENTIFIED(test_an_ended_metadata_token_is_replaced),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
