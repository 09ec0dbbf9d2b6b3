/* SPDX-License-Identifier: MIT */

/*
 * Registering launched machines: a hand-over that cannot be stored now is waited for with its
 * machine, those behind it wait as well where it is everybody's limit, and what a message promises
 * is done once, however often it comes.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "job/pace.h"
#include "queued_stage.h"

#define LAUNCHED_MS 1767323044500 /* half a second ago */

/* The message of a job, and of the machine of the same number. */
static const char *launched(int id, const char *more)
{
        static char bodies[8][640];
        static size_t next;
        char *body = bodies[next++ % ARRAY_SIZE(bodies)];

        snprintf(body, sizeof(bodies[0]),
                "{\"action\":\"launched\",\"id\":%d,\"run_id\":2,\"attempt\":1,\"repository\":"
                "\"o/r\",\"name\":\"build\",\"labels\":[\"linux\"],\"spec\":\"linux\","
                "\"instance_type\":\"m7i.large\",\"machine_type\":\"m7i.2xlarge\",\"account\":"
                "\"123456789012\",\"instance\":\"i-%08x\",\"launched_ms\":%lld,"
                "\"webhook_ms\":1767323044000%s}",
                id, (unsigned)id, (long long)LAUNCHED_MS, more);
        return body;
}

static const char *register_batch(
        struct stage *stage, const struct stage_message *messages, size_t n)
{
        return stage_batch(stage, register_handle, messages, n);
}

static const char *register_one(struct stage *stage, const char *body, int receives)
{
        return register_batch(stage, &(const struct stage_message){"m1", body, receives, NULL}, 1);
}

/* What EC2 says of a job's machine that is not fresh. */
static void expect_recalled(struct stage *stage, const char *instances)
{
        expect_instances(stage, "Value.1=%2A%2F1-1-0%2F%2A", instances);
}

#define MACHINE(state, tags)                                                                       \
        STAGE_INSTANCE("i-00000001", state,                                                        \
                STAGE_TAG("scale-agent:prefix", "/p") STAGE_TAG("scale-agent:launches", "/1-1-0/") \
                        tags)
#define HANDOVER                                                                            \
        "{\\\"version\\\":1,\\\"jit_config\\\":\\\"c2VjcmV0\\\",\\\"prefix\\\":\\\"/p\\\"," \
        "\\\"spec\\\":\\\"linux\\\",\\\"scope\\\":\\\"repos/o/"                             \
        "r\\\",\\\"runner_id\\\":7,\\\"job\\\":"                                            \
        "{\\\"id\\\":1}}"

static void expect_no_parameter(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/runners/i-00000001\"", 400,
                "{\"__type\":\"ParameterNotFound\"}");
}

static void expect_denied(struct stage *stage, const char *text)
{
        script_expect(stage->script, "POST", STAGE_SSM, text, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        stage_expect_sent(stage, "sqs.test/dead");
}

/* -- handing over -- */

static void what_was_launched_is_handed_over_and_watched(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *watch = NULL;

        expect_registration(stage, 1);
        assert_string_equal(register_one(stage, launched(1, ",\"waits\":7"), 1), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\\\\\"type\\\\\\\":\\\\\\\"m7i.2xlarge\\\\\\\"");
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000001\",\"job\":1");
        assert_logged(stage, "\"WebhookToLaunched\":500");
        watch = script_take_served(stage->script, "sqs.test/watch");
        assert_non_null(watch);
        assert_contains(watch, "{\\\"action\\\":\\\"watched\\\",\\\"id\\\":1,");
        assert_contains(watch, "\\\"runner_id\\\":101");
        assert_contains(watch, "\"DelaySeconds\":240");
        assert_lacks(watch, "machine_type");
        assert_lacks(watch, "account");
        assert_lacks(watch, "waits"); /* it was parked; what a watch waits for is counted anew */
}

/* Of a job that has waited for longer than others, or in line. */
static void what_was_launched_again_is_looked_at_sooner(void **state)
{
        struct stage *stage = *state;
        static const char *const members[] = {",\"launch\":1", ",\"paced\":1"};

        for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
                _cleanup_free_ char *watch = NULL;

                expect_registration(stage, 1);
                assert_string_equal(
                        register_one(stage, launched(1, members[i]), 1), STAGE_NONE_FAILED);
                watch = script_take_served(stage->script, "sqs.test/watch");
                assert_non_null(watch);
                assert_contains(watch, "\"DelaySeconds\":90");
        }
}

/* One that an earlier try launched may have its hand-over. */
static void what_was_adopted_is_looked_at_first(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *watch = NULL;

        script_expect(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/runners/i-00000001\"", 200,
                "{\"Parameter\":{\"Value\":\"" HANDOVER "\"}}");
        assert_string_equal(
                register_one(stage, launched(1, ",\"adopted\":1"), 1), STAGE_NONE_FAILED);
        assert_logged(stage, "found handed over");
        assert_not_logged(stage, "\"Launched\"");
        watch = script_take_served(stage->script, "sqs.test/watch");
        assert_non_null(watch);
        assert_lacks(watch, "adopted"); /* it is known by then */
}

/* An older release said less of its machine. */
static void what_a_message_does_not_say_is_left_out(void **state)
{
        struct stage *stage = *state;

        expect_registration(stage, 1);
        assert_string_equal(register_one(stage,
                                    "{\"action\":\"launched\",\"id\":1,\"run_id\":2,\"attempt\":1,"
                                    "\"repository\":\"o/r\",\"labels\":[\"linux\"],\"spec\":"
                                    "\"linux\",\"instance\":\"i-00000001\",\"launched_ms\":"
                                    "1767323044500}",
                                    1),
                STAGE_NONE_FAILED);
        assert_not_sent(stage, "(null)");
}

static void a_double_is_done_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", launched(1, ""), 0, NULL}, {"b", launched(1, ""), 0, NULL}};

        expect_registration(stage, 1);
        assert_string_equal(register_batch(stage, messages, 2), STAGE_NONE_FAILED);
}

static void what_names_no_machine_is_a_dead_letter(void **state)
{
        static const char *const bodies[] = {"{", "{\"action\":\"launched\"}",
                "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\",\"labels\":[],"
                "\"instance\":\"i-00000001\"}",
                "{\"action\":\"launched\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\","
                "\"labels\":[],\"instance\":\"machine\"}",
                "{\"action\":\"launched\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\","
                "\"labels\":[]}"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                stage_expect_sent(stage, "sqs.test/dead");
                assert_string_equal(register_one(stage, bodies[i], 1), STAGE_NONE_FAILED);
        }
}

/* A machine looks where it was launched to look, whatever the configuration says by now: here SSM.
 */
static void a_machine_keeps_its_bucket(void **state)
{
        static const char url[] = "https://b.s3.eu-central-1.amazonaws.com/arn%3Aaws%3Aec2%3A"
                                  "eu-central-1%3A123456789012%3Ainstance/i-00000001";
        struct stage *stage = *state;
        _cleanup_free_ char *watch = NULL;

        setenv("HAND_OVERS", "s3://b/arn:aws:ec2:eu-central-1:123456789012:instance", 1);
        expect_jit(stage, 1);
        script_expect(stage->script, "PUT", url, "\"runner_id\":101", 200, "");
        assert_string_equal(
                register_one(stage, launched(1, ",\"bucket\":\"b\""), 1), STAGE_NONE_FAILED);
        watch = script_take_served(stage->script, "sqs.test/watch");
        assert_contains(watch, "\\\"bucket\\\":\\\"b\\\"");
}

/* Its agent ends it; nothing is asked of GitHub. */
static void a_machine_whose_bucket_is_not_the_stacks_is_given_up(void **state)
{
        struct stage *stage = *state;

        setenv("HAND_OVERS", "s3://b/arn:aws:ec2:eu-central-1:123456789012:instance", 1);
        for (int i = 0; i < 2; i++) {
                stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
                assert_string_equal(register_one(stage, launched(1, ",\"bucket\":\"before\""), 1),
                        STAGE_NONE_FAILED);
                assert_not_sent(stage, "bucket");
                unsetenv("HAND_OVERS");
        }
        assert_logged(stage, "\"bucket\":\"before\"");
}

/* Its hand-over may have been stored before, so it is not terminated where nobody can tell. */
static void a_machine_that_may_run_a_job_is_kept(void **state)
{
        static const char parameter[] = "\"Name\":\"/p/runners/i-00000001\"";
        struct stage *stage = *state;

        expect_recalled(stage, MACHINE("running", ""));
        expect_denied(stage, parameter);
        assert_string_equal(register_one(stage, launched(1, ""), 2), STAGE_NONE_FAILED);

        script_expect(stage->script, "POST", QUEUED_JIT_URL, "i-00000001", 409,
                "{\"message\":\"Already exists - A runner with the name\"}");
        expect_denied(stage, parameter);
        assert_string_equal(register_one(stage, launched(1, ""), 1), STAGE_NONE_FAILED);

        expect_jit(stage, 1);
        expect_put(stage, 1, 400, "{\"__type\":\"ParameterAlreadyExists\"}");
        expect_denied(stage, parameter);
        assert_string_equal(register_one(stage, launched(1, ""), 1), STAGE_NONE_FAILED);

        expect_jit(stage, 1);
        expect_denied(stage, "\"Overwrite\":false");
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/101", NULL, 422,
                "{\"message\":\"Bad request - Runner is running a job\"}");
        assert_string_equal(register_one(stage, launched(1, ""), 1), STAGE_NONE_FAILED);
        assert_logged(stage, "it runs a job");
        assert_not_logged(stage, "launch undone");
}

/* -- what is not fresh -- */

static void a_message_that_comes_again_or_late_asks_first(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 2; i++) {
                if (i == 1)
                        script_sleep(stage->script, 300 * MSEC_PER_SEC);
                expect_recalled(stage, MACHINE("running", ""));
                expect_no_parameter(stage);
                expect_registration(stage, 1);
                assert_string_equal(register_one(stage, launched(1, ""), 2 - i), STAGE_NONE_FAILED);
        }
        assert_logged(stage, "\"Launched\"");
}

static void a_machine_that_ended_meanwhile_is_followed_by_another(void **state)
{
        struct stage *stage = *state;

        expect_recalled(stage, MACHINE("terminated", ""));
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        assert_string_equal(register_one(stage, launched(1, ""), 2), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"relaunches\\\":1,");
        assert_not_sent(stage, "machine_type");
}

/* An earlier try may have died before it sent a watch. */
static void a_job_whose_machine_has_worked_is_watched(void **state)
{
        static const char tag[] = "<item><key>scale-agent:job-url</key><value>x</value></item>";
        struct stage *stage = *state;
        _cleanup_free_ char *machine = mem_format(MACHINE("running", "%s"), tag);
        _cleanup_free_ char *watch = NULL;

        expect_recalled(stage, machine);
        assert_string_equal(register_one(stage, launched(1, ""), 2), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 1);
        watch = script_take_served(stage->script, "sqs.test/watch");
        assert_non_null(watch);
}

/* EC2 may not show an instance for minutes; after five, it has ended. */
static void a_machine_that_ec2_does_not_show_yet_is_there(void **state)
{
        struct stage *stage = *state;

        expect_recalled(stage, "");
        expect_no_parameter(stage);
        expect_registration(stage, 1);
        assert_string_equal(register_one(stage, launched(1, ""), 2), STAGE_NONE_FAILED);
        script_sleep(stage->script, 300 * MSEC_PER_SEC);
        expect_recalled(stage, "");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        assert_string_equal(register_one(stage, launched(1, ""), 2), STAGE_NONE_FAILED);
}

static void while_ec2_cannot_be_asked_all_wait(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 503,
                        "<Response><Errors><Error><Code>Unavailable</Code></Error></Errors>"
                        "</Response>");
        stage_expect_sent(stage, "wait: AWS refuses");
        assert_string_equal(register_one(stage, launched(1, ""), 2), STAGE_FAILED("m1"));
}

/* A role may be mended within some minutes. */
static void what_ec2_refuses_to_tell_is_a_dead_letter_in_the_end(void **state)
{
        struct stage *stage = *state;

        for (int receives = 2; receives <= 4; receives++) {
                script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 403,
                        "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error>"
                        "</Errors></Response>");
                if (receives == 4)
                        stage_expect_sent(stage, "sqs.test/dead");
                assert_string_equal(register_one(stage, launched(1, ""), receives),
                        receives == 4 ? STAGE_NONE_FAILED : STAGE_FAILED("m1"));
        }
}

/* -- what waits -- */

static void expect_hidden(struct stage *stage, int n, int seconds)
{
        _cleanup_buf_ struct buf asked = BUF_INIT(4096);
        _cleanup_buf_ struct buf done = BUF_INIT(4096);

        for (int i = 1; i <= n; i++) {
                if (n > 1)
                        buf_add_format(&asked, "%s{\"Id\":\"%d\",", i > 1 ? "," : "", i - 1);
                buf_add_format(
                        &asked, "\"ReceiptHandle\":\"r%d\",\"VisibilityTimeout\":%d}", i, seconds);
                buf_add_format(
                        &done, "%s{\"Id\":\"%d\"}", i > 1 ? "," : "{\"Successful\":[", i - 1);
        }
        buf_add_string(&done, "]}");
        script_expect(stage->script, "POST", STAGE_SQS, buf_string(&asked), 200, buf_string(&done));
}

/* Runs a batch of messages with receipts, and ATTRIBUTES besides. */
static void register_with(struct stage *stage, int n, int receives, const char *attributes)
{
        _cleanup_buf_ struct buf text = BUF_INIT(65536);
        struct err err;

        buf_add_string(&text, "{\"Records\":[");
        for (int i = 1; i <= n; i++) {
                _cleanup_json_ cJSON *body = cJSON_CreateString(launched(i, ""));
                _cleanup_free_ char *printed = cJSON_PrintUnformatted(body);

                buf_add_format(&text,
                        "%s{\"messageId\":\"m%d\",\"receiptHandle\":\"r%d\",\"eventSourceARN\":"
                        "\"arn:aws:sqs:eu-central-1:123456789012:p-register.fifo\",\"attributes\":"
                        "{\"ApproximateReceiveCount\":\"%d\"%s},\"body\":%s}",
                        i > 1 ? "," : "", i, i, receives, attributes, printed);
        }
        buf_add_string(&text, "]}");
        buf_clear(&stage->answer);
        assert_int_equal(
                batch_run(&stage->scaler, register_handle,
                        &(const struct lambda_event){.body = buf_string(&text), .size = text.size},
                        &stage->answer, &err),
                0);
}

/* All of them are to be hidden for SECONDS each. */
static void expect_all_hidden(struct stage *stage, int n, int receives, int seconds)
{
        expect_hidden(stage, n, seconds);
        register_with(stage, n, receives, "");
}

/* Until it ends; people are told once. */
static void a_limit_is_waited_for_by_all(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 3; i++)
                script_expect_headers(stage->script, "POST", QUEUED_JIT_URL, NULL, 403,
                        "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1767325045\r\n",
                        "{\"message\":\"API rate limit exceeded\"}");
        stage_expect_sent(stage, "\\\"Jobs of this batch\\\",\\\"value\\\":\\\"3\\\"");
        expect_all_hidden(stage, 3, 1, 2000);
        assert_contains(buf_string(&stage->answer), "\"m3\"");
        assert_logged(stage, "\"until\":\"2026-01-02T03:37:25");
        assert_logged(stage, "\"Parked\":1");
}

/* A clock that is wrong must not stop us for days. */
static void a_limit_ends_within_the_hour(void **state)
{
        struct stage *stage = *state;

        script_expect_headers(stage->script, "POST", QUEUED_JIT_URL, NULL, 403,
                "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1800000000\r\n",
                "{\"message\":\"API rate limit exceeded\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        expect_all_hidden(stage, 1, 1, 3900);
}

static void a_limit_whose_end_nobody_names_is_tried_in_a_minute(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 403,
                "{\"message\":\"You have exceeded a secondary rate limit\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        expect_all_hidden(stage, 1, 1, 60);
}

/* By our clock, which may be ahead of GitHub's: nobody asks again and again at once. */
static void a_limit_that_is_over_already_is_as_one_without_an_end(void **state)
{
        struct stage *stage = *state;

        script_expect_headers(stage->script, "POST", QUEUED_JIT_URL, NULL, 403,
                "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1767323000\r\n",
                "{\"message\":\"API rate limit exceeded\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        expect_all_hidden(stage, 1, 1, 60);
}

/* Those behind it wait without a call. What people heard a moment ago, the queue drops. */
static void after_a_refusal_nobody_is_asked(void **state)
{
        struct stage *stage = *state;

        script_expect_headers(stage->script, "POST", QUEUED_JIT_URL, NULL, 429,
                "Retry-After: 100\r\n", "{\"message\":\"no\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_one(stage, launched(1, ""), 1), STAGE_FAILED("m1"));
        stage_expect_sent(stage, "wait: GitHub refuses");
        expect_all_hidden(stage, 3, 1, 101);
        script_sleep(stage->script, 102 * MSEC_PER_SEC);
        expect_registration(stage, 1);
        assert_string_equal(register_one(stage, launched(1, ""), 1), STAGE_NONE_FAILED);
}

/* GitHub says how many of the hour's calls are left, and others need some. */
static void the_last_calls_of_the_hour_are_left_to_others(void **state)
{
        static const char answer[] =
                "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}";
        struct stage *stage = *state;

        for (int i = 51; i >= 50; i--) {
                _cleanup_free_ char *headers = mem_format(
                        "x-ratelimit-remaining: %d\r\nx-ratelimit-reset: 1767323645\r\n", i);

                script_expect_headers(
                        stage->script, "POST", QUEUED_JIT_URL, NULL, 201, headers, answer);
                expect_put(stage, 1, 200, "{\"Version\":1}");
                assert_string_equal(register_one(stage, launched(1, ""), 1), STAGE_NONE_FAILED);
        }
        stage_expect_sent(stage, "the last calls of the hour are left to others");
        expect_all_hidden(stage, 2, 1, 601);
        assert_logged(stage, "\"reason\":\"GitHub refuses\"");
}

/* 180 at once, and then three a second, within the event. */
static void registrations_keep_the_pace(void **state)
{
        struct stage *stage = *state;
        struct budget *budget = pace_of_github(&stage->scaler, 0);
        const struct stage_message messages[] = {{"a", launched(1, ""), 0, NULL},
                {"b", launched(2, ""), 0, NULL}, {"c", launched(3, ""), 0, NULL}};
        int64_t began = stage_now_ms(stage);

        budget_spend(budget, began, 880 - 5);
        for (int i = 1; i <= 3; i++)
                expect_registration(stage, i);
        assert_string_equal(register_batch(stage, messages, 3), STAGE_NONE_FAILED);
        assert_in_range(stage_now_ms(stage) - began, 680, 700);
}

/* What GitHub has registered is not registered again because SSM throttles. */
static void a_throttled_store_is_tried_again_within_the_event(void **state)
{
        struct stage *stage = *state;

        expect_jit(stage, 1);
        for (int i = 0; i < 6; i++)
                expect_put(stage, 1, 400, "{\"__type\":\"ThrottlingException\"}");
        expect_put(stage, 1, 200, "{\"Version\":1}");
        assert_string_equal(register_one(stage, launched(1, ""), 1), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 8);
}

/* It is not parked, however often it comes. */
static void a_limit_may_last(void **state)
{
        struct stage *stage = *state;

        setenv("MAX_RECEIVE_COUNT", "1000", 1);
        expect_recalled(stage, MACHINE("running", ""));
        expect_no_parameter(stage);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 429, "{\"message\":\"no\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        expect_all_hidden(stage, 1, 500, 60);
}

static void what_fails_for_all_is_tried_again_soon(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 6; i++)
                script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 503, "Unicorn");
        stage_expect_sent(stage, "wait: GitHub refuses");
        expect_all_hidden(stage, 2, 1, 15);
}

/* A message that has waited for an hour came often, and is no more to blame for that. */
static void what_cannot_be_settled_comes_again_soon(void **state)
{
        struct stage *stage = *state;

        setenv("MAX_RECEIVE_COUNT", "1000", 1);
        expect_recalled(stage, MACHINE("terminated", ""));
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/queued.fifo", 500, "{}");
        expect_all_hidden(stage, 1, 30, 15);
}

/* People hear that it is over, too. A minute is more than the pace asks for. */
static void people_hear_that_jobs_go_on(void **state)
{
        struct stage *stage = *state;

        for (int seconds = 59; seconds <= 60; seconds++) {
                _cleanup_free_ char *attributes = mem_format(
                        ",\"ApproximateFirstReceiveTimestamp\":\"%lld\"",
                        (long long)(clock_wall_ms(stage->scaler.clock) - seconds * MSEC_PER_SEC));

                expect_recalled(stage, MACHINE("running", ""));
                expect_no_parameter(stage);
                expect_registration(stage, 1);
                if (seconds == 60)
                        stage_expect_sent(stage, "Jobs of spec linux go on");
                register_with(stage, 1, 2, attributes);
                assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        }
        assert_sent(stage, "\\\"They waited\\\",\\\"value\\\":\\\"a limit, or an outage\\\"");
}

/* Where others are handed over, or it comes back, a job must not hold them up. */
static void what_fails_for_one_job_is_parked(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", launched(1, ""), 0, NULL}, {"b", launched(2, ""), 0, NULL}};

        expect_jit(stage, 1);
        for (int i = 0; i < 3; i++)
                expect_put(stage, 1, 500, "{\"__type\":\"InternalServerError\"}");
        expect_registration(stage, 2);
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "wait: AWS refuses");
        assert_string_equal(register_batch(stage, messages, 2), STAGE_NONE_FAILED);

        expect_recalled(stage, MACHINE("running", ""));
        expect_no_parameter(stage);
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 503, "Unicorn");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_one(stage, launched(1, ""), 4), STAGE_NONE_FAILED);
        assert_not_logged(stage, "message failed");
}

/* Its message is the only one there is. */
static void what_cannot_be_parked_comes_again(void **state)
{
        struct stage *stage = *state;

        setenv("MAX_RECEIVE_COUNT", "1000", 1);
        expect_recalled(stage, MACHINE("running", ""));
        expect_no_parameter(stage);
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 503, "Unicorn");
        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/parked", 403,
                "{\"__type\":\"AccessDenied\"}");
        assert_string_equal(register_one(stage, launched(1, ""), 4), STAGE_FAILED("m1"));
}

/* Or queued.fifo drops the older one's next as a repetition of the newer one. */
static void of_doubles_the_one_that_was_sent_last_is_parked(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", launched(1, ",\"sends\":4"), 0, NULL},
                {"b", launched(1, ",\"sends\":5"), 0, NULL}, {"c", launched(2, ""), 0, NULL}};

        expect_jit(stage, 1);
        for (int i = 0; i < 3; i++)
                expect_put(stage, 1, 500, "{\"__type\":\"InternalServerError\"}");
        expect_registration(stage, 2);
        stage_expect_sent(stage, "\\\"sends\\\":5");
        stage_expect_sent(stage, "wait: AWS refuses");
        assert_string_equal(register_batch(stage, messages, 3), STAGE_NONE_FAILED);
}

static void without_its_settings_machines_wait(void **state)
{
        struct stage *stage = *state;

        github_release(stage->scaler.github);
        free(MEM_STEAL(stage->scaler.github));
        stage_expect_sent(stage, "wait: settings cannot be read");
        expect_all_hidden(stage, 2, 1, 60);
        assert_contains(buf_string(&stage->answer), "\"m2\"");
}

/* A spec that is gone is no limit: its job must not hold up others, and `queued` judges it. */
static void without_a_spec_a_job_goes_back(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->n_specs = 0;
        stage_expect_sent(stage, "sqs.test/parked");
        assert_string_equal(register_one(stage, launched(1, ""), 1), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"stale\\\":1");
        assert_sent(stage, "\"DelaySeconds\":60}");
        assert_logged(stage, "is not in the configuration any more");
        stage->scaler.config->n_specs = 3;
}

#define STORED                                                                            \
        "{\\\"prefix\\\":\\\"/p\\\",\\\"github\\\":{\\\"repositories\\\":[\\\"o/*\\\"]}," \
        "\\\"specs\\\":[{\\\"name\\\":\\\"linux\\\",\\\"labels\\\":[\\\"self-hosted\\\"," \
        "\\\"linux\\\"],\\\"launch_template\\\":\\\"runner\\\","                          \
        "\\\"instance_type\\\":\\\"m7i.large\\\","                                        \
        "\\\"subnets\\\":[\\\"subnet-0000000a\\\"]}]}"

/* `webhook` and `queued` may have read of it minutes before. */
static void a_spec_that_is_new_is_read(void **state)
{
        struct stage *stage = *state;
        struct config *old = stage->scaler.config;
        const struct stage_message messages[] = {
                {"a", launched(1, ""), 0, NULL}, {"b", launched(2, ""), 0, NULL}};

        old->n_specs = 0;
        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        script_sleep(stage->script, 61 * MSEC_PER_SEC);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/config", 200,
                "{\"Parameters\":[{\"Name\":\"/p/config\",\"Value\":\"" STORED "\"}]}");
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        assert_string_equal(register_batch(stage, messages, 2), STAGE_NONE_FAILED);
        old->n_specs = 3;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_was_launched_is_handed_over_and_watched),
                TEST(what_was_launched_again_is_looked_at_sooner),
                TEST(what_was_adopted_is_looked_at_first),
                TEST(a_machine_that_may_run_a_job_is_kept),
                TEST(what_a_message_does_not_say_is_left_out),
                TEST(a_double_is_done_once),
                TEST(what_names_no_machine_is_a_dead_letter),
                TEST(a_machine_keeps_its_bucket),
                TEST(a_machine_whose_bucket_is_not_the_stacks_is_given_up),
                TEST(a_message_that_comes_again_or_late_asks_first),
                TEST(a_machine_that_ended_meanwhile_is_followed_by_another),
                TEST(a_job_whose_machine_has_worked_is_watched),
                TEST(a_machine_that_ec2_does_not_show_yet_is_there),
                TEST(while_ec2_cannot_be_asked_all_wait),
                TEST(what_ec2_refuses_to_tell_is_a_dead_letter_in_the_end),
                TEST(a_limit_is_waited_for_by_all),
                TEST(a_limit_ends_within_the_hour),
                TEST(a_limit_that_is_over_already_is_as_one_without_an_end),
                TEST(a_limit_whose_end_nobody_names_is_tried_in_a_minute),
                TEST(after_a_refusal_nobody_is_asked),
                TEST(the_last_calls_of_the_hour_are_left_to_others),
                TEST(registrations_keep_the_pace),
                TEST(a_throttled_store_is_tried_again_within_the_event),
                TEST(a_limit_may_last),
                TEST(what_fails_for_all_is_tried_again_soon),
                TEST(what_cannot_be_settled_comes_again_soon),
                TEST(people_hear_that_jobs_go_on),
                TEST(what_fails_for_one_job_is_parked),
                TEST(what_cannot_be_parked_comes_again),
                TEST(of_doubles_the_one_that_was_sent_last_is_parked),
                TEST(without_its_settings_machines_wait),
                TEST(without_a_spec_a_job_goes_back),
                TEST(a_spec_that_is_new_is_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
