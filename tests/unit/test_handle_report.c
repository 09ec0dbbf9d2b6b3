/* SPDX-License-Identifier: MIT */

/*
 * Reports of agents: each becomes metrics, people hear of a failure, and a job that its machine did
 * not run is given back.
 */

#include "signed_ticket.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "job/trusted_report.h"

#define TIMES(more) ",\"times\":{\"agent\":9000,\"kernel\":8000,\"listening\":12000" more "}"
#define STARTED ",\"job_started\":13000"

/* Lets `instance` handle a report with a ticket of a launch after so many RELAUNCHES. */
#define report(stage, name, relaunches, members) \
        report_of(stage, name, SIGNED_CONTENT(relaunches), members)

static const char *report_of(
        struct stage *stage, const char *name, const char *content, const char *members)
{
        _cleanup_free_ char *ticket = signed_ticket(STAGE_TICKET_KEY, content);
        _cleanup_free_ char *event = report_event(name, ticket, members);

        return stage_one(stage, instance_handle, event);
}

/* As a new process, which remembers no report. */
static void forget(struct stage *stage)
{
        stage->scaler.reported = (struct recent){0};
}

static void a_report_becomes_metrics(void **state)
{
        struct stage *stage = *state;

        assert_string_equal(report(stage, "ready", "0", TIMES("")), STAGE_NONE_FAILED);
        assert_logged(stage,
                "\"spec\":\"linux\",\"RunnerReady\":1,\"LaunchedToAgent\":7000,"
                "\"KernelToAgent\":1000,\"AgentToListening\":3000,\"WebhookToListening\":11000");
        assert_logged(stage, "\"type\":\"m7a.large\"");
        assert_int_equal(script_requests(stage->script), 0);
}

static void a_failed_agent_is_told(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "Runner i-00000001 failed");
        assert_string_equal(report(stage, "failed", "0", ",\"reason\":\"no disk\"" TIMES(STARTED)),
                STAGE_NONE_FAILED);
        assert_sent(stage, "no disk");
        assert_sent(stage, "{\\\"severity\\\":\\\"error\\\"");
        assert_sent(stage, "\\\"key\\\":\\\"failed i-00000001\\\"");
        assert_sent(stage, "https://github.test/1");
        forget(stage);
        script_expect(stage->script, "POST", STAGE_SQS, NULL, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(report(stage, "failed", "0", TIMES(STARTED)), STAGE_FAILED("m1"));
}

/* No job started on it, so on GitHub a job waits that has no machine. */
static void a_machine_that_failed_early_gives_its_job_back(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"launch\\\":1,\\\"relaunches\\\":2,");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(
                report(stage, "failed", "1", ",\"reason\":\"x\"" TIMES("")), STAGE_NONE_FAILED);
        assert_not_logged(stage, "Machines for job");
        forget(stage);
        /* After so many machines another one comes an hour later, and people hear of it. */
        stage_expect_sent(stage, "Machines for job 1 of o/r do not run it");
        stage_expect_sent(stage, "\"DelaySeconds\":900}");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(
                report(stage, "failed", "5", ",\"reason\":\"y\"" TIMES("")), STAGE_NONE_FAILED);
        forget(stage);
        /* A job that had started ends at GitHub, where a person can run it again. */
        stage_expect_sent(stage, "can be run again there");
        assert_string_equal(report(stage, "failed", "0", TIMES(STARTED)), STAGE_NONE_FAILED);
}

/* Every machine of that image fails in the same way. */
static void a_runner_whose_version_is_refused_gives_nothing_back(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "still waits on GitHub");
        assert_string_equal(
                report(stage, "failed", "0", ",\"exit_code\":7" TIMES("")), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 1);
        forget(stage);
        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(
                report(stage, "failed", "0", ",\"exit_code\":8" TIMES("")), STAGE_NONE_FAILED);
}

/* The report comes again, and people are told then. */
static void a_job_that_cannot_be_given_back_fails_the_report(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/queued.fifo", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(report(stage, "failed", "0", TIMES("")), STAGE_FAILED("m1"));
        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(report(stage, "failed", "0", TIMES("")), STAGE_NONE_FAILED);
}

/* Otherwise a cancelled job would launch one machine after another. */
static void a_machine_that_nobody_needed_gives_nothing_back(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        stage_expect_sent(stage, "notify.fifo");
        assert_string_equal(
                report(stage, "failed", "0", TIMES(",\"finished\":71999")), STAGE_NONE_FAILED);
        forget(stage);
        stage_expect_sent(stage, "No job came to a runner of spec linux");
        assert_string_equal(
                report(stage, "failed", "0", TIMES(",\"finished\":72000")), STAGE_NONE_FAILED);
        assert_sent(stage, "This is normal after a job was cancelled");
        forget(stage);
        /* A job came, or the runner never listened. */
        stage_expect_sent(stage, "can be run again there");
        assert_string_equal(report(stage, "failed", "0", TIMES(STARTED ",\"finished\":72000")),
                STAGE_NONE_FAILED);
        forget(stage);
        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(
                report(stage, "failed", "0", ",\"times\":{\"finished\":72000}"), STAGE_NONE_FAILED);
}

static void a_spot_loss_before_a_job_gives_the_job_back(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        assert_string_equal(report(stage, "interrupted", "0", TIMES("")), STAGE_NONE_FAILED);
}

/* However often, and however late: SQS forgets after five minutes. */
static void a_report_that_comes_again_is_handled_once(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"relaunches\\\":1");
        stage_expect_sent(stage, "is given another machine");
        for (int i = 0; i < 4; i++) {
                assert_string_equal(report(stage, "failed", "0", TIMES("")), STAGE_NONE_FAILED);
                script_sleep(stage->script, 20 * 60 * MSEC_PER_SEC);
        }
        assert_int_equal(script_requests(stage->script), 2);
}

/* -- who may report -- */

#define LIES                                                                                      \
        ",\"reason\":\"forged\",\"spec\":\"fallback\",\"scope\":\"orgs/evil\",\"runner_id\":666," \
        "\"instance_type\":\"m7i.metal\",\"job\":{\"id\":9,\"run_id\":9,\"attempt\":1,"           \
        "\"installation\":666,\"launch\":9,\"relaunches\":-1,\"offer\":3,\"repository\":\"o/"     \
        "evil\","                                                                                 \
        "\"name\":\"evil\",\"url\":\"https://evil.test\",\"instance_type\":\"t3.2xlarge\"}"

static void what_was_launched_comes_from_the_ticket_alone(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"id\\\":1,\\\"run_id\\\":2,\\\"attempt\\\":1,"
                                 "\\\"installation\\\":4711");
        stage_expect_sent(stage, "is given another machine");
        assert_string_equal(report(stage, "failed", "0", LIES TIMES("")), STAGE_NONE_FAILED);
        assert_not_sent(stage, "evil");
        assert_sent(stage, "https://github.test/1");
        assert_logged(stage, "\"type\":\"m7a.large\"");
        assert_not_logged(stage, "evil");
}

static void a_report_without_a_ticket_of_ours_is_dropped(void **state)
{
        static const char another[] =
                "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
        struct stage *stage = *state;
        _cleanup_free_ char *forged = signed_ticket(another, SIGNED_CONTENT("0"));
        _cleanup_free_ char *foreign = signed_ticket(STAGE_TICKET_KEY,
                SIGNED_CONTENT_OF("/q", SIGNED_ACCOUNT, "eu-central-1", SIGNED_NEVER, "0"));
        _cleanup_free_ char *expired = signed_ticket(STAGE_TICKET_KEY,
                SIGNED_CONTENT_OF("/p", SIGNED_ACCOUNT, "eu-central-1", "1767323000000", "0"));
        const struct {
                const char *ticket;
                const char *why;
        } rows[] = {
                {NULL, "without a ticket"},
                {"", "without a ticket"},
                {"1.x", "malformed ticket"},
                {forged, "ticket of an unknown key"},
                {foreign, "foreign ticket"},
                {expired, "expired ticket"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *event = report_event("failed", rows[i].ticket, LIES TIMES(""));
                _cleanup_free_ char *why = mem_format("\"why\":\"%s\"", rows[i].why);

                assert_string_equal(stage_one(stage, instance_handle, event), STAGE_NONE_FAILED);
                assert_logged(stage, why);
        }
        assert_int_equal(script_requests(stage->script), 0);
        assert_logged(stage, "\"ReportRefused\":1");
        assert_logged(stage, "\"said_instance\":\"i-00000001\",\"said_reason\":\"forged\"");
        assert_not_logged(stage, "RunnerFailed");
}

/* EventBridge says in which account somebody put the event. */
static void an_event_of_another_account_is_dropped(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *ticket = signed_ticket(STAGE_TICKET_KEY, SIGNED_CONTENT("0"));
        _cleanup_free_ char *event = report_event("failed", ticket, TIMES(""));
        char *account = strstr(event, "\"account\":\"1");

        account[strlen("\"account\":\"")] = '2';
        assert_string_equal(stage_one(stage, instance_handle, event), STAGE_NONE_FAILED);
        assert_logged(stage, "foreign ticket");
        assert_int_equal(script_requests(stage->script), 0);
}

/* Root on a machine has a ticket, and must not fill the queue of letters. */
static void a_report_that_cannot_be_read_is_dropped(void **state)
{
        struct stage *stage = *state;

        assert_string_equal(report(stage, "dancing", "0", ""), STAGE_NONE_FAILED);
        assert_logged(stage, "no such stage");
        assert_string_equal(report(stage, "ready", "0", ",\"job\":5"), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 0);
}

static void what_a_machine_says_of_itself_is_bounded(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *long_reason = mem_format(",\"reason\":\"%0*d\",\"zone\":\"<a>\","
                                                      "\"exit_code\":4711,\"result\":\"%0*d\","
                                                      "\"times\":{\"job_started\":-5,"
                                                      "\"agent\":1967323045000}",
                2000, 7, 2000, 7);

        stage_expect_sent(stage, "relaunches");
        stage_expect_sent(stage, "failed i-00000001");
        assert_string_equal(report(stage, "failed", "0", long_reason), STAGE_NONE_FAILED);
        assert_true(strlen(script_last_body(stage->script)) < 3000);
        assert_not_sent(stage, "<a>");
        assert_string_equal(report(stage, "ready", "0",
                                    ",\"times\":{\"agent\":1967323045000,"
                                    "\"listening\":1767326700000}"),
                STAGE_NONE_FAILED);
        assert_not_logged(stage, "LaunchedToAgent"); /* that was years ahead */
        assert_not_logged(stage, "WebhookToListening");
}

/* What is believed of a report with these MEMBERS. The ticket's machine was launched at LAUNCHED,
 * and the ticket expires ten minutes after the stage's now. */
#define NOW INT64_C(1767323045000)
#define LAUNCHED INT64_C(1767322800000)
#define EXPIRES (NOW + 10 * 60 * MSEC_PER_SEC)
#define HOUR (60 * 60 * MSEC_PER_SEC)

static void read_trusted(
        struct stage *stage, int64_t expires, const char *members, struct report *ret)
{
        _cleanup_free_ char *content = mem_format(
                "{\"prefix\":\"/p\",\"account\":\"" SIGNED_ACCOUNT "\",\"region\":\"eu-central-1\","
                "\"instance\":\"i-00000001\",\"type\":\"m7a.large\",\"spec\":\"linux\","
                "\"scope\":\"repos/o/r\",\"repository\":\"o/r\",\"first_type\":\"m7i.large\","
                "\"runner\":23,\"expires\":%lld,\"job\":1,\"run\":2,\"attempt\":1,"
                "\"installation\":4711,\"launch\":0,\"relaunches\":0,\"offer\":0,\"queued\":1,"
                "\"webhook\":1,\"launched\":%lld,\"handed_over\":1}",
                (long long)expires, (long long)LAUNCHED);
        _cleanup_free_ char *ticket = signed_ticket(STAGE_TICKET_KEY, content);
        _cleanup_free_ char *text = report_event("failed", ticket, members);
        _cleanup_json_ cJSON *event = cJSON_Parse(text);
        int64_t ends_ms;
        struct err err;

        assert_int_equal(trusted_report_read(&stage->scaler, event, ret, &ends_ms, &err), 0);
        assert_int_equal(ends_ms, expires);
}

/* Clocks may differ by an hour, and nothing happens after the ticket has ended. */
static void what_happened_outside_a_machine_s_life_did_not_happen(void **state)
{
        static const struct {
                int64_t expires;
                int64_t at;
                bool believed;
        } rows[] = {
                {NOW + 2 * HOUR, LAUNCHED - HOUR - 1, false},
                {NOW + 2 * HOUR, LAUNCHED - HOUR, true},
                {NOW + 2 * HOUR, NOW + HOUR - 1000, true},
                {NOW + 2 * HOUR, NOW + HOUR + 1000, false},
                {EXPIRES, EXPIRES, true},
                {EXPIRES, EXPIRES + 1, false},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *times =
                        mem_format(",\"times\":{\"agent\":%lld}", (long long)rows[i].at);
                _cleanup_(report_release) struct report report = {0};

                read_trusted(stage, rows[i].expires, times, &report);
                assert_int_equal(
                        report.times[REPORT_TIME_AGENT], rows[i].believed ? rows[i].at : 0);
        }
}

static void an_exit_code_is_one(void **state)
{
        static const int codes[][2] = {{-2, -1}, {-1, -1}, {0, 0}, {1, 1}, {255, 255}, {256, -1}};

        for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
                _cleanup_free_ char *code = mem_format(",\"exit_code\":%d", codes[i][0]);
                _cleanup_(report_release) struct report report = {0};

                read_trusted(*state, EXPIRES, code, &report);
                assert_int_equal(report.exit_code, codes[i][1]);
        }
}

static void texts_of_a_machine_are_cut_and_words_are_words(void **state)
{
        _cleanup_free_ char *even = mem_format(",\"reason\":\"%0*dü\",\"zone\":\"a-1b\"", 998, 7);
        _cleanup_free_ char *odd = mem_format(
                ",\"reason\":\"%0*dü\",\"zone\":\"ü\",\"result\":\"%0*d\"", 999, 7, 65, 7);
        _cleanup_(report_release) struct report whole = {0};
        _cleanup_(report_release) struct report cut = {0};
        _cleanup_(report_release) struct report empty = {0};

        read_trusted(*state, EXPIRES, even, &whole);
        assert_int_equal(strlen(whole.reason), 1000);
        assert_string_equal(whole.zone, "a-1b");
        read_trusted(*state, EXPIRES, odd, &cut);
        assert_int_equal(strlen(cut.reason), 999); /* not through the middle of a character */
        assert_null(cut.zone);
        assert_null(cut.result);
        read_trusted(*state, EXPIRES, ",\"reason\":\"\"", &empty);
        assert_string_equal(empty.reason, "");
}

static void without_a_configuration_no_report_is_judged(void **state)
{
        struct stage *stage = *state;

        config_free(MEM_STEAL(stage->scaler.config));
        setenv("SCALE_AGENT_CONFIG", "{}", 1);
        assert_string_equal(report(stage, "ready", "0", TIMES("")), STAGE_FAILED("m1"));
        assert_logged(stage, "SCALE_AGENT_CONFIG");
        assert_not_logged(stage, "ReportRefused");
}

/* -- the keys -- */

#define NEW_KEY "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

/* A warm process learns of a new key by the first ticket that has it, but whoever sends nonsense
 * does not make it read each time. */
static void an_unknown_key_is_looked_for_at_most_once_a_minute(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *ticket = signed_ticket(NEW_KEY, SIGNED_CONTENT("0"));
        _cleanup_free_ char *event = report_event("ready", ticket, TIMES(""));

        assert_string_equal(stage_one(stage, instance_handle, event), STAGE_NONE_FAILED);
        script_sleep(stage->script, 60 * MSEC_PER_SEC - 500);
        assert_string_equal(stage_one(stage, instance_handle, event), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 0);
        script_sleep(stage->script, 500);
        script_expect(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/ticket-key\"", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(stage_one(stage, instance_handle, event), STAGE_FAILED("m1"));
        assert_not_logged(stage, "RunnerReady");
}

static void a_new_key_is_read_and_believed(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *ticket = signed_ticket(NEW_KEY, SIGNED_CONTENT("0"));
        _cleanup_free_ char *event = report_event("ready", ticket, TIMES(""));
        _cleanup_free_ char *other =
                signed_ticket("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
                        SIGNED_CONTENT("0"));
        _cleanup_free_ char *unknown = report_event("ready", other, TIMES(""));

        script_sleep(stage->script, 60 * MSEC_PER_SEC);
        script_expect(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/ticket-key\"", 200,
                "{\"Parameter\":{\"Value\":\"" NEW_KEY "\\n" STAGE_TICKET_KEY " 1767923045\"}}");
        assert_string_equal(stage_one(stage, instance_handle, event), STAGE_NONE_FAILED);
        assert_logged(stage, "RunnerReady");
        assert_string_equal(report(stage, "finished", "0", TIMES("")), STAGE_NONE_FAILED);
        assert_logged(stage, "RunnerFinished");
        /* The key is not read again for each ticket that another key signed. */
        script_sleep(stage->script, 30 * MSEC_PER_SEC);
        assert_string_equal(stage_one(stage, instance_handle, unknown), STAGE_NONE_FAILED);
        assert_contains(buf_string(&stage->scaler.ticket_keys), NEW_KEY);
        assert_int_equal(script_requests(stage->script), 1);
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
                TEST(a_report_that_comes_again_is_handled_once),
                TEST(what_was_launched_comes_from_the_ticket_alone),
                TEST(a_report_without_a_ticket_of_ours_is_dropped),
                TEST(an_event_of_another_account_is_dropped),
                TEST(a_report_that_cannot_be_read_is_dropped),
                TEST(what_a_machine_says_of_itself_is_bounded),
                TEST(what_happened_outside_a_machine_s_life_did_not_happen),
                TEST(an_exit_code_is_one),
                TEST(texts_of_a_machine_are_cut_and_words_are_words),
                TEST(without_a_configuration_no_report_is_judged),
                TEST(an_unknown_key_is_looked_for_at_most_once_a_minute),
                TEST(a_new_key_is_read_and_believed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
