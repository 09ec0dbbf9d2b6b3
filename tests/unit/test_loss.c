/* SPDX-License-Identifier: MIT */

/*
 * Jobs that EC2 took the machine from: which job it was, say the machine's tags, and the message
 * that follows it comes later each time.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/loss.h"
#include "stage.h"

#define URL "https://github.test/ghe/o/r/actions/runs/7/job/9"

static struct ec2_instance machine(const char *const (*tags)[2], size_t n)
{
        struct ec2_instance machine = {.tags = mem_alloc(n * sizeof(*machine.tags)), .n_tags = n};

        for (size_t i = 0; i < n; i++) {
                snprintf(machine.tags[i].key, sizeof(machine.tags[i].key), "%s", tags[i][0]);
                snprintf(machine.tags[i].value, sizeof(machine.tags[i].value), "%s", tags[i][1]);
        }
        return machine;
}

static void the_job_of_a_machine_comes_from_its_tags(void **state)
{
        static const struct {
                const char *url;
                const char *repository; /* NULL: no job */
                int64_t run;
                int64_t id;
        } rows[] = {
                {URL, "o/r", 7, 9},
                {"https://github.test/o/r/actions/runs/123456789012345/job/999999999999999", "o/r",
                        INT64_C(123456789012345), INT64_C(999999999999999)},
                {"https://github.test/octo-org/one.two/actions/runs/7/job/9", "octo-org/one.two", 7,
                        9},
                {"/o/r/actions/runs/1/job/1", "o/r", 1, 1},
                {"o/r/actions/runs/1/job/1", NULL, 0, 0},
                {"r/actions/runs/1/job/1", NULL, 0, 0},
                {URL "x", NULL, 0, 0},
                {URL "/", NULL, 0, 0},
                {"https://github.test/o/r/actions/runs/7", NULL, 0, 0},
                {"https://github.test/o/r/actions/runs/7/job/", NULL, 0, 0},
                {"https://github.test/o/r/actions/runs/0/job/9", NULL, 0, 0},
                {"https://github.test/o/r/actions/runs/-7/job/9", NULL, 0, 0},
                {"https://github.test/o/r/actions/runs/7/job/0", NULL, 0, 0},
                {"https://github.test/o/r/actions/runs/1234567890123456/job/9", NULL, 0, 0},
                {"https://github.test/1", NULL, 0, 0},
                {"", NULL, 0, 0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *const tags[][2] = {
                        {"scale-agent:job-url", rows[i].url},
                        {"scale-agent:job-attempt", "2"},
                        {"scale-agent:installation", "4711"},
                        {"scale-agent:spec", "linux"},
                };
                struct ec2_instance instance = machine(tags, ARRAY_SIZE(tags));
                _cleanup_(job_release) struct job job = {0};

                assert_int_equal(loss_job_of(&instance, &job), rows[i].repository != NULL);
                if (rows[i].repository) {
                        assert_string_equal(job.repository, rows[i].repository);
                        assert_string_equal(job.url, rows[i].url);
                        assert_string_equal(job.spec, "linux");
                        assert_int_equal(job.run_id, rows[i].run);
                        assert_int_equal(job.id, rows[i].id);
                        assert_int_equal(job.attempt, 2);
                        assert_int_equal(job.installation, 4711);
                }
                free(instance.tags);
        }
}

static void what_a_tag_does_not_say_is_not_known(void **state)
{
        static const char *const tags[][2] = {
                {"scale-agent:job-url", URL}, {"scale-agent:job-attempt", "-2"}};
        struct ec2_instance instance = machine(tags, ARRAY_SIZE(tags));
        struct ec2_instance none = {0};
        _cleanup_(job_release) struct job job = {0};

        (void)state;
        assert_true(loss_job_of(&instance, &job));
        assert_int_equal(job.attempt, 0);
        assert_int_equal(job.installation, 0);
        assert_null(job.spec);
        assert_false(loss_job_of(&none, &job));
        free(instance.tags);
}

static void a_spec_says_whether_its_jobs_are_run_again(void **state)
{
        struct stage *stage = *state;
        static const char *const names[] = {"linux", "gone"};
        struct ec2_instance none = {0};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *const tags[][2] = {{"scale-agent:spec", names[i]}};
                struct ec2_instance instance = machine(tags, 1);

                assert_int_equal(loss_may_rerun(stage->scaler.config, &instance), i == 0);
                free(instance.tags);
        }
        assert_false(loss_may_rerun(stage->scaler.config, &none));
}

static void machines_are_noted_once(void **state)
{
        _cleanup_(job_release) struct job job = {0};
        size_t size = 0;

        (void)state;
        assert_false(loss_has_machine(&job, "i-00000001"));
        loss_add_machine(&job, "i-00000001");
        loss_add_machine(&job, "i-00000002");
        loss_add_machine(&job, "i-00000001");
        assert_string_equal(job.machines, "/i-00000001/i-00000002/");
        assert_true(loss_has_machine(&job, "i-00000002"));
        assert_false(loss_has_machine(&job, "i-0000000")); /* the beginning of another's */
        assert_false(loss_has_machine(&job, "0000001"));
        /* Not for ever: the message has to fit into SQS's. */
        for (int i = 0; i < 2000; i++) {
                _cleanup_free_ char *id = mem_format("i-%017d", i);

                loss_add_machine(&job, id);
                if (strlen(job.machines) == size)
                        break;
                size = strlen(job.machines);
        }
        assert_in_range(size, 8 * 1024, 32 * 1024);
}

static void a_lost_job_is_looked_at_later_each_time(void **state)
{
        static const int delays[] = {60, 120, 300, 600, 900, 900};
        struct stage *stage = *state;
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
                _cleanup_(job_release) struct job job = {
                        .id = 9, .run_id = 7, .attempt = 1, .watches = (int64_t)i - 1, .waits = 1};
                _cleanup_free_ char *delay = mem_format("\"DelaySeconds\":%d}", delays[i]);

                stage_expect_sent(stage, delay);
                if (i == 0)
                        assert_int_equal(loss_follow(&stage->scaler, &job, "i-00000001", &err), 0);
                else
                        assert_int_equal(loss_follow_again(&stage->scaler, &job, &err), 0);
                assert_int_equal(job.action, JOB_LOST);
                assert_int_equal(job.watches, i);
                assert_int_equal(job.waits, i > 0);
        }
}

static void a_loss_is_followed_from_its_beginning(void **state)
{
        struct stage *stage = *state;
        _cleanup_(job_release) struct job job = {.id = 9,
                .run_id = 7,
                .attempt = 1,
                .watches = 3,
                .instance = mem_string("i-00000002")};
        _cleanup_(job_release) struct job no_run = {.id = 9, .attempt = 1};
        _cleanup_(job_release) struct job no_attempt = {.id = 9, .run_id = 7};
        struct err err;

        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/watch\"");
        assert_int_equal(loss_follow(&stage->scaler, &job, "i-00000001", &err), 0);
        assert_sent(stage, "\\\"machines\\\":\\\"/i-00000001/\\\"");
        assert_sent(stage, "\\\"instance\\\":\\\"i-00000001\\\"");
        assert_sent(stage, "\\\"lost_ms\\\":1767323045");
        assert_logged(stage, "job lost with its spot instance");
        /* Nobody can ask GitHub for these. */
        assert_int_equal(loss_follow(&stage->scaler, &no_run, "i-00000001", &err), 0);
        assert_int_equal(loss_follow(&stage->scaler, &no_attempt, "i-00000001", &err), 0);
        script_expect(stage->script, "POST", STAGE_SQS, NULL, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_true(loss_follow_again(&stage->scaler, &job, &err) < 0);
        assert_contains(err.text, "lost job 9 could not be followed");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_job_of_a_machine_comes_from_its_tags),
                TEST(what_a_tag_does_not_say_is_not_known),
                TEST(a_spec_says_whether_its_jobs_are_run_again),
                TEST(machines_are_noted_once),
                TEST(a_lost_job_is_looked_at_later_each_time),
                TEST(a_loss_is_followed_from_its_beginning),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
