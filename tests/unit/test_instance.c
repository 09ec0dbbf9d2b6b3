/* SPDX-License-Identifier: MIT */

/*
 * Machines: people hear of a lost job, a job that its machine never ran is given back, and what an
 * ended machine left behind is removed.
 */

#include <stdlib.h>

#include "signed_ticket.h"
#include "stage.h"

#define ENDED(id)                                                                             \
        "{\"source\":\"aws.ec2\",\"detail-type\":\"EC2 Instance State-change Notification\"," \
        "\"detail\":{\"instance-id\":\"" id "\",\"state\":\"terminated\"}}"
#define WARNING(id)                                                                           \
        "{\"source\":\"aws.ec2\",\"detail-type\":\"EC2 Spot Instance Interruption Warning\"," \
        "\"detail\":{\"instance-id\":\"" id "\",\"instance-action\":\"terminate\"}}"
#define TAG(key, value) "<item><key>" key "</key><value>" value "</value></item>"
#define OURS                                  \
        TAG("scale-agent:prefix", "/p")       \
        TAG("scale-agent:scope", "repos/o/r") \
        TAG("scale-agent:spec", "linux") TAG("scale-agent:installation", "4711")
#define WITH_JOB OURS TAG("scale-agent:job-url", "https://github.test/1")
#define RUNNERS STAGE_GITHUB "/repos/o/r/actions/runners"

static void expect_described_as(
        struct stage *stage, const char *id, const char *reason, const char *tags)
{
        _cleanup_free_ char *xml =
                mem_format("<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
                           "<instanceId>%s</instanceId><instanceType>m7i.large</"
                           "instanceType><stateReason><code>%s</code></stateReason>"
                           "<tagSet>%s</tagSet></item></instancesSet></item></reservationSet>"
                           "</DescribeInstancesResponse>",
                        id, reason, tags);

        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200, xml);
}

static void expect_described(struct stage *stage, const char *id, const char *tags)
{
        expect_described_as(stage, id, "Server.SpotInstanceTermination", tags);
}

static void expect_found(struct stage *stage, int status, const char *runners)
{
        script_expect(stage->script, "GET", RUNNERS, NULL, status, runners);
}

/* The machine's parameter is still there, and then deleted. */
static void expect_parameter(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "WithDecryption", 200,
                "{\"Parameters\":[{\"Name\":\"/p/runners/"
                "i-00000001\",\"Value\":\"{\\\"version\\\":1,"
                "\\\"jit_config\\\":\\\"c2VjcmV0\\\",\\\"prefix\\\":\\\"/"
                "p\\\",\\\"spec\\\":\\\"linux\\\",\\\"runner_id\\\":23,"
                "\\\"scope\\\":\\\"repos/o/r\\\",\\\"job\\\":{\\\"id\\\":1,\\\"run_id\\\":2,"
                "\\\"attempt\\\":1,\\\"repository\\\":\\\"o/r\\\","
                "\\\"instance_type\\\":\\\"m7i.large\\\"}}\"}]}");
}

static void expect_no_parameter(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "WithDecryption", 200,
                "{\"Parameters\":[],\"InvalidParameters\":[\"/p/runners/i-00000001\"]}");
}

static void expect_parameter_deleted(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/runners/i-00000001\"]}",
                200, "{\"DeletedParameters\":[\"/p/runners/i-00000001\"]}");
}

/* No job has started on the machine. */
static void a_job_that_did_not_start_is_given_back(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, "i-00000001", OURS);
        expect_parameter(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 204, "");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        stage_expect_sent(stage, "{\\\"name\\\":\\\"Repository\\\",\\\"value\\\":\\\"o/r\\\"}");
        expect_parameter_deleted(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        assert_logged(stage, "deregistered the runner of a machine");
        assert_not_logged(stage, "c2VjcmV0");
        assert_not_logged(stage, "\"level\":\"error\"");
}

/* The parameter is the evidence for another try: it goes last, and only after all went well. */
static void what_fails_keeps_the_parameter(void **state)
{
        static const char denied[] = "{\"__type\":\"AccessDeniedException\"}";
        struct stage *stage = *state;

        for (int i = 0; i < 4; i++) {
                expect_described(stage, "i-00000001", OURS);
                if (i == 0) {
                        script_expect(
                                stage->script, "POST", STAGE_SSM, "WithDecryption", 400, denied);
                } else {
                        expect_parameter(stage);
                        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL,
                                i == 1 ? 403 : 204, "{\"message\":\"no\"}");
                }
                if (i == 2)
                        script_expect(stage->script, "POST", STAGE_SQS, "queued.fifo", 400, denied);
                if (i == 3) {
                        stage_expect_sent(stage, "queued.fifo");
                        stage_expect_sent(stage, "ended before a job started on it");
                        script_expect(
                                stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/", 400, denied);
                }
                assert_string_equal(
                        stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_FAILED("m1"));
        }
}

#define BOTH_OF(id)                                                         \
        "<item><instanceId>i-0000000" id "</instanceId><stateReason><code>" \
        "Server.SpotInstanceTermination</code></stateReason><tagSet>" OURS "</tagSet></item>"
#define HANDOVER_OF(id, runner)                                                                    \
        "{\"Name\":\"/p/runners/i-0000000" id "\",\"Value\":\"{\\\"version\\\":1,"                 \
        "\\\"jit_config\\\":\\\"c2VjcmV0\\\",\\\"prefix\\\":\\\"/"                                 \
        "p\\\",\\\"spec\\\":\\\"linux\\\","                                                        \
        "\\\"runner_id\\\":" runner ",\\\"scope\\\":\\\"repos/o/r\\\",\\\"job\\\":{\\\"id\\\":" id \
        ",\\\"run_id\\\":2,\\\"attempt\\\":1,\\\"repository\\\":\\\"o/"                            \
        "r\\\",\\\"instance_type\\\":"                                                             \
        "\\\"m7i.large\\\"}}\"}"

static void expect_both(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet><item><instancesSet>" BOTH_OF("1")
                        BOTH_OF("2") "</instancesSet></item></reservationSet>"
                                     "</DescribeInstancesResponse>");
        script_expect(stage->script, "POST", STAGE_SSM, "WithDecryption", 200,
                "{\"Parameters\":[" HANDOVER_OF("1", "23") "," HANDOVER_OF("2", "24") "]}");
}

static void what_fails_of_one_machine_fails_no_other(void **state)
{
        const struct stage_message messages[] = {
                {"a", ENDED("i-00000001"), 0, NULL}, {"b", ENDED("i-00000002"), 0, NULL}};
        struct stage *stage = *state;

        expect_both(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 403, "{\"message\":\"no\"}");
        script_expect(stage->script, "DELETE", RUNNERS "/24", NULL, 204, "");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"2-1-1-0\"");
        stage_expect_sent(stage, "ended before a job started on it");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/runners/i-00000002\"]}",
                200, "{}");
        assert_string_equal(stage_batch(stage, instance_handle, messages, 2), STAGE_FAILED("a"));
}

/* They share a call: which of them is left, nobody knows. */
static void a_failed_deletion_fails_all_whose_it_was(void **state)
{
        const struct stage_message messages[] = {
                {"a", ENDED("i-00000001"), 0, NULL}, {"b", ENDED("i-00000002"), 0, NULL}};
        struct stage *stage = *state;

        expect_both(stage);
        for (int i = 0; i < 2; i++) {
                script_expect(stage->script, "DELETE", RUNNERS, NULL, 204, "");
                stage_expect_sent(stage, "queued.fifo");
                stage_expect_sent(stage, "ended before a job started on it");
        }
        script_expect(stage->script, "POST", STAGE_SSM, "i-00000001\",\"/p/runners/i-00000002", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(stage_batch(stage, instance_handle, messages, 2),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"b\"}]}");
}

#define NOW "2026-01-02T03:04:05Z"

/* The agent's report that no job came; valid until the next one is made. What it says beside its
 * ticket is not true. */
static const char *idle(const char *time)
{
        static char text[4096];
        _cleanup_free_ char *ticket = signed_ticket(STAGE_TICKET_KEY, SIGNED_CONTENT("0"));
        _cleanup_free_ char *event = report_event(
                "idle", ticket, ",\"scope\":\"repos/evil/one\",\"runner_id\":66,\"times\":{}");

        snprintf(text, sizeof(text), "{\"time\":\"%s\",%s", time, event + 1);
        return text;
}

/* For the circuit breaker of its spec. */
static void expect_idle_tag(struct stage *stage, int status)
{
        script_expect(stage->script, "POST", STAGE_EC2,
                "ResourceId.1=i-00000001&Tag.1.Key=scale-agent%3Aidle", status,
                status == 200 ? "<CreateTagsResponse><return>true</return></CreateTagsResponse>"
                              : "<Response><Errors><Error><Code>UnauthorizedOperation</Code>"
                                "</Error></Errors></Response>");
}

/* What is deregistered says the stored hand-over, not the report. */
static void the_runner_of_an_idle_machine_is_deregistered(void **state)
{
        static const int statuses[] = {204, 404};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                expect_described(stage, "i-00000001", OURS);
                expect_parameter(stage);
                script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, statuses[i], "{}");
                expect_idle_tag(stage, 200);
                expect_parameter_deleted(stage);
                assert_string_equal(
                        stage_one(stage, instance_handle, idle(NOW)), STAGE_NONE_FAILED);
        }
        assert_logged(stage, "\"RunnerIdle\":1");
        assert_not_logged(stage, "has got one");
}

static void an_idle_machine_that_has_a_job_is_left_alone(void **state)
{
        struct stage *stage = *state;

        /* GitHub knows, ... */
        expect_described(stage, "i-00000001", OURS);
        expect_parameter(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 422, "{\"message\":\"busy\"}");
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_NONE_FAILED);
        assert_logged(stage, "a machine that reported no job has got one");
        /* ... its tag tells, ... */
        expect_described(stage, "i-00000001", WITH_JOB);
        expect_parameter(stage);
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_NONE_FAILED);
        /* ... or the parameter that it has deleted. */
        expect_described(stage, "i-00000001", OURS);
        expect_no_parameter(stage);
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_NONE_FAILED);
}

/* The machine ended before its report came: the event of its end does the rest. */
static void an_idle_machine_that_has_ended_is_left_to_its_end(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
                "<instanceId>i-00000001</instanceId><instanceState><name>shutting-down</name>"
                "</instanceState><tagSet>" OURS "</tagSet></item></instancesSet></item>"
                "</reservationSet></DescribeInstancesResponse>");
        expect_parameter(stage);
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 2);
}

static void what_fails_for_an_idle_machine_comes_again_and_keeps_the_parameter(void **state)
{
        static const char denied[] = "{\"__type\":\"AccessDeniedException\"}";
        struct stage *stage = *state;

        expect_described(stage, "i-00000001", OURS);
        script_expect(stage->script, "POST", STAGE_SSM, "WithDecryption", 400, denied);
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_FAILED("m1"));
        expect_described(stage, "i-00000001", OURS);
        expect_parameter(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 403, "{\"message\":\"no\"}");
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_FAILED("m1"));
        expect_described(stage, "i-00000001", OURS);
        expect_parameter(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 204, "");
        expect_idle_tag(stage, 403);
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_FAILED("m1"));
        expect_described(stage, "i-00000001", OURS);
        expect_parameter(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 204, "");
        expect_idle_tag(stage, 200);
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/", 400, denied);
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_FAILED("m1"));
}

/* The agent has reported again, if it still idles. */
static void an_old_report_of_an_idle_machine_counts_for_nothing(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, "i-00000001", WITH_JOB);
        expect_no_parameter(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, idle("2026-01-02T03:00:15Z")), STAGE_NONE_FAILED);
        assert_string_equal(
                stage_one(stage, instance_handle, idle("2026-01-02T03:00:00Z")), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 2);
}

static void an_idle_machine_that_is_not_ours_or_not_there_is_left_alone(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, "i-00000001", TAG("scale-agent:prefix", "/other"));
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_NONE_FAILED);
        expect_described(stage, "i-00000002", OURS);
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_NONE_FAILED);
        /* It names no runner: nothing is looked for, and nothing deleted. */
        expect_described(stage, "i-00000001", OURS);
        script_expect(stage->script, "POST", STAGE_SSM, "WithDecryption", 200,
                "{\"Parameters\":[{\"Name\":\"/p/runners/i-00000001\",\"Value\":\"nonsense\"}]}");
        assert_string_equal(stage_one(stage, instance_handle, idle(NOW)), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 4);
}

static void an_unreadable_hand_over_is_deleted_and_is_no_failure(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, "i-00000001", OURS);
        script_expect(stage->script, "POST", STAGE_SSM, "WithDecryption", 200,
                "{\"Parameters\":[{\"Name\":\"/p/runners/i-00000001\",\"Value\":\"nonsense\"}]}");
        expect_found(stage, 200, "{\"runners\":[]}");
        expect_parameter_deleted(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        assert_logged(stage, "hand-over of a machine cannot be parsed");
}

/* Its runner took a job, and only failed to delete its parameter. */
static void what_a_machine_left_is_removed(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, "i-00000001", WITH_JOB);
        expect_parameter(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 404, "{}");
        expect_parameter_deleted(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
}

/* Its hand-over was never stored, but its runner was registered. */
static void a_runner_without_a_hand_over_is_looked_for(void **state)
{
        struct stage *stage = *state;

        expect_described_as(stage, "i-00000001", "Client.InstanceInitiatedShutdown", OURS);
        expect_no_parameter(stage);
        expect_found(stage, 200, "{\"runners\":[{\"id\":23,\"name\":\"i-00000001\"}]}");
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 204, "");
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
}

/* The usual end: the machine has deleted its parameter, and GitHub has forgotten its runner. */
static void a_machine_that_ended_well_costs_no_call_to_github(void **state)
{
        struct stage *stage = *state;

        expect_described_as(stage, "i-00000001", "Client.InstanceInitiatedShutdown", WITH_JOB);
        expect_no_parameter(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 2);
        assert_logged(stage, "machine ended");
        /* Without that reason nobody knows. */
        expect_described_as(stage, "i-00000001", "", WITH_JOB);
        expect_no_parameter(stage);
        expect_found(stage, 200, "{\"runners\":[]}");
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
}

#define CLEAN ",\"result\":\"Succeeded\",\"hand_over_deleted\":true"

static void hear(struct stage *stage, const char *name, const char *members)
{
        _cleanup_free_ char *ticket = signed_ticket(STAGE_TICKET_KEY, SIGNED_CONTENT("0"));
        _cleanup_free_ char *event = report_event(name, ticket, members);

        assert_string_equal(stage_one(stage, instance_handle, event), STAGE_NONE_FAILED);
}

static void a_machine_that_has_said_that_it_leaves_nothing_costs_no_call(void **state)
{
        struct stage *stage = *state;

        hear(stage, "finished", CLEAN);
        for (int i = 0; i < 2; i++)
                assert_string_equal(
                        stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        assert_logged(stage, "machine ended, and left nothing\",\"instance\":\"i-00000001");
        assert_int_equal(script_requests(stage->script), 0);
}

static void assert_looked_after(struct stage *stage)
{
        expect_described_as(stage, "i-00000001", "Client.InstanceInitiatedShutdown", WITH_JOB);
        expect_no_parameter(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        assert_not_logged(stage, "and left nothing");
}

/* What the agent does not say, or says of its start, is looked for; so is a job that failed, which
 * may be a loss. */
static void any_other_machine_that_ends_is_looked_after(void **state)
{
        static const struct {
                const char *stage;
                const char *members;
        } rows[] = {
                {"finished", ",\"result\":\"Succeeded\""},
                {"finished", ",\"result\":\"Failed\",\"hand_over_deleted\":true"},
                {"finished", ",\"hand_over_deleted\":true"},
                {"finished", ",\"result\":\"Succeeded\",\"hand_over_deleted\":\"true\""},
                {"job_started", CLEAN},
                {"ready", CLEAN},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                hear(stage, rows[i].stage, rows[i].members);
                assert_looked_after(stage);
        }
}

static void what_a_machine_has_said_is_not_kept_for_ever(void **state)
{
        struct stage *stage = *state;

        hear(stage, "finished", CLEAN);
        http_sleep(scaler_http(&stage->scaler), 16 * 60 * MSEC_PER_SEC);
        stage->scaler.config_read_ms = clock_monotonic_ms(stage->scaler.clock);
        assert_looked_after(stage);
}

/* Another stack's ticket, and none at all. */
static void what_nobody_signed_keeps_no_machine_from_being_looked_after(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 2; i++) {
                _cleanup_free_ char *ticket = signed_ticket("another", SIGNED_CONTENT("0"));
                _cleanup_free_ char *event = report_event("finished", i ? ticket : NULL, CLEAN);

                assert_string_equal(stage_one(stage, instance_handle, event), STAGE_NONE_FAILED);
                assert_logged(stage, "report refused and dropped");
                assert_looked_after(stage);
        }
}

static void a_runner_that_cannot_be_removed_is_a_failure(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, "i-00000001", WITH_JOB);
        expect_no_parameter(stage);
        expect_found(stage, 200, "{\"runners\":[{\"id\":23,\"name\":\"i-00000001\"}]}");
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 403, "{\"message\":\"no\"}");
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_FAILED("m1"));
}

static void a_job_lost_with_its_machine_is_told(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, "i-00000001", WITH_JOB);
        expect_no_parameter(stage);
        expect_found(stage, 200, "{\"runners\":[{\"id\":23,\"name\":\"i-00000001\"}]}");
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 422, "{\"message\":\"busy\"}");
        stage_expect_sent(stage, "Job lost: its machine ended");
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
}

#define INTERRUPTED                                                                              \
        "ResourceId.1=i-00000001&Tag.1.Key=scale-agent%3Ainterrupted&Tag.1.Value=2026-01-02T03%" \
        "3A04%3A0"

/* The warning is kept as a tag: its machine may end by itself, and then EC2 names no reason. */
static void a_spot_warning_is_told_where_a_job_runs(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 2; i++)
                script_expect(stage->script, "POST", STAGE_EC2, INTERRUPTED, 200,
                        "<CreateTagsResponse/>");
        expect_described(stage, "i-00000001", OURS);
        stage_one(stage, instance_handle, WARNING("i-00000001"));
        assert_logged(stage, "\"spec\":\"linux\",\"SpotWarning\":1");
        expect_described(stage, "i-00000001", WITH_JOB);
        stage_expect_sent(stage, "EC2 takes its spot instance back");
        assert_string_equal(
                stage_one(stage, instance_handle, WARNING("i-00000001")), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"key\\\":\\\"lost i-00000001\\\"");
        assert_sent(stage, "https://github.test/1");
        assert_sent(stage, "the job is run again, or you are told why it is not");
        assert_sent(
                stage, "{\\\"name\\\":\\\"Job\\\",\\\"value\\\":\\\"https://github.test/1\\\"}");
        assert_sent(stage, "{\\\"name\\\":\\\"Runners of\\\",\\\"value\\\":\\\"repos/o/r\\\"}");
        assert_sent(stage, "{\\\"name\\\":\\\"Spec\\\",\\\"value\\\":\\\"linux\\\"}");
        assert_sent(stage, "{\\\"name\\\":\\\"Instance\\\",\\\"value\\\":\\\"i-00000001\\\"}");
        assert_sent(stage, "{\\\"name\\\":\\\"Instance type\\\",\\\"value\\\":\\\"m7i.large\\\"}");
        script_expect(stage->script, "POST", STAGE_EC2, INTERRUPTED, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        expect_described(stage, "i-00000001", OURS);
        expect_described(stage, "i-00000001", OURS); /* the denial is about a machine of ours */
        assert_string_equal(
                stage_one(stage, instance_handle, WARNING("i-00000001")), STAGE_FAILED("m1"));
}

/* EC2 takes an ended machine's tags away, and with them our permission. */
static void a_warning_may_come_later_than_the_end(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, INTERRUPTED, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        expect_described(stage, "i-00000001", OURS);
        expect_described(stage, "i-00000001", "");
        assert_string_equal(
                stage_one(stage, instance_handle, WARNING("i-00000001")), STAGE_NONE_FAILED);
}

#define RUN_URL "https://github.test/ghe/o/r/actions/runs/7/job/"
#define WITH_RUN OURS TAG("scale-agent:job-url", RUN_URL "9") TAG("scale-agent:job-attempt", "2")

static void expect_no_runner(struct stage *stage)
{
        expect_no_parameter(stage);
        expect_found(stage, 200, "{\"runners\":[]}");
}

/* By the reason that EC2 gives, or the tag that its warning left: nothing else is evidence. */
static void a_job_that_was_lost_with_its_machine_is_followed(void **state)
{
        static const struct {
                const char *reason;
                const char *tags;
                bool is_lost;
        } rows[] = {
                {"Server.SpotInstanceTermination", WITH_RUN, true},
                {"Client.InternalError", WITH_RUN TAG("scale-agent:interrupted", "now"), true},
                {"Client.UserInitiatedShutdown", WITH_RUN, false},
                /* It had no job, or a URL or attempt that we cannot read. */
                {"Server.SpotInstanceTermination", OURS, false},
                {"Server.SpotInstanceTermination", OURS TAG("scale-agent:job-url", RUN_URL "9"),
                        false},
                {"Server.SpotInstanceTermination", WITH_JOB TAG("scale-agent:job-attempt", "1"),
                        false},
                {"Server.SpotInstanceTermination",
                        OURS TAG("scale-agent:job-url", RUN_URL "9/")
                                TAG("scale-agent:job-attempt", "1"),
                        false},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_described_as(stage, "i-00000001", rows[i].reason, rows[i].tags);
                expect_no_runner(stage);
                if (rows[i].is_lost)
                        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/watch\"");
                assert_string_equal(
                        stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
                if (!rows[i].is_lost)
                        continue;
                assert_sent(stage, "{\\\"action\\\":\\\"lost\\\",\\\"id\\\":9,\\\"run_id\\\":7,"
                                   "\\\"attempt\\\":2,\\\"installation\\\":4711,");
                assert_sent(stage, "\\\"repository\\\":\\\"o/r\\\"");
                assert_sent(stage, "\\\"machines\\\":\\\"/i-00000001/\\\"");
                assert_sent(stage, "\"DelaySeconds\":60}");
        }
        expect_described(stage, "i-00000001", WITH_RUN);
        expect_no_runner(stage);
        script_expect(stage->script, "POST", STAGE_SQS, "\"QueueUrl\":\"https://sqs.test/watch\"",
                400, "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_FAILED("m1"));
}

/* EventBridge sends the events of every instance of the account. */
static void machines_of_others_are_left_alone(void **state)
{
        static const char *const tags[] = {"", TAG("scale-agent:prefix", "/other"),
                TAG("Scale-Agent:prefix", "/p"), TAG("scale-agent:scope", "repos/o/r")};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
                expect_described(stage, "i-00000001", tags[i]);
                assert_string_equal(
                        stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        }
        assert_int_equal(script_requests(stage->script), ARRAY_SIZE(tags));
}

/* EC2 forgets a machine after an hour, and EventBridge may have been down for longer. */
static void a_machine_that_ec2_has_forgotten_shows_by_its_parameter(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, "i-00000002", OURS);
        expect_no_parameter(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        expect_described(stage, "i-00000002", OURS);
        expect_parameter(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 204, "");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        stage_expect_sent(stage, "ended before a job started on it");
        expect_parameter_deleted(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
}

/* The agent ends the machine within the two minutes, so that EC2 gives that as the reason. */
static void a_warning_that_comes_with_or_after_the_end_is_followed(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", ENDED("i-00000001"), 0, NULL}, {"b", WARNING("i-00000001"), 0, NULL}};

        for (size_t n = 2; n > 0; n--) {
                script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200,
                        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
                        "<instanceId>i-00000001</instanceId><instanceState><name>terminated</name>"
                        "</instanceState><stateReason><code>Client.InstanceInitiatedShutdown</code>"
                        "</stateReason><tagSet>" WITH_RUN "</tagSet></item></instancesSet></item>"
                        "</reservationSet></DescribeInstancesResponse>");
                script_expect(stage->script, "POST", STAGE_EC2, INTERRUPTED, 200,
                        "<CreateTagsResponse/>");
                if (n == 2)
                        expect_no_parameter(stage);
                stage_expect_sent(stage, "EC2 takes its spot instance back");
                stage_expect_sent(stage, "{\\\"action\\\":\\\"lost\\\",\\\"id\\\":9,");
                assert_string_equal(stage_batch(stage, instance_handle, messages + 2 - n, n),
                        STAGE_NONE_FAILED);
        }
}

static void a_machine_without_tags_is_forgotten_in_part(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
                "<instanceId>i-00000001</instanceId><instanceState><name>terminated</name>"
                "</instanceState></item></instancesSet></item></reservationSet>"
                "</DescribeInstancesResponse>");
        expect_parameter(stage);
        script_expect(stage->script, "DELETE", RUNNERS "/23", NULL, 204, "");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        stage_expect_sent(stage, "ended before a job started on it");
        expect_parameter_deleted(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
}

static void only_the_end_of_a_machine_matters(void **state)
{
        static const char *const states[] = {"pending", "running", "stopping", "shutting-down"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *event =
                        mem_format("{\"source\":\"aws.ec2\","
                                   "\"detail-type\":\"EC2 Instance State-change Notification\","
                                   "\"detail\":{\"instance-id\":\"i-00000001\",\"state\":\"%s\"}}",
                                states[i]);

                assert_string_equal(stage_one(stage, instance_handle, event), STAGE_NONE_FAILED);
        }
        assert_int_equal(script_requests(stage->script), 0);
}

static void the_tags_say_where_a_runner_is_registered(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_described(stage, "i-00000001", WITH_JOB);
        expect_no_parameter(stage);
        script_expect(stage->script, "POST", "/app/installations/4711/access_tokens", NULL, 201,
                "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        expect_found(stage, 200, "{\"runners\":[]}");
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        /* Without a scope nothing was registered. */
        expect_described(stage, "i-00000001", TAG("scale-agent:prefix", "/p"));
        expect_no_parameter(stage);
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
}

/* A personal token that was replaced in SSM takes effect in a warm process. */
static void a_refused_token_is_read_again(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "new-token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        expect_described(stage, "i-00000001", WITH_JOB);
        expect_no_parameter(stage);
        expect_found(stage, 401, "{\"message\":\"bad\"}");
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_FAILED("m1"));
        expect_described(stage, "i-00000001", WITH_JOB);
        expect_no_parameter(stage);
        expect_found(stage, 200, "{\"runners\":[]}");
        assert_string_equal(
                stage_one(stage, instance_handle, ENDED("i-00000001")), STAGE_NONE_FAILED);
        assert_string_equal(github_kept_token(stage->scaler.github, 0), "new-token");
}

/* It will not be readable later. */
static void what_cannot_be_read_becomes_a_dead_letter_at_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", "{}", 0, NULL},
                {"b", ENDED("i-1\\\"; DROP"), 0, NULL},
                /* Who puts events on EventBridge cannot speak for EC2. */
                {"c",
                        "{\"source\":\"scale-agent.runner\",\"detail-type\":\"EC2 Instance "
                        "State-change "
                        "Notification\",\"detail\":{\"instance-id\":\"i-00000001\",\"state\":"
                        "\"terminated\"}}",
                        0, NULL},
                {"d", "{\"source\":\"aws.ec2\",\"detail-type\":\"Runner Report\",\"detail\":{}}", 0,
                        NULL},
                {"e", "{\"source\":\"aws.ec2\"}", 0, NULL},
                {"f", "{\"detail-type\":\"Runner Report\"}", 0, NULL},
                {"g",
                        "{\"source\":\"aws.ec2\",\"detail-type\":\"EC2 Instance State-change "
                        "Notification\",\"detail\":{\"state\":\"terminated\"}}",
                        0, NULL},
                {"h", "[", 0, NULL},
        };

        for (int i = 0; i < 5; i++)
                stage_expect_sent(stage, "unknown event");
        stage_expect_sent(stage, "is not an instance id");
        stage_expect_sent(stage, "detail.instance-id");
        stage_expect_sent(stage, "the event");
        assert_string_equal(stage_batch(stage, instance_handle, messages, 8), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 8);
}

static void a_machine_there_is_no_time_for_comes_again(void **state)
{
        struct stage *stage = *state;

        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 9000);
        expect_described(stage, "i-00000001", WITH_JOB);
        script_latency(stage->script, 4001);
        assert_string_equal(
                stage_one(stage, instance_handle, WARNING("i-00000001")), STAGE_FAILED("m1"));
        assert_logged(stage, "\"error\":\"instance i-00000001: not tried: ");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_job_that_did_not_start_is_given_back),
                TEST(what_fails_keeps_the_parameter),
                TEST(what_fails_of_one_machine_fails_no_other),
                TEST(a_failed_deletion_fails_all_whose_it_was),
                TEST(the_runner_of_an_idle_machine_is_deregistered),
                TEST(an_idle_machine_that_has_a_job_is_left_alone),
                TEST(an_idle_machine_that_has_ended_is_left_to_its_end),
                TEST(what_fails_for_an_idle_machine_comes_again_and_keeps_the_parameter),
                TEST(an_old_report_of_an_idle_machine_counts_for_nothing),
                TEST(an_idle_machine_that_is_not_ours_or_not_there_is_left_alone),
                TEST(an_unreadable_hand_over_is_deleted_and_is_no_failure),
                TEST(a_runner_without_a_hand_over_is_looked_for),
                TEST(a_machine_that_ended_well_costs_no_call_to_github),
                TEST(what_a_machine_left_is_removed),
                TEST(a_machine_that_has_said_that_it_leaves_nothing_costs_no_call),
                TEST(any_other_machine_that_ends_is_looked_after),
                TEST(what_a_machine_has_said_is_not_kept_for_ever),
                TEST(what_nobody_signed_keeps_no_machine_from_being_looked_after),
                TEST(a_runner_that_cannot_be_removed_is_a_failure),
                TEST(a_job_lost_with_its_machine_is_told),
                TEST(a_spot_warning_is_told_where_a_job_runs),
                TEST(a_warning_may_come_later_than_the_end),
                TEST(a_job_that_was_lost_with_its_machine_is_followed),
                TEST(machines_of_others_are_left_alone),
                TEST(a_machine_that_ec2_has_forgotten_shows_by_its_parameter),
                TEST(a_warning_that_comes_with_or_after_the_end_is_followed),
                TEST(a_machine_without_tags_is_forgotten_in_part),
                TEST(only_the_end_of_a_machine_matters),
                TEST(the_tags_say_where_a_runner_is_registered),
                TEST(a_refused_token_is_read_again),
                TEST(what_cannot_be_read_becomes_a_dead_letter_at_once),
                TEST(a_machine_there_is_no_time_for_comes_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
