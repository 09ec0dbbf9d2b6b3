/* SPDX-License-Identifier: MIT */

/*
 * Relaunching: the next launch begins one offer further on, later each time, and in the end on
 * demand; people hear of it from the fifth machine on.
 */

#include <stdlib.h>

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

        for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
                int delay = seconds[i] < 900 ? seconds[i] : 900;
                _cleanup_free_ char *text = mem_format("\"DelaySeconds\":%d}", delay);

                stage_expect_sent(stage, seconds[i] == 0 ? "sqs.test/queued.fifo" : text);
                if (i + 1 >= 5)
                        stage_expect_sent(stage, "Machines for job 1 of o/r do not run it");
                assert_int_equal(relaunch(stage, "linux", (int64_t)i, 0), 0);
        }
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_launch_waits_longer),
                TEST(offers_move_on_and_the_last_are_on_demand),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
