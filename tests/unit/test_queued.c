/* SPDX-License-Identifier: MIT */

/*
 * Queued jobs: they are launched together from the first offer that has capacity, and each gets its
 * registration. Whatever goes wrong, the right message fails and nothing is left behind.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "fake_aws.h"
#include "stage.h"

#define JIT_URL STAGE_GITHUB "/repos/o/r/actions/runners/generate-jitconfig"
#define RUNNERS_URL STAGE_GITHUB "/repos/o/r/actions/runners"
#define TYPE(type, subnet) "InstanceType=" type "&SubnetId=subnet-0000000" subnet

/* -- expectations -- */

/* EC2 launches the instances numbered FIRST to LAST. */
static void expect_launch(struct stage *stage, const char *body, int first, int last)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(65536);

        buf_add_string(&xml, "<RunInstancesResponse><ownerId>123456789012</ownerId><instancesSet>");
        for (int i = first; i <= last; i++)
                buf_add_format(&xml,
                        "<item><instanceId>i-%08x</instanceId><instanceState><name>pending</name>"
                        "</instanceState></item>",
                        (unsigned)i);
        buf_add_string(&xml, "</instancesSet></RunInstancesResponse>");
        script_expect(stage->script, "POST", STAGE_EC2, body, 200, buf_string(&xml));
}

static void expect_refusal(struct stage *stage, const char *body, int status, const char *code)
{
        _cleanup_free_ char *xml = mem_format(
                "<Response><Errors><Error><Code>%s</Code><Message>because</Message></Error>"
                "</Errors></Response>",
                code);

        script_expect(stage->script, "POST", STAGE_EC2, body, status, xml);
}

/* None of the four offers of spec `fallback` has capacity. */
static void expect_no_capacity(struct stage *stage, const char *body)
{
        for (int i = 0; i < 4; i++)
                expect_refusal(stage, body, 500, "InsufficientInstanceCapacity");
}

static void expect_jit(struct stage *stage, int instance)
{
        _cleanup_free_ char *name = mem_format("\"name\":\"i-%08x\"", (unsigned)instance);
        _cleanup_free_ char *answer = mem_format(
                "{\"runner\":{\"id\":%d},\"encoded_jit_config\":\"c2VjcmV0\"}", 100 + instance);

        script_expect(stage->script, "POST", JIT_URL, name, 201, answer);
}

static void expect_put(struct stage *stage, int instance, int status, const char *answer)
{
        _cleanup_free_ char *name =
                mem_format("{\"Name\":\"/p/runners/i-%08x\",\"Type\"", (unsigned)instance);

        script_expect(stage->script, "POST", STAGE_SSM, name, status, answer);
}

static void expect_hand_over(struct stage *stage, int instance)
{
        expect_jit(stage, instance);
        expect_put(stage, instance, 200, "{\"Version\":1}");
}

static void expect_parameter_deleted(struct stage *stage, int instance)
{
        _cleanup_free_ char *names =
                mem_format("{\"Names\":[\"/p/runners/i-%08x\"]}", (unsigned)instance);

        script_expect(stage->script, "POST", STAGE_SSM, names, 200,
                "{\"DeletedParameters\":[],\"InvalidParameters\":[]}");
}

static void expect_terminated(struct stage *stage, const char *ids)
{
        _cleanup_free_ char *body =
                mem_format("Action=TerminateInstances&Version=2016-11-15&%s", ids);

        script_expect(stage->script, "POST", STAGE_EC2, body, 200,
                "<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>");
}

/* -- messages -- */

static const char *job_with(int id, const char *spec, const char *more)
{
        static char bodies[8][512];
        static size_t next;
        char *body = bodies[next++ % ARRAY_SIZE(bodies)];

        snprintf(body, sizeof(bodies[0]),
                "{\"action\":\"queued\",\"id\":%d,\"run_id\":2,\"attempt\":1,\"repository\":"
                "\"o/r\",\"name\":\"build\",\"labels\":[\"linux\"],\"spec\":\"%s\","
                "\"instance_type\":\"%s\",\"webhook_ms\":1767323044000%s}",
                id, spec, strcmp(spec, "fallback") == 0 ? "t3.2xlarge" : "m7i.large", more);
        return body;
}

static const char *job(int id, const char *spec)
{
        return job_with(id, spec, "");
}

static const char *run(struct stage *stage, const struct stage_message *messages, size_t n)
{
        return stage_batch(stage, queued_handle, messages, n);
}

static const char *run_one(struct stage *stage, const char *body)
{
        return stage_one(stage, queued_handle, body);
}

static int64_t now_ms(struct stage *stage)
{
        return clock_monotonic_ms(stage->scaler.clock);
}

/* Copies the client token of the latest RunInstances. */
static void last_token(struct stage *stage, char token[static 65])
{
        const char *found = strstr(script_last_body(stage->script), "&ClientToken=");

        assert_non_null(found);
        snprintf(token, 65, "%s", found + strlen("&ClientToken="));
        assert_int_equal(strspn(token, "0123456789abcdef"), 64);
}

/* -- launching -- */

static void a_batch_is_one_launch(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", job(1, "linux"), 0, NULL},
                {"b", job(2, "linux"), 0, NULL}, {"c", job(3, "linux"), 0, NULL}};
        int64_t before = now_ms(stage);

        expect_launch(stage, "&MinCount=1&MaxCount=3&", 1, 3);
        script_latency(stage->script, 100);
        for (int i = 1; i <= 3; i++) {
                expect_jit(stage, i);
                script_latency(stage->script, 100);
                expect_put(stage, i, 200, "{\"Version\":1}");
                script_latency(stage->script, 100);
        }
        assert_string_equal(run(stage, messages, 3), STAGE_NONE_FAILED);
        /* The three registrations run in parallel. */
        assert_int_equal(now_ms(stage) - before, 300);
        assert_sent(stage, "\"Tags\":[{\"Key\":\"scale-agent:instance\",\"Value\":"
                           "\"arn:aws:ec2:eu-central-1:123456789012:instance/i-00000003\"}]");
        assert_sent(stage, "\\\"jit_config\\\":\\\"c2VjcmV0\\\"");
        assert_sent(stage, "\\\"runner_id\\\":103");
        assert_sent(stage, "\\\"id\\\":3,");
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000003\",\"job\":3");
        assert_logged(stage, "\"WebhookToLaunched\":1100");
        assert_logged(stage, "\"LaunchedToHandedOver\":");
        assert_not_logged(stage, "c2VjcmV0");
        assert_not_logged(stage, "token-of-github");
        assert_not_logged(stage, FAKE_AWS_SECRET);
}

static void different_jobs_are_launched_apart(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", job(1, "linux"), 0, NULL},
                {"b", job(2, "fallback"), 0, NULL},
                {"c",
                        "{\"action\":\"queued\",\"id\":3,\"run_id\":2,\"repository\":\"o/other\","
                        "\"labels\":[],\"spec\":\"linux\",\"instance_type\":\"m7i.large\"}",
                        0, NULL}};

        expect_launch(stage, "Value=repos%2Fo%2Fr&", 1, 1);
        expect_launch(stage, "InstanceType=t3.2xlarge&", 2, 2);
        expect_launch(stage, "Value=repos%2Fo%2Fother&", 3, 3);
        expect_hand_over(stage, 1);
        expect_hand_over(stage, 2);
        script_expect(stage->script, "POST", "/repos/o/other/", "i-00000003", 201,
                "{\"runner\":{\"id\":9},\"encoded_jit_config\":\"c2VjcmV0\"}");
        expect_put(stage, 3, 200, "{\"Version\":1}");
        assert_string_equal(run(stage, messages, 3), STAGE_NONE_FAILED);
}

static void duplicate_messages_share_an_instance(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", job(1, "linux"), 0, NULL}, {"b", job(1, "linux"), 0, NULL}};

        expect_launch(stage, "MaxCount=1&", 1, 1);
        expect_hand_over(stage, 1);
        assert_string_equal(run(stage, messages, 2), STAGE_NONE_FAILED);
}

static void tokens_are_requested_while_ec2_launches(void **state)
{
        struct stage *stage = *state;
        int64_t before = now_ms(stage);

        stage_become_app(stage);
        script_expect(stage->script, "POST", "/app/installations/4711/access_tokens", NULL, 201,
                "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        script_latency(stage->script, 150);
        expect_launch(stage, NULL, 1, 1);
        script_latency(stage->script, 100);
        expect_hand_over(stage, 1);
        assert_string_equal(
                run_one(stage, job_with(1, "linux", ",\"installation\":4711")), STAGE_NONE_FAILED);
        assert_int_equal(now_ms(stage) - before, 152);
        /* The token is kept. */
        expect_launch(stage, NULL, 2, 2);
        expect_hand_over(stage, 2);
        assert_string_equal(
                run_one(stage, job_with(2, "linux", ",\"installation\":4711")), STAGE_NONE_FAILED);
        assert_not_logged(stage, "ghs_x");
}

/* -- the ladder -- */

static void every_subnet_is_tried_before_the_next_rung(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, TYPE("m7i.large", "a"), 500, "InsufficientInstanceCapacity");
        expect_refusal(stage, TYPE("m7i.large", "b"), 500, "InsufficientInstanceCapacity");
        expect_refusal(stage, TYPE("m7a.large", "a"), 400, "Unsupported");
        expect_refusal(stage, TYPE("m7a.large", "b"), 400, "InsufficientFreeAddressesInSubnet");
        expect_launch(stage, TYPE("m7i.xlarge", "a"), 1, 1);
        expect_hand_over(stage, 1);
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"Failovers\":4");

        /* Offers without capacity are not tried again at once; a full subnet says nothing about
         * capacity. */
        expect_launch(stage, TYPE("m7a.large", "b"), 2, 2);
        expect_hand_over(stage, 2);
        assert_string_equal(run_one(stage, job(2, "linux")), STAGE_NONE_FAILED);
        script_sleep(stage->script, 4 * 60000);
        expect_launch(stage, TYPE("m7i.large", "a"), 3, 3);
        expect_hand_over(stage, 3);
        assert_string_equal(run_one(stage, job(3, "linux")), STAGE_NONE_FAILED);
}

static void a_partial_launch_is_used_and_the_rest_launched(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", job(1, "linux"), 0, NULL},
                {"b", job(2, "linux"), 0, NULL}, {"c", job(3, "linux"), 0, NULL}};

        expect_launch(stage, "MaxCount=3&", 1, 1);
        expect_launch(stage, "MaxCount=2&", 2, 3);
        for (int i = 1; i <= 3; i++)
                expect_hand_over(stage, i);
        assert_string_equal(run(stage, messages, 3), STAGE_NONE_FAILED);
}

static void on_demand_is_the_last_resort(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, TYPE("t3.2xlarge", "a"), 500, "InsufficientInstanceCapacity");
        expect_refusal(stage, TYPE("t3a.2xlarge", "a"), 500, "InsufficientInstanceCapacity");
        expect_launch(stage, TYPE("t3.2xlarge", "a"), 1, 1);
        expect_hand_over(stage, 1);
        assert_string_equal(run_one(stage, job(1, "fallback")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"market\":\"on-demand\"");
}

static void a_quota_leaves_only_the_other_market(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, TYPE("t3.2xlarge", "a"), 400, "MaxSpotInstanceCountExceeded");
        expect_launch(stage, TYPE("t3.2xlarge", "a"), 1, 1);
        expect_hand_over(stage, 1);
        assert_string_equal(run_one(stage, job(1, "fallback")), STAGE_NONE_FAILED);

        expect_refusal(stage, TYPE("m7i.large", "a"), 400, "VcpuLimitExceeded");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "quota reached");
        assert_string_equal(run_one(stage, job(2, "linux")), STAGE_NONE_FAILED);
}

/* -- parking -- */

static void without_capacity_jobs_are_parked_and_people_told_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", job(1, "fallback"), 0, NULL},
                {"b", job_with(2, "fallback", ",\"tries\":3"), 0, NULL}};

        expect_no_capacity(stage, "MaxCount=2&");
        stage_expect_sent(stage, "\\\"tries\\\":1,");
        stage_expect_sent(stage, "\\\"tries\\\":4,");
        stage_expect_sent(stage, "Jobs of spec fallback wait: no capacity");
        assert_string_equal(run(stage, messages, 2), STAGE_NONE_FAILED);
        assert_logged(stage, "\"tries\":1,\"delay_seconds\":30");
        assert_logged(stage, "\"tries\":4,\"delay_seconds\":240");
        assert_logged(stage, "\"Parked\":1");
        assert_logged(stage, "InsufficientInstanceCapacity: because");
}

/* An offer that EC2 refused a moment ago is skipped, which does not count as a try. */
static void empty_offers_are_left_alone_for_two_minutes(void **state)
{
        struct stage *stage = *state;

        expect_no_capacity(stage, "MaxCount=1&");
        stage_expect_sent(stage, "\\\"tries\\\":1,");
        stage_expect_sent(stage, "no capacity");
        assert_string_equal(run_one(stage, job(1, "fallback")), STAGE_NONE_FAILED);

        stage_expect_sent(stage, "\\\"tries\\\":1,");
        stage_expect_sent(stage, "no capacity");
        assert_string_equal(
                run_one(stage, job_with(1, "fallback", ",\"tries\":1")), STAGE_NONE_FAILED);

        script_sleep(stage->script, 2 * 60 * MSEC_PER_SEC);
        expect_launch(stage, TYPE("t3.2xlarge", "a"), 1, 1);
        expect_hand_over(stage, 1);
        assert_string_equal(
                run_one(stage, job_with(1, "fallback", ",\"tries\":1")), STAGE_NONE_FAILED);
}

static void throttling_is_waited_out_and_nobody_told(void **state)
{
        struct stage *stage = *state;
        const char *body = job_with(1, "linux", ",\"tries\":2,\"offer\":1");

        for (int i = 0; i < 6; i++)
                expect_refusal(stage, TYPE("m7i.large", "b"), 503, "RequestLimitExceeded");
        stage_expect_sent(stage, "\"DelaySeconds\":10}");
        assert_string_equal(run_one(stage, body), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"tries\\\":2,\\\"offer\\\":1,");
}

static void out_of_time_the_next_event_goes_on(void **state)
{
        struct stage *stage = *state;

        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 21000);
        expect_refusal(stage, TYPE("m7i.large", "a"), 500, "InsufficientInstanceCapacity");
        script_latency(stage->script, 2000);
        stage_expect_sent(stage, "\\\"offer\\\":1,");
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_NONE_FAILED);
        assert_not_sent(stage, "DelaySeconds");
        assert_not_sent(stage, "tries");
}

static void a_job_that_cannot_be_parked_comes_again(void **state)
{
        struct stage *stage = *state;

        expect_no_capacity(stage, "t3");
        script_expect(stage->script, "POST", STAGE_SQS, "parked", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(run_one(stage, job(1, "fallback")), STAGE_FAILED("m1"));
}

/* GitHub cancels a job that has been queued for a day. */
static void old_jobs_are_dropped(void **state)
{
        struct stage *stage = *state;
        const char *const old[] = {
                job_with(1, "linux", ",\"queued_ms\":1767236644000"),
                "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\",\"labels\":[],"
                "\"spec\":\"linux\",\"instance_type\":\"m7i.large\",\"webhook_ms\":1767236644000}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(old); i++)
                assert_string_equal(run_one(stage, old[i]), STAGE_NONE_FAILED);
        assert_logged(stage, "job dropped");
        assert_int_equal(script_requests(stage->script), 0);
}

/* -- idempotency -- */

static void tokens_are_the_same_for_the_same_try_only(void **state)
{
        struct stage *stage = *state;
        const char *const others[] = {job(2, "linux"), job_with(1, "linux", ",\"tries\":1"),
                job_with(1, "linux", ",\"offer\":1"), job(1, "fallback")};
        char token[65];
        char other[65];

        unsetenv("NOTIFY_QUEUE_URL");
        for (int i = 0; i < 2; i++) {
                expect_refusal(stage, "RunInstances", 400, "UnauthorizedOperation");
                run_one(stage, job(1, "linux"));
                last_token(stage, i == 0 ? token : other);
        }
        assert_string_equal(token, other);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                expect_refusal(stage, "RunInstances", 400, "UnauthorizedOperation");
                run_one(stage, others[i]);
                last_token(stage, other);
                assert_string_not_equal(token, other);
        }
}

static void a_used_token_is_replaced(void **state)
{
        struct stage *stage = *state;
        char token[65];
        char other[65];

        expect_refusal(stage, TYPE("m7i.large", "a"), 400, "IdempotentParameterMismatch");
        expect_refusal(stage, TYPE("m7i.large", "a"), 400, "IdempotentInstanceTerminated");
        expect_launch(stage, TYPE("m7i.large", "a"), 1, 1);
        expect_hand_over(stage, 1);
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_NONE_FAILED);
        unsetenv("NOTIFY_QUEUE_URL");
        expect_refusal(stage, TYPE("m7i.large", "a"), 403, "UnauthorizedOperation");
        run_one(stage, job(2, "linux"));
        last_token(stage, token);
        for (int i = 0; i < 4; i++)
                expect_refusal(stage, TYPE("m7i.large", "a"), 400, "IdempotentInstanceTerminated");
        assert_string_equal(run_one(stage, job(2, "linux")), STAGE_FAILED("m1"));
        last_token(stage, other);
        assert_string_not_equal(token, other);
}

/* After a failed registration the retry has the same client token, for which EC2 returns the old
 * instance while that shuts down. */
static void an_instance_that_shuts_down_is_not_used(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, TYPE("m7i.large", "a"), 200,
                "<RunInstancesResponse><instancesSet><item><instanceId>i-00000001</instanceId>"
                "<instanceState><name>shutting-down</name></instanceState></item></instancesSet>"
                "</RunInstancesResponse>");
        expect_launch(stage, TYPE("m7i.large", "a"), 2, 2);
        expect_hand_over(stage, 2);
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_NONE_FAILED);
}

/* -- what is in the way of a registration -- */

static void a_taken_name_is_cleared(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        script_expect(stage->script, "POST", JIT_URL, "i-00000001", 409,
                "{\"message\":\"Already exists\"}");
        script_expect(stage->script, "GET", RUNNERS_URL "?per_page=100&name=i-00000001", NULL, 200,
                "{\"total_count\":1,\"runners\":[{\"id\":55,\"name\":\"i-00000001\"}]}");
        script_expect(stage->script, "DELETE", RUNNERS_URL "/55", NULL, 204, "");
        expect_hand_over(stage, 1);
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_NONE_FAILED);
}

static void a_name_that_stays_taken_is_given_up(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        for (int i = 0; i < 2; i++)
                script_expect(stage->script, "POST", JIT_URL, NULL, 409, "{\"message\":\"no\"}");
        script_expect(stage->script, "GET", RUNNERS_URL, NULL, 200,
                "{\"runners\":[{\"id\":55,\"name\":\"i-00000001\"}]}");
        script_expect(stage->script, "DELETE", RUNNERS_URL "/55", NULL, 204, "");
        expect_parameter_deleted(stage, 1);
        expect_terminated(stage, "InstanceId.1=i-00000001");
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_FAILED("m1"));
        assert_logged(stage, "exists again after it was deleted");
}

static void a_parameter_in_the_way_is_replaced(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, "{\"__type\":\"ParameterAlreadyExists\"}");
        expect_parameter_deleted(stage, 1);
        expect_put(stage, 1, 200, "{\"Version\":1}");
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_NONE_FAILED);
}

/* -- taking a launch back -- */

static void without_a_jit_configuration_the_instance_goes(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", job(1, "linux"), 0, NULL},
                {"b", job(2, "linux"), 0, NULL}, {"c", job(3, "linux"), 0, NULL}};

        expect_launch(stage, NULL, 1, 3);
        expect_hand_over(stage, 1);
        script_expect(stage->script, "POST", JIT_URL, "i-00000002", 422, "{\"message\":\"no\"}");
        expect_hand_over(stage, 3);
        expect_parameter_deleted(stage, 2);
        expect_terminated(stage, "InstanceId.1=i-00000002");
        assert_string_equal(run(stage, messages, 3), STAGE_FAILED("b"));
        assert_logged(stage, "\"error\":\"job 2: instance i-00000002: ");
        assert_logged(stage, "\"message\":\"launch undone\",\"instance\":\"i-00000002\",\"job\":2");
}

static void without_a_parameter_the_runner_goes_as_well(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, "{\"__type\":\"ParameterLimitExceeded\",\"message\":\"full\"}");
        script_expect(stage->script, "DELETE", RUNNERS_URL "/101", NULL, 204, "");
        expect_parameter_deleted(stage, 1);
        expect_terminated(stage, "InstanceId.1=i-00000001");
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_FAILED("m1"));
        assert_not_logged(stage, "c2VjcmV0");
}

static void an_unknown_instance_does_not_save_the_others(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", job(1, "linux"), 0, NULL}, {"b", job(2, "linux"), 0, NULL}};

        expect_launch(stage, NULL, 1, 2);
        for (int i = 0; i < 2; i++)
                script_expect(stage->script, "POST", JIT_URL, NULL, 404, "{\"message\":\"no\"}");
        script_expect(stage->script, "POST", STAGE_SSM, "i-00000002\"]}", 200, "{}");
        for (int i = 0; i < 3; i++)
                expect_refusal(stage, "InstanceId.2=", 400, "InvalidInstanceID.NotFound");
        for (int i = 0; i < 3; i++)
                expect_refusal(
                        stage, "&InstanceId.1=i-00000001", 400, "InvalidInstanceID.NotFound");
        expect_terminated(stage, "InstanceId.1=i-00000002");
        assert_string_equal(run(stage, messages, 2),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"b\"}]}");
        assert_not_logged(stage, "not terminated");
}

/* -- what a person has to mend -- */

static void a_refused_launch_fails_and_is_told_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", job(1, "linux"), 0, NULL}, {"b", job(2, "linux"), 0, NULL}};

        expect_refusal(stage, "MaxCount=2", 403, "UnauthorizedOperation");
        stage_expect_sent(stage, "Jobs of spec linux wait: refused");
        assert_string_equal(run(stage, messages, 2),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"b\"}]}");
        assert_logged(stage, "allow ec2:RunInstances");
}

static void without_a_token_nothing_more_is_launched(void **state)
{
        struct stage *stage = *state;
        const char *body = job_with(1, "linux", ",\"installation\":4711");

        stage_become_app(stage);
        script_expect(stage->script, "POST", "/access_tokens", NULL, 401, "{\"message\":\"bad\"}");
        expect_launch(stage, NULL, 1, 1);
        expect_parameter_deleted(stage, 1);
        expect_terminated(stage, "InstanceId.1=i-00000001");
        assert_string_equal(run_one(stage, body), STAGE_FAILED("m1"));
        /* From now on nothing is launched before there is a token. */
        script_expect(stage->script, "POST", "/access_tokens", NULL, 401, "{\"message\":\"bad\"}");
        stage_expect_sent(stage, "refused");
        assert_string_equal(run_one(stage, body), STAGE_FAILED("m1"));
        script_expect(stage->script, "POST", "/access_tokens", NULL, 201,
                "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        expect_launch(stage, NULL, 1, 1);
        expect_hand_over(stage, 1);
        assert_string_equal(run_one(stage, body), STAGE_NONE_FAILED);
}

/* A personal token that was replaced in SSM takes effect in a warm process. */
static void a_refused_token_is_read_again(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "new-token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        expect_launch(stage, NULL, 1, 1);
        script_expect(stage->script, "POST", JIT_URL, NULL, 401, "{\"message\":\"bad\"}");
        expect_parameter_deleted(stage, 1);
        expect_terminated(stage, "InstanceId.1=i-00000001");
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_FAILED("m1"));
        expect_launch(stage, NULL, 2, 2);
        expect_hand_over(stage, 2);
        assert_string_equal(run_one(stage, job(1, "linux")), STAGE_NONE_FAILED);
        assert_string_equal(github_kept_token(stage->scaler.github, 0), "new-token");
}

static void bad_messages_fail_alone(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", "{\"action\":", 0, NULL},
                {"b", job(2, "linux"), 0, NULL}, {"c", job(3, "gone"), 0, NULL}};

        expect_launch(stage, "MaxCount=1&", 1, 1);
        expect_hand_over(stage, 1);
        assert_string_equal(run(stage, messages, 3),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"c\"}]}");
        assert_logged(stage, "its spec \\\"gone\\\" is not in the configuration any more");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_batch_is_one_launch),
                TEST(different_jobs_are_launched_apart),
                TEST(duplicate_messages_share_an_instance),
                TEST(tokens_are_requested_while_ec2_launches),
                TEST(every_subnet_is_tried_before_the_next_rung),
                TEST(a_partial_launch_is_used_and_the_rest_launched),
                TEST(on_demand_is_the_last_resort),
                TEST(a_quota_leaves_only_the_other_market),
                TEST(without_capacity_jobs_are_parked_and_people_told_once),
                TEST(empty_offers_are_left_alone_for_two_minutes),
                TEST(throttling_is_waited_out_and_nobody_told),
                TEST(out_of_time_the_next_event_goes_on),
                TEST(a_job_that_cannot_be_parked_comes_again),
                TEST(old_jobs_are_dropped),
                TEST(tokens_are_the_same_for_the_same_try_only),
                TEST(a_used_token_is_replaced),
                TEST(an_instance_that_shuts_down_is_not_used),
                TEST(a_taken_name_is_cleared),
                TEST(a_name_that_stays_taken_is_given_up),
                TEST(a_parameter_in_the_way_is_replaced),
                TEST(without_a_jit_configuration_the_instance_goes),
                TEST(without_a_parameter_the_runner_goes_as_well),
                TEST(an_unknown_instance_does_not_save_the_others),
                TEST(a_refused_launch_fails_and_is_told_once),
                TEST(without_a_token_nothing_more_is_launched),
                TEST(a_refused_token_is_read_again),
                TEST(bad_messages_fail_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
