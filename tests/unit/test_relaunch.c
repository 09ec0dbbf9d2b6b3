/* SPDX-License-Identifier: MIT */

/*
 * Relaunching: the next launch begins one offer further on, later each time, and in the end on
 * demand; people hear of it from the fifth machine on.
 */

#include <stdlib.h>

#include "aws/sqs.h"
#include "job/relaunch.h"
#include "stage.h"

static int relaunch(struct stage *stage, const char *spec, int64_t relaunches, int64_t offer)
{
        struct job job = {
                .id = 1,
                .attempt = 1,
                .launch = 9,
                .relaunches = relaunches,
                .offer = offer,
                .repository = mem_string("o/r"),
                .spec = mem_string(spec),
                .instance_type = mem_string("t3.2xlarge"),
        };
        struct err err;
        int r = relaunch_job(&stage->scaler, &job, RELAUNCH_ENDED, &err);

        job_release(&job);
        return r;
}

static void each_launch_waits_longer(void **state)
{
        static const int seconds[] = {0, 30, 120, 300, 900, 3600, 3600};
        struct stage *stage = *state;
        int64_t now_s = clock_wall_ms(stage->scaler.clock) / MSEC_PER_SEC;

        for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
                int delay = seconds[i] < 900 ? seconds[i] : 900;
                _cleanup_free_ char *until =
                        mem_format("not_before_ms\\\":%lld", (long long)(now_s + seconds[i]));
                _cleanup_free_ char *text = mem_format("\"DelaySeconds\":%d}", delay);

                stage_expect_sent(stage, seconds[i] == 0 ? "sqs.test/queued.fifo" : text);
                if (i + 1 >= 5)
                        stage_expect_sent(stage, "Machines for job 1 of o/r do not run it");
                assert_int_equal(relaunch(stage, "linux", (int64_t)i, 0), 0);
                if (seconds[i] > SQS_DELAY_MAX_SECONDS)
                        assert_sent(stage, until);
        }
}

/* Where GitHub gives the job to none of its runners. */
static void so_does_each_that_follows_one_in_vain(void **state)
{
        static const int seconds[] = {0, 30, 120, 300, 900, 900};
        struct stage *stage = *state;
        struct job job = {.id = 1, .attempt = 1, .repository = mem_string("o/r")};

        for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
                _cleanup_free_ char *text = mem_format("\"DelaySeconds\":%d}", seconds[i]);
                struct err err;

                stage_expect_sent(stage, seconds[i] == 0 ? "sqs.test/queued.fifo" : text);
                assert_int_equal(relaunch_job(&stage->scaler, &job, RELAUNCH_IN_VAIN, &err), 0);
                assert_int_equal(job.in_vain, i + 1);
                assert_int_equal(job.relaunches, 0);
        }
        job_release(&job);
}

/* Where a spec allows more machines, a quarter of an hour is the longest pause before them. */
static void a_spec_may_allow_more_launches(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->specs[0].max_relaunches = 9;
        for (int64_t i = 5; i < 8; i++) {
                stage_expect_sent(stage, "\"DelaySeconds\":900}");
                assert_int_equal(relaunch(stage, "linux", i, 0), 0);
                assert_not_sent(stage, "not_before_ms");
        }
}

/* Of a spec that is gone from the configuration, people hear as soon as of others. */
static void a_spec_may_be_gone(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "sqs.test/parked");
        assert_int_equal(relaunch(stage, "gone", 3, 0), 0);
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "Machines for job 1 of o/r do not run it");
        assert_int_equal(relaunch(stage, "gone", 4, 0), 0);
}

/* `fallback` has two offers on spot and the same two on demand. */
static void offers_move_on_and_the_last_are_on_demand(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\\\"offer\\\":1,\\\"launch\\\":10,");
        assert_int_equal(relaunch(stage, "fallback", 0, 0), 0);
        stage_expect_sent(stage, "\\\"launch\\\":10,");
        assert_int_equal(relaunch(stage, "fallback", 0, 3), 0);
        assert_not_sent(stage, "offer");
        stage_expect_sent(stage, "\\\"offer\\\":2,\\\"launch\\\":10,");
        stage_expect_sent(stage, "do not run it");
        assert_int_equal(relaunch(stage, "fallback", 4, 0), 0);
}

/* What counted for the launch before counts no more; what the job is stays. */
static void a_launch_begins_anew(void **state)
{
        static const char *const gone[] = {"tries", "waits", "watches", "runner_id", "i-00000001"};
        struct stage *stage = *state;
        struct job job = {
                .id = 1,
                .attempt = 1,
                .launch = 2,
                .tries = 3,
                .waits = 4,
                .watches = 5,
                .sends = 6,
                .runner_id = 7,
                .instance = mem_string("i-00000001"),
                .repository = mem_string("o/r"),
                .name = mem_string("build"),
                .spec = mem_string("linux"),
                .instance_type = mem_string("t3.2xlarge"),
        };
        struct err err;

        stage_expect_sent(stage, "\\\"launch\\\":3,");
        assert_int_equal(relaunch_job(&stage->scaler, &job, RELAUNCH_TAKEN, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
                assert_not_sent(stage, gone[i]);
        assert_sent(stage, "\\\"stale\\\":1");
        assert_not_sent(stage, "relaunches");
        assert_logged(stage,
                "\"job\":1,\"repository\":\"o/r\",\"spec\":\"linux\","
                "\"reason\":\"another job took its machine\",\"launch\":3,\"relaunches\":0");
        job_release(&job);
}

static void each_reason_has_its_name(void **state)
{
        static const struct {
                enum relaunch_reason reason;
                const char *name;
        } rows[] = {
                {RELAUNCH_ENDED, "\"reason\":\"its machine ended\""},
                {RELAUNCH_TAKEN, "\"reason\":\"another job took its machine\""},
                {RELAUNCH_IN_VAIN, "\"reason\":\"its runner listened in vain\""},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct job job = {.id = 1, .attempt = 1, .repository = mem_string("o/r")};
                struct err err;

                stage_expect_sent(stage, "sqs.test/queued.fifo");
                assert_int_equal(relaunch_job(&stage->scaler, &job, rows[i].reason, &err), 0);
                assert_logged(stage, rows[i].name);
                assert_not_sent(stage, "offer");
                job_release(&job);
        }
}

static void people_hear_job_spec_and_how_many(void **state)
{
        struct stage *stage = *state;
        struct job job = {
                .id = 1,
                .attempt = 1,
                .relaunches = 5 - 1,
                .repository = mem_string("o/r"),
                .name = mem_string("build"),
                .spec = mem_string("linux"),
                .url = mem_string("https://github.test/1"),
                .instance_type = mem_string("t3.2xlarge"),
        };
        struct err err;

        script_expect(stage->script, "POST", STAGE_SQS, "{\\\"name\\\":\\\"Job\\\"", 200,
                "{\"MessageId\":\"m\"}");
        stage_expect_sent(stage, "sqs.test/parked");
        assert_int_equal(relaunch_job(&stage->scaler, &job, RELAUNCH_ENDED, &err), 0);
        job_release(&job);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_launch_waits_longer),
                TEST(so_does_each_that_follows_one_in_vain),
                TEST(a_spec_may_allow_more_launches),
                TEST(a_spec_may_be_gone),
                TEST(a_launch_begins_anew),
                TEST(each_reason_has_its_name),
                TEST(people_hear_job_spec_and_how_many),
                TEST(offers_move_on_and_the_last_are_on_demand),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
