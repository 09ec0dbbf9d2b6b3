/* SPDX-License-Identifier: MIT */

/*
 * Parking: a job that no offer has capacity for waits and is tried again, people are told once, and
 * what only takes a moment is waited out without a word.
 */

#include <stdio.h>
#include <string.h>

#include "job/park.h"
#include "queued_stage.h"

static void without_capacity_jobs_are_parked_and_people_told_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "fallback"), 0, NULL},
                {"b", queued_job_with(2, "fallback", ",\"tries\":3"), 0, NULL}};

        expect_no_capacity(stage, "MaxCount=2&");
        stage_expect_sent(stage, "\\\"tries\\\":1,");
        stage_expect_sent(stage, "\\\"tries\\\":4,");
        stage_expect_sent(stage, "Jobs of spec fallback wait: no capacity");
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        assert_logged(stage, "\"tries\":1,\"delay_seconds\":30");
        assert_logged(stage, "\"tries\":4,\"delay_seconds\":240");
        assert_logged(stage, "\"Parked\":1");
        assert_not_logged(stage, "WaitingAge"); /* GitHub did not say since when */
        assert_logged(stage, "InsufficientInstanceCapacity: because");
}

/* A job that was tried once and has waited once. */
static void each_reason_has_its_way(void **state)
{
        static const struct {
                enum park_reason reason;
                int seconds;
                bool counts; /* as a try */
                bool is_stale;
                const char *severity; /* NULL: nobody is told (yet) */
                bool is_counted;
        } rows[] = {
                {PARK_CAPACITY, 60, true, true, "warning", true},
                {PARK_QUOTA, 60, true, true, "warning", true},
                {PARK_REFUSED, 0, false, true, "error", true},
                {PARK_THROTTLED, 10, false, false, NULL, false},
                {PARK_NO_TIME, 0, false, false, NULL, false},
                {PARK_UNSURE, 300, false, true, "warning", true},
                {PARK_GITHUB, 30, false, true, "warning", true},
                {PARK_AWS, 30, false, true, "warning", true},
                {PARK_SETTINGS, 30, false, true, "error", true},
                {PARK_HELD, 600, false, true, NULL, true},
                {PARK_STOPPED, 300, false, true, NULL, true},
                {PARK_PAUSE, 60, false, true, NULL, true},
                {PARK_MACHINES, 0, false, true, "info", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct parking parking = {.reason = rows[i].reason, .error = "said so"};
                _cleanup_(job_release) struct job job = {.id = 1,
                        .paced = 1,
                        .asked_ms = 1,
                        .tries = 1,
                        .waits = 1,
                        .spec = mem_string("linux")};
                _cleanup_free_ char *severity =
                        rows[i].severity
                                ? mem_format("\\\"severity\\\":\\\"%s\\\"", rows[i].severity)
                                : NULL;
                _cleanup_free_ char *delay =
                        rows[i].seconds ? mem_format(",\"DelaySeconds\":%d}", rows[i].seconds)
                                        : mem_string("\"}");
                struct stage *stage;
                struct err err;

                if (i > 0) {
                        stage_tear_down(state);
                        stage_set_up(state);
                }
                stage = *state;
                stage_expect_sent(stage, delay);
                if (severity)
                        stage_expect_sent(stage, severity);
                assert_int_equal(park_job(&stage->scaler, &job, &parking, &err), 0);
                assert_int_equal(script_requests(stage->script), severity ? 2 : 1);
                assert_int_equal(job.tries, rows[i].counts ? 2 : 1);
                assert_int_equal(job.waits, rows[i].counts ? 0 : 2);
                assert_int_equal(job.stale, rows[i].is_stale);
                /* What many wait for may end for all at once: they keep the pace again. */
                assert_int_equal(job.paced, !rows[i].is_stale);
                assert_int_equal(job.asked_ms, !rows[i].is_stale);
                assert_int_equal(job.told_of, severity ? (int)rows[i].reason + 1 : 0);
                if (rows[i].is_counted)
                        assert_logged(stage, "\"Parked\":1");
                else
                        assert_not_logged(stage, "Parked");
        }
}

/* EC2's throttling is worth a word when it has lasted a minute. */
static void long_throttling_is_told(void **state)
{
        const struct parking parking = {.reason = PARK_THROTTLED};
        struct stage *stage = *state;
        _cleanup_(job_release) struct job job = {.id = 1, .waits = 4, .spec = mem_string("linux")};
        struct err err;

        stage_expect_sent(stage, "sqs.test/parked");
        assert_int_equal(park_job(&stage->scaler, &job, &parking, &err), 0);
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "Jobs of spec linux wait: throttled");
        assert_int_equal(park_job(&stage->scaler, &job, &parking, &err), 0);
        assert_int_equal(job.waits, 6);
}

static void how_long_a_job_waits_is_measured(void **state)
{
        struct stage *stage = *state;

        expect_no_capacity(stage, NULL);
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "no capacity");
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "fallback", ",\"queued_ms\":1767323040000")),
                STAGE_NONE_FAILED);
        assert_logged(stage, "\"Parked\":1,\"WaitingAge\":50");
}

/* Then the first job has its machine, and people hear of those that have none. */
static void after_a_partial_launch_people_are_told_of_the_rest(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job_with(1, "fallback", ",\"url\":\"https://github.test/1\""), 0,
                        NULL},
                {"b", queued_job_with(2, "fallback", ",\"url\":\"https://github.test/2\""), 0,
                        NULL},
                {"c", queued_job_with(3, "fallback", ",\"url\":\"https://github.test/3\""), 0,
                        NULL},
        };

        expect_launch(stage, "MaxCount=3&", 1, 1);
        for (int i = 0; i < 3; i++)
                expect_refusal(stage, "MaxCount=2&", 500, "InsufficientInstanceCapacity");
        expect_registration(stage, 1);
        stage_expect_sent(stage, "\"{\\\"action\\\":\\\"queued\\\",\\\"id\\\":2,");
        stage_expect_sent(stage, "Jobs of spec fallback wait: no capacity");
        stage_expect_sent(stage, "\"{\\\"action\\\":\\\"queued\\\",\\\"id\\\":3,");
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
}

/* Jobs of one organization share a launch, whatever repository they are of. */
static void a_notification_is_about_the_first_job_that_waits(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "organization"), 0, NULL},
                {"b",
                        "{\"action\":\"queued\",\"id\":2,\"run_id\":2,\"attempt\":1,"
                        "\"repository\":\"o/second\",\"name\":\"test\","
                        "\"url\":\"https://github.test/"
                        "2\",\"labels\":[],\"webhook_ms\":1767323044000,"
                        "\"spec\":\"organization\",\"instance_type\":\"m7i.large\"}",
                        0, NULL},
        };

        expect_launch(stage, "MaxCount=2&", 1, 1);
        expect_refusal(stage, "MaxCount=1&", 403, "UnauthorizedOperation");
        stage_expect_sent(stage, "Jobs of spec organization wait: refused");
        assert_string_equal(queued_alone(stage, messages, 2), STAGE_FAILED("b"));
        assert_sent(stage, "\\\"url\\\":\\\"https://github.test/2\\\"");
        assert_sent(stage, "\\\"name\\\":\\\"Jobs of this batch\\\",\\\"value\\\":\\\"1\\\"");
        assert_sent(stage, "\\\"name\\\":\\\"First of them\\\",\\\"value\\\":\\\"test\\\"");
        assert_sent(stage, "\\\"name\\\":\\\"Repository\\\",\\\"value\\\":\\\"o/second\\\"");
        script_expect(stage->script, "POST", "/orgs/o/actions/runners/generate-jitconfig",
                "\"runner_group_id\":7", 201,
                "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
        expect_put(stage, 1, 200, "{\"Version\":1}");
        assert_string_equal(register_sent(stage, 1), STAGE_NONE_FAILED);
}

/* The value of the last message's MessageDeduplicationId, of which SQS drops the second. */
static void last_deduplication_id(struct stage *stage, char id[static 65])
{
        static const char member[] = "\"MessageDeduplicationId\":\"";
        const char *found = strstr(script_last_body(stage->script), member);

        assert_non_null(found);
        snprintf(id, 65, "%s", found + strlen(member));
        assert_int_equal(strlen(id), 64);
}

static void people_are_told_each_cause_and_what_to_do(void **state)
{
        static const struct {
                const char *spec;
                const char *code;
                const char *answer; /* to SQS */
                const char *severity;
                const char *text;
        } rows[] = {
                {"linux", "VcpuLimitExceeded", STAGE_NONE_FAILED, "warning", "Service Quotas"},
                {"linux", "OptInRequired", STAGE_FAILED("m1"), "error", "until this is fixed"},
                {"fallback", "OptInRequired", STAGE_FAILED("m1"), "error", "until this is fixed"},
                {"fallback", "InsufficientInstanceCapacity", STAGE_NONE_FAILED, "warning",
                        "Add subnets in other zones"},
        };
        struct stage *stage = *state;
        char ids[ARRAY_SIZE(rows)][65];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *severity =
                        mem_format("{\\\"severity\\\":\\\"%s\\\"", rows[i].severity);
                bool is_capacity = i == 3;

                for (int offer = 0; offer < (is_capacity ? 4 : 1); offer++)
                        expect_refusal(stage, NULL, is_capacity ? 500 : 400, rows[i].code);
                if (strcmp(rows[i].answer, STAGE_NONE_FAILED) == 0)
                        stage_expect_sent(stage, "sqs.test/parked");
                stage_expect_sent(stage, rows[i].text);
                assert_string_equal(queued_one(stage, queued_job(1, rows[i].spec)), rows[i].answer);
                assert_sent(stage, severity);
                assert_sent(stage, rows[i].code);
                assert_sent(stage, i < 2 ? "\\\"value\\\":\\\"m7i.large\\\""
                                         : "\\\"value\\\":\\\"t3.2xlarge\\\"");
                last_deduplication_id(stage, ids[i]);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(ids[i], ids[j]);
        }
}

static void each_try_waits_longer_up_to_a_quarter_of_an_hour(void **state)
{
        static const struct {
                int tries;
                int seconds;
        } rows[] = {{0, 30}, {1, 60}, {3, 240}, {4, 480}, {5, 900}, {6, 900}, {63, 900}};
        struct stage *stage = *state;

        expect_no_capacity(stage, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *tries = mem_format(",\"tries\":%d", rows[i].tries);
                _cleanup_free_ char *delay = mem_format("\"DelaySeconds\":%d}", rows[i].seconds);

                stage_expect_sent(stage, delay);
                stage_expect_sent(stage, "no capacity");
                assert_string_equal(queued_one(stage, queued_job_with(1, "fallback", tries)),
                        STAGE_NONE_FAILED);
        }
}

static void a_ladder_that_was_climbed_starts_over(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, NULL, 500, "InsufficientInstanceCapacity");
        stage_expect_sent(stage,
                "\\\"tries\\\":1,\\\"told_of\\\":1,\\\"stale\\\":1,\\\"repository\\\""); /* no offer
                                                                                          */
        stage_expect_sent(stage, "no capacity");
        assert_string_equal(queued_one(stage, queued_job_with(1, "fallback", ",\"offer\":3")),
                STAGE_NONE_FAILED);
}

/* An offer that EC2 refused a moment ago is skipped, which does not count as a try. */
static void empty_offers_are_left_alone_for_two_minutes(void **state)
{
        struct stage *stage = *state;

        expect_no_capacity(stage, "MaxCount=1&");
        stage_expect_sent(stage, "\\\"tries\\\":1,");
        stage_expect_sent(stage, "no capacity");
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);

        stage_expect_sent(stage, "\\\"tries\\\":1,");
        stage_expect_sent(stage, "no capacity");
        assert_string_equal(queued_one(stage, queued_job_with(1, "fallback", ",\"tries\":1")),
                STAGE_NONE_FAILED);

        script_sleep(stage->script, 119 * MSEC_PER_SEC);
        stage_expect_sent(stage, "\\\"tries\\\":1,");
        stage_expect_sent(stage, "no capacity");
        assert_string_equal(queued_one(stage, queued_job_with(1, "fallback", ",\"tries\":1")),
                STAGE_NONE_FAILED);

        script_sleep(stage->script, MSEC_PER_SEC);
        expect_launch(stage, QUEUED_OFFER("t3.2xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job_with(1, "fallback", ",\"tries\":1")),
                STAGE_NONE_FAILED);
}

static void throttling_is_waited_out_and_nobody_told(void **state)
{
        struct stage *stage = *state;
        const char *body = queued_job_with(1, "linux", ",\"tries\":2,\"offer\":1");

        for (int i = 0; i < 6; i++)
                expect_refusal(stage, QUEUED_OFFER("m7i.large", "b"), 503, "RequestLimitExceeded");
        stage_expect_sent(stage, "\"DelaySeconds\":10}");
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"tries\\\":2,\\\"waits\\\":1,\\\"offer\\\":1,");
        assert_not_sent(stage, "stale"); /* only the pace was kept */
}

/* RunInstances and the hand-over fit into twenty seconds. */
static void with_just_enough_time_it_is_tried(void **state)
{
        struct stage *stage = *state;

        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 20000);
        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 19999);
        stage_expect_sent(stage, "sqs.test/parked");
        assert_string_equal(queued_one(stage, queued_job(2, "linux")), STAGE_NONE_FAILED);
}

static void out_of_time_the_next_event_goes_on(void **state)
{
        struct stage *stage = *state;

        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 21000);
        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 500, "InsufficientInstanceCapacity");
        script_latency(stage->script, 2000);
        stage_expect_sent(stage, "\\\"offer\\\":1,");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_not_sent(stage, "DelaySeconds");
        assert_not_sent(stage, "tries");
}

static void a_job_that_cannot_be_parked_comes_again(void **state)
{
        struct stage *stage = *state;

        expect_no_capacity(stage, "t3");
        script_expect(stage->script, "POST", STAGE_SQS, "parked", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_FAILED("m1"));
}

/* Only of what people were told. */
static void people_hear_when_it_is_over(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        stage_expect_sent(stage, "Jobs of spec fallback go on");
        assert_string_equal(queued_one(stage, queued_job_with(1, "fallback", ",\"told_of\":1")),
                STAGE_NONE_FAILED);
        assert_sent(stage, "no capacity");
        expect_launch(stage, NULL, 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(queued_one(stage, queued_job_with(2, "fallback", ",\"told_of\":99")),
                STAGE_NONE_FAILED);
        expect_launch(stage, NULL, 3, 3);
        expect_registration(stage, 3);
        assert_string_equal(queued_one(stage, queued_job(3, "fallback")), STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(people_hear_when_it_is_over),
                TEST(without_capacity_jobs_are_parked_and_people_told_once),
                TEST(each_reason_has_its_way),
                TEST(long_throttling_is_told),
                TEST(how_long_a_job_waits_is_measured),
                TEST(after_a_partial_launch_people_are_told_of_the_rest),
                TEST(a_notification_is_about_the_first_job_that_waits),
                TEST(people_are_told_each_cause_and_what_to_do),
                TEST(each_try_waits_longer_up_to_a_quarter_of_an_hour),
                TEST(a_ladder_that_was_climbed_starts_over),
                TEST(empty_offers_are_left_alone_for_two_minutes),
                TEST(throttling_is_waited_out_and_nobody_told),
                TEST(with_just_enough_time_it_is_tried),
                TEST(out_of_time_the_next_event_goes_on),
                TEST(a_job_that_cannot_be_parked_comes_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
