/* SPDX-License-Identifier: MIT */

/*
 * Giving a job back: what a hand-over or a report says of a job is launched again only where the
 * configuration would launch it.
 */

#include <stdlib.h>
#include <string.h>

#include "job/give_back.h"
#include "stage.h"

static const struct handover_job the_job = {
        .id = 1,
        .run_id = 2,
        .attempt = 3,
        .installation = 4711,
        .launch = 0,
        .relaunches = 0,
        .offer = 0,
        .repository = (char *)"o/r",
        .name = (char *)"build",
        .url = (char *)"https://github.test/1",
        .instance_type = (char *)"m7i.large",
};

static const struct handover_times times = {.queued = 1767323000000, .webhook = 1767323001000};

static bool gives_back(struct stage *stage, const struct handover_job *job, const char *spec)
{
        bool given_back = true;
        struct err err;

        assert_int_equal(give_back_job(&stage->scaler, job, spec, &times, &given_back, &err), 0);
        return given_back;
}

static void a_job_is_given_back_as_it_was(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-3-1-0\"");
        assert_true(gives_back(stage, &the_job, "linux"));
        assert_sent(stage, "{\\\"action\\\":\\\"queued\\\",\\\"id\\\":1,\\\"run_id\\\":2,"
                           "\\\"attempt\\\":3,\\\"installation\\\":4711,");
        assert_sent(stage, "\\\"queued_ms\\\":1767323000000,\\\"webhook_ms\\\":1767323001000");
        assert_sent(stage, "\\\"offer\\\":1,\\\"launch\\\":1,\\\"relaunches\\\":1,");
        assert_sent(stage, "\\\"repository\\\":\\\"o/r\\\"");
        assert_sent(stage, "\\\"name\\\":\\\"build\\\"");
        assert_sent(stage, "\\\"url\\\":\\\"https://github.test/1\\\"");
        assert_sent(stage, "\\\"spec\\\":\\\"linux\\\"");
        assert_sent(stage, "\\\"instance_type\\\":\\\"m7i.large\\\"");
}

/* Later launches, from an offer further on. */
static void numbers_are_counted_on(void **state)
{
        struct stage *stage = *state;
        struct handover_job job = the_job;

        job.launch = 4;
        job.offer = 2;
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-3-5-0\"");
        assert_true(gives_back(stage, &job, "linux"));
        assert_sent(stage, "\\\"offer\\\":3,\\\"launch\\\":5,");
}

/* The spec's own type, and those that a job may name. */
static void only_types_of_the_spec_are_launched(void **state)
{
        static const struct {
                const char *type;
                const char *spec;
                bool may;
        } rows[] = {
                {"m7i.large", "linux", true},
                {"m7i.2xlarge", "linux", true},
                {"m7i.metal-48xl", "linux", false}, /* after both in the alphabet */
                {"m7i.xlarge", "linux", false},
                {"c7i.large", "linux", false}, /* before both */
                {"m7i.4xlarge", "linux", false},
                {"", "linux", false},
                {NULL, "linux", false},
                {"t3.2xlarge", "fallback", true},
                {"t3.large", "fallback", false},
                {"m7i.large", "fallback", false},
                {"m7i.large", "gone", false},
                {"m7i.large", NULL, false},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct handover_job job = the_job;

                job.instance_type = (char *)rows[i].type;
                if (rows[i].may)
                        stage_expect_sent(stage, "queued.fifo");
                if (gives_back(stage, &job, rows[i].spec) != rows[i].may)
                        fail_msg("row %zu", i);
        }
}

static void what_cannot_be_true_is_not_launched(void **state)
{
        struct stage *stage = *state;
        struct handover_job jobs[] = {
                the_job, the_job, the_job, the_job, the_job, the_job, the_job};

        jobs[0].id = 0;
        jobs[1].launch = -1;
        jobs[2].relaunches = -1;
        jobs[3].offer = -1;
        jobs[4].repository = NULL;
        jobs[5].repository = (char *)"other/r"; /* removed from the configuration */
        jobs[6].id = -1;
        for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
                if (gives_back(stage, &jobs[i], "linux"))
                        fail_msg("row %zu", i);
        assert_int_equal(script_requests(stage->script), 0);
}

static void a_job_that_cannot_be_given_back_is_a_failure(void **state)
{
        struct stage *stage = *state;
        bool given_back = true;
        struct err err;

        script_expect(stage->script, "POST", STAGE_SQS, NULL, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_true(
                give_back_job(&stage->scaler, &the_job, "linux", &times, &given_back, &err) < 0);
        assert_contains(err.text, "job 1 could not be given back");
        assert_false(given_back);
        config_free(MEM_STEAL(stage->scaler.config));
        setenv("SCALE_AGENT_CONFIG", "{}", 1);
        given_back = true;
        assert_true(
                give_back_job(&stage->scaler, &the_job, "linux", &times, &given_back, &err) < 0);
        assert_false(given_back);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_job_is_given_back_as_it_was),
                TEST(numbers_are_counted_on),
                TEST(only_types_of_the_spec_are_launched),
                TEST(what_cannot_be_true_is_not_launched),
                TEST(a_job_that_cannot_be_given_back_is_a_failure),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
