/* SPDX-License-Identifier: MIT */

/*
 * Setbacks: a passing one pauses launches for its installation, until GitHub's limit ends; and a
 * batch of messages has failed where SQS did not take all of it.
 */

#include <errno.h>

#include "aws/answer.h"
#include "aws/sqs.h"
#include "job/setback.h"
#include "stage.h"

static struct http_call *answered(int status, const char *headers, const char *answer)
{
        struct http_call *call = http_call_new("call", "GET", "%s", STAGE_GITHUB);

        call->status = status;
        buf_add_string(&call->answer_headers, headers);
        call->answer = (struct buf)BUF_INIT(4096);
        buf_add_string(&call->answer, answer);
        return call;
}

static void github_pauses_the_launches_of_an_installation(void **state)
{
        static const struct {
                int status;
                const char *headers;
                int64_t pause_ms; /* 0: launches go on */
        } rows[] = {
                {503, "", 60000},
                {429, "Retry-After: 120\r\n", 120000},
                {429, "Retry-After: 99999\r\n", 65 * 60000},
                {404, "", 0},
        };
        struct stage *stage = *state;
        int64_t now_ms = clock_wall_ms(stage->scaler.clock);
        const struct err err = {0};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        answered(rows[i].status, rows[i].headers, "{}");
                int64_t until_ms = rows[i].pause_ms ? now_ms + rows[i].pause_ms : 0;

                setback_by_github(&stage->scaler, (int64_t)i + 1, call, -EPROTO, &err);
                assert_int_equal(setback_pause_until(&stage->scaler, (int64_t)i + 1), until_ms);
        }
        assert_int_equal(setback_pause_until(&stage->scaler, 9), 0);
        script_sleep(stage->script, 60001);
        assert_int_equal(setback_pause_until(&stage->scaler, 1), 0);
}

static struct http_call *failed_for(const char *path)
{
        struct http_call *call = http_call_new("call", "GET", STAGE_GITHUB "%s", path);

        call->status = 500;
        return call;
}

static void fail_for(struct stage *stage, const char *path)
{
        _cleanup_(http_call_freep) struct http_call *call = failed_for(path);

        assert_true(
                setback_by_github(&stage->scaler, 1, call, -EPROTO, &(struct err){{0}}).passing);
}

#define JOB_1 "/repos/o/r/actions/jobs/1"
#define JOB_2 "/repos/o/r/actions/jobs/2"
#define RUN "/repos/o/r/actions/runs/3"

/* However often it is tried: no other job waits for it. */
static void a_job_that_fails_alone_pauses_nothing(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 5; i++) {
                fail_for(stage, JOB_1);
                assert_int_equal(setback_pause_until(&stage->scaler, 1), 0);
                script_sleep(stage->script, 30000);
        }
        fail_for(stage, JOB_2);
        assert_true(setback_pause_until(&stage->scaler, 1) > 0);
}

static void jobs_that_fail_one_after_the_other_pause_launches(void **state)
{
        static const char *const pairs[][2] = {{JOB_1, JOB_2}, {JOB_1, RUN}, {RUN, JOB_1}};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                fail_for(stage, pairs[i][0]);
                assert_int_equal(setback_pause_until(&stage->scaler, 1), 0);
                fail_for(stage, pairs[i][1]);
                assert_int_equal(setback_pause_until(&stage->scaler, 1),
                        clock_wall_ms(stage->scaler.clock) + 60000);
                assert_int_equal(setback_pause_until(&stage->scaler, 2), 0);
                script_sleep(stage->script, 60001);
        }
        /* What is about no job pauses at once. */
        fail_for(stage, "/app/installations/1/access_tokens");
        assert_true(setback_pause_until(&stage->scaler, 1) > 0);
}

/* However many jobs fail in an outage, the pauses of others are remembered. */
static void an_outage_pushes_out_no_other_pause(void **state)
{
        struct stage *stage = *state;
        struct scaler *scaler = &stage->scaler;
        _cleanup_(http_call_freep) struct http_call *limited =
                answered(429, "Retry-After: 50\r\n", "{}");

        (void)setback_by_github(scaler, 2, limited, -EAGAIN, &(struct err){{0}});
        for (int i = 0; i < RECENT_MAX - 10; i++) {
                _cleanup_free_ char *path = mem_format("/repos/o/r/actions/jobs/%d", i);

                fail_for(stage, path);
        }
        assert_true(setback_pause_until(scaler, 2) > 0);
}

/* Many that fail for themselves are no outage, as others show. */
static void an_answer_ends_the_pause(void **state)
{
        struct stage *stage = *state;
        struct scaler *scaler = &stage->scaler;
        _cleanup_(http_call_freep) struct http_call *limited =
                answered(429, "Retry-After: 50\r\n", "{}");

        fail_for(stage, JOB_1);
        fail_for(stage, JOB_2);
        setback_note_answer(scaler, 2);
        assert_true(setback_pause_until(scaler, 1) > 0);
        setback_note_answer(scaler, 1);
        assert_int_equal(setback_pause_until(scaler, 1), 0);
        fail_for(stage, RUN);
        assert_int_equal(setback_pause_until(scaler, 1), 0);
        (void)setback_by_github(scaler, 1, limited, -EAGAIN, &(struct err){{0}});
        setback_note_answer(scaler, 1);
        assert_int_equal(setback_pause_until(scaler, 1), clock_wall_ms(scaler->clock) + 50000);
}

/* Not where others register; a failure of GitHub is everybody's. */
static void a_limit_pauses_no_launches_where_there_are_more_apps(void **state)
{
        struct stage *stage = *state;
        struct scaler *scaler = &stage->scaler;
        struct http_call *call = http_call_new("x", "POST", STAGE_GITHUB);
        const struct setback suspended = {.result = -EACCES, .of_caller = true};
        const struct setback final = {.result = -EACCES};
        struct setback limit;

        call->status = 429;
        buf_add_string(&call->answer_headers, "Retry-After: 100\r\n");
        limit = setback_by_github(scaler, 1, call, -EAGAIN, &(struct err){{0}});
        assert_true(limit.is_limit);
        assert_true(setback_pauses_launches(scaler, 1, NULL));
        assert_true(setback_pauses_launches(scaler, 1, &limit));
        assert_true(setback_pauses_launches(scaler, 1, &suspended));
        scaler->config->n_additional_apps = 1;
        assert_false(setback_pauses_launches(scaler, 1, NULL));
        assert_false(setback_pauses_launches(scaler, 1, &limit));
        assert_false(setback_pauses_launches(scaler, 1, &suspended));
        assert_true(setback_pauses_launches(scaler, 1, &final));
        assert_true(setback_pause_until(scaler, 1) > 0); /* nobody is asked all the same */
        call->status = 503;
        buf_clear(&call->answer_headers);
        (void)setback_by_github(scaler, 2, call, -EPROTO, &(struct err){{0}});
        assert_true(setback_pauses_launches(scaler, 2, NULL));
        assert_false(setback_pauses_launches(scaler, 3, NULL));
        scaler->config->n_additional_apps = 0;
        http_call_free(call);
}

/* Those that meet a limit at the same time, or long afterwards, heed what GitHub says. */
static void a_limit_that_is_met_again_at_its_end_lasts_a_minute(void **state)
{
        static const struct {
                int64_t after_ms;
                int64_t pause_ms;
        } rows[] = {{0, 2000}, {1000, 2000}, {2000, 60000}, {60000, 60000}, {120001, 2000}};
        _cleanup_(http_call_freep) struct http_call *call =
                answered(429, "Retry-After: 2\r\n", "{}");
        struct stage *stage = *state;
        const struct err err = {0};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct setback setback;

                script_sleep(stage->script, rows[i].after_ms);
                setback = setback_by_github(&stage->scaler, 1, call, -EAGAIN, &err);
                assert_int_equal(
                        setback.until_ms - clock_wall_ms(stage->scaler.clock), rows[i].pause_ms);
        }
}

/* What has ended already must not push out what has not. */
static void a_limit_that_has_ended_pauses_nothing(void **state)
{
        _cleanup_(http_call_freep) struct http_call *failed = answered(503, "", "{}");
        _cleanup_(http_call_freep) struct http_call *over =
                answered(429, "Retry-After: 0\r\n", "{}");
        struct stage *stage = *state;
        const struct err err = {0};

        setback_by_github(&stage->scaler, 1, failed, -EPROTO, &err);
        for (int64_t i = 0; i < 2 * RECENT_MAX; i++)
                setback_by_github(&stage->scaler, 2 + i, over, -EPROTO, &err);
        assert_int_equal(
                setback_pause_until(&stage->scaler, 1), clock_wall_ms(stage->scaler.clock) + 60000);
}

static void a_setback_has_result_and_cause(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = answered(500, "", "");
        struct stage *stage = *state;
        struct err err = {0};
        struct setback setback;

        err_set(&err, -EPROTO, "no answer");
        setback = setback_by_aws(call, -EPROTO, &err);
        assert_true(setback.passing && !setback.by_github);
        assert_int_equal(setback.result, -EPROTO);
        assert_string_equal(setback.err.text, "no answer");
        setback = setback_by_github(&stage->scaler, 1, call, -EPROTO, &err);
        assert_true(setback.passing && setback.by_github);
        assert_int_equal(setback.result, -EPROTO);
        assert_string_equal(setback.err.text, "no answer");
        setback = setback_final(-EPROTO, &err);
        assert_false(setback.passing || setback.by_github);
        assert_int_equal(setback.result, -EPROTO);
        assert_string_equal(setback.err.text, "no answer");
}

static void aws_refusals_pass_or_stay(void **state)
{
        static const struct {
                int status;
                const char *code;
                bool passing;
        } rows[] = {
                {500, "", true},
                {400, "{\"__type\":\"ThrottlingException\"}", true},
                {400, "{\"__type\":\"ParameterLimitExceeded\"}", true},
                {400, "{\"__type\":\"AccessDeniedException\"}", false},
                {400, "{\"__type\":\"ValidationException\"}", false},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        answered(rows[i].status, "", rows[i].code);

                assert_int_equal(aws_call_is_passing(call), rows[i].passing);
        }
}

static void a_message_that_sqs_did_not_take_fails_the_batch(void **state)
{
        _cleanup_(http_call_freep) struct http_call *whole = answered(200, "", "{\"Failed\":[]}");
        _cleanup_(http_call_freep) struct http_call *partly =
                answered(200, "", "{\"Failed\":[{\"Id\":\"1\",\"Code\":\"InternalError\"}]}");
        struct err err = {0};

        (void)state;
        assert_int_equal(sqs_send_messages_answer(whole, &err), 0);
        assert_int_equal(sqs_send_messages_answer(partly, &err), -EREMOTEIO);
        assert_contains(err.text, "did not take 1 messages, the first with InternalError");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(github_pauses_the_launches_of_an_installation),
                TEST(a_job_that_fails_alone_pauses_nothing),
                TEST(jobs_that_fail_one_after_the_other_pause_launches),
                TEST(an_outage_pushes_out_no_other_pause),
                TEST(an_answer_ends_the_pause),
                TEST(a_limit_that_is_met_again_at_its_end_lasts_a_minute),
                TEST(a_limit_that_has_ended_pauses_nothing),
                TEST(a_limit_pauses_no_launches_where_there_are_more_apps),
                TEST(a_setback_has_result_and_cause),
                TEST(aws_refusals_pass_or_stay),
                TEST(a_message_that_sqs_did_not_take_fails_the_batch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
