/* SPDX-License-Identifier: MIT */

/*
 * Registrations: the runner has the labels by which its job finds it, only its instance may read
 * the parameter, and what an earlier try left at GitHub or in SSM under the instance's name is used
 * where it can be, and replaced only where nobody can use it.
 */

#include "queued_stage.h"

#include <stdlib.h>
#include <string.h>

#include "fake_aws.h"

#define EXISTS "{\"__type\":\"ParameterAlreadyExists\"}"
#define DENIED "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"

/* -- what is registered -- */

/* The role of the machines may read a parameter only if its tag is the machine's ARN. */
static void the_tag_is_the_arn_of_the_instance_in_every_partition(void **state)
{
        static const struct {
                const char *region;
                const char *arn;
        } rows[] = {
                {"eu-central-1", "arn:aws:ec2:eu-central-1:123456789012:instance/i-00000001"},
                {"us-gov-west-1",
                        "arn:aws-us-gov:ec2:us-gov-west-1:123456789012:instance/i-00000001"},
                {"cn-north-1", "arn:aws-cn:ec2:cn-north-1:123456789012:instance/i-00000001"},
        };
        struct stage *stage = *state;

        setenv("AWS_ENDPOINT_URL_EC2", STAGE_EC2, 1);
        setenv("AWS_ENDPOINT_URL_SSM", STAGE_SSM, 1);
        setenv("AWS_ENDPOINT_URL_SQS", STAGE_SQS, 1);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *tag = mem_format("\"Value\":\"%s\"}", rows[i].arn);

                free(stage->scaler.aws->region);
                stage->scaler.aws->region = mem_string(rows[i].region);
                expect_launch(stage, NULL, 1, 1);
                expect_registration(stage, 1);
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
                assert_sent(stage, tag);
        }
}

/* Gives the spec `linux` N labels, of which the last is LAST. */
static void set_labels(struct stage *stage, size_t n, const char *last)
{
        struct config_spec *spec = &stage->scaler.config->specs[0];

        for (size_t i = 0; i < spec->n_labels; i++)
                free(spec->labels[i]);
        spec->labels = mem_resize(spec->labels, n, sizeof(char *));
        spec->n_labels = n;
        for (size_t i = 0; i + 1 < n; i++)
                spec->labels[i] = mem_format("l%zu", i);
        spec->labels[n - 1] = mem_string(last);
}

/* GitHub gives a job that names a type only to a runner with that label. */
static void the_instance_type_is_a_label(void **state)
{
        static const struct {
                size_t n;
                const char *last;
                const char *end; /* of the list of labels */
        } rows[] = {
                {1, "linux", "\"labels\":[\"linux\",\"m7i.large\"]"},
                {2, "M7I.Large", "\"labels\":[\"l0\",\"M7I.Large\"]"},
                {98, "linux", "\"linux\",\"m7i.large\"]"},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                set_labels(stage, rows[i].n, rows[i].last);
                expect_launch(stage, NULL, 1, 1);
                script_expect(stage->script, "POST", QUEUED_JIT_URL, rows[i].end, 201,
                        "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
                expect_put(stage, 1, 200, "{\"Version\":1}");
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
}

/* So GitHub gives this machine to this job and to no other. */
static void the_job_s_own_label_is_one_of_the_runner(void **state)
{
        struct stage *stage = *state;
        const char *job = queued_job(1, "linux");
        const char *end = strstr(job, "\"]");
        _cleanup_free_ char *body = mem_format("%.*s\",\"run-2-0%s", (int)(end - job), job, end);

        set_labels(stage, 98, "linux");
        expect_launch(stage, NULL, 1, 1);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, "\"linux\",\"m7i.large\",\"run-2-0\"]",
                201, "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
        expect_put(stage, 1, 200, "{\"Version\":1}");
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
}

static void the_hand_over_has_the_times_so_far(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"queued_ms\":1767323040000")),
                STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"times\\\":{\\\"queued\\\":1767323040000,"
                           "\\\"webhook\\\":1767323044000,\\\"launched\\\":1767323045001,"
                           "\\\"handed_over\\\":1767323045002}");
}

/* All that the agent needs, as the specification says it. */
static void the_hand_over_has_runner_limits_and_job(void **state)
{
        static const char *const parts[] = {
                "\\\"jit_config\\\":\\\"c2VjcmV0\\\"",
                "\\\"prefix\\\":\\\"/p\\\"",
                "\\\"spec\\\":\\\"linux\\\"",
                "\\\"scope\\\":\\\"repos/o/r\\\"",
                "\\\"runner_id\\\":101",
                "\\\"idle_limit_seconds\\\":77",
                "\\\"job_limit_seconds\\\":7777",
                "\\\"id\\\":1,",
        };
        struct stage *stage = *state;

        stage->scaler.config->specs[0].idle_limit_seconds = 77;
        stage->scaler.config->specs[0].job_limit_seconds = 7777;
        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                assert_sent(stage, parts[i]);
}

/* -- what is in the way -- */

/* GitHub has a runner of the instance's name, in this state. */
static void expect_name_taken(struct stage *stage)
{
        script_expect(stage->script, "POST", QUEUED_JIT_URL, "i-00000001", 409,
                "{\"message\":\"Already exists\"}");
}

static void expect_parameter(struct stage *stage, const char *value)
{
        _cleanup_free_ char *answer = mem_format("{\"Parameter\":{\"Value\":\"%s\"}}", value);

        script_expect(stage->script, "POST", STAGE_SSM,
                "{\"Name\":\"/p/runners/i-00000001\",\"WithDecryption\":true}", 200, answer);
}

static void expect_no_parameter(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM,
                "{\"Name\":\"/p/runners/i-00000001\",\"WithDecryption\":true}", 400,
                "{\"__type\":\"ParameterNotFound\"}");
}

static void expect_runner(struct stage *stage, const char *status, const char *busy)
{
        _cleanup_free_ char *answer = mem_format("{\"total_count\":1,\"runners\":[{\"id\":55,"
                                                 "\"name\":\"i-00000001\",\"status\":\"%s\","
                                                 "\"busy\":%s}]}",
                status, busy);

        script_expect(stage->script, "GET", QUEUED_RUNNERS_URL "?per_page=100&name=i-00000001",
                NULL, 200, answer);
}

#define HANDOVER(runner)                                                                       \
        "{\\\"version\\\":1,\\\"jit_config\\\":\\\"c2VjcmV0\\\",\\\"prefix\\\":\\\"/p\\\","    \
        "\\\"spec\\\":\\\"linux\\\",\\\"scope\\\":\\\"repos/o/r\\\",\\\"runner_id\\\":" runner \
        ",\\\"job\\\":{\\\"id\\\":1}}"

/* An earlier try registered it and died: its secret is lost, and nobody can use it. */
static void a_runner_that_nobody_can_use_is_replaced(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_name_taken(stage);
        expect_no_parameter(stage);
        expect_runner(stage, "offline", "false");
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/55", NULL, 204, "");
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"message\":\"handed over\"");
}

/* Whoever is online, busy, or has a hand-over that may be read at any moment, stays. */
static void a_runner_that_may_be_in_use_is_left_alone(void **state)
{
        static const struct {
                const char *value; /* of the parameter, or NULL */
                const char *status;
                const char *busy;
                int deleted; /* GitHub's answer to DELETE; 0: not asked */
        } rows[] = {
                {HANDOVER("55"), NULL, NULL, 0},
                {NULL, "online", "false", 0},
                {NULL, "online", "true", 0},
                {NULL, "offline", "true", 0},
                {NULL, "offline", "false", 422},
        };
        static const char found[] = "\"message\":\"found handed over\",\"instance\":\"i-00000001\","
                                    "\"job\":1,\"repository\":\"o/r\",\"runner\":55";
        const char *log;
        size_t n_found = 0;
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_launch(stage, NULL, 1, 1);
                expect_name_taken(stage);
                if (rows[i].value)
                        expect_parameter(stage, rows[i].value);
                else
                        expect_no_parameter(stage);
                if (rows[i].status)
                        expect_runner(stage, rows[i].status, rows[i].busy);
                if (rows[i].deleted)
                        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/55", NULL,
                                rows[i].deleted, "{\"message\":\"busy\"}");
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
        for (log = stage_log(stage); (log = strstr(log, found)); log++)
                n_found++;
        assert_int_equal(n_found, ARRAY_SIZE(rows));
}

static void a_name_that_is_free_again_is_asked_for_again(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_name_taken(stage);
        expect_no_parameter(stage);
        script_expect(stage->script, "GET", QUEUED_RUNNERS_URL, NULL, 200, "{\"runners\":[]}");
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* The job is parked, and its machine waits. */
static void a_name_that_stays_taken_waits(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        for (int i = 0; i < 2; i++) {
                expect_name_taken(stage);
                expect_no_parameter(stage);
                expect_runner(stage, "offline", "false");
                script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/55", NULL, 204, "");
        }
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "exists again after it was deleted");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* Our own PutParameter, whose answer was lost. */
static void a_parameter_of_the_same_runner_is_ours(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, EXISTS);
        expect_parameter(stage, HANDOVER("101"));
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"runner\":101");
}

/* The machine may have read it: then our registration is the one too many. */
static void a_parameter_of_another_runner_is_kept_and_ours_discarded(void **state)
{
        static const int answers[] = {204, 404, 422};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                expect_launch(stage, NULL, 1, 1);
                expect_jit(stage, 1);
                expect_put(stage, 1, 400, EXISTS);
                expect_parameter(stage, HANDOVER("55"));
                script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/101", NULL, answers[i],
                        "{\"message\":\"\"}");
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
}

/* With the other one the machine may run a job. */
static void where_ours_cannot_be_discarded_the_machine_is_kept(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, EXISTS);
        expect_parameter(stage, HANDOVER("55"));
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/101", NULL, 403,
                "{\"message\":\"no\"}");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* Cut off, or somebody else's. */
static const char *const garbled[] = {
        "", "{\\\"version\\\":1,\\\"jit", "{}", "{\\\"version\\\":1}", "[1]"};

static void expect_replaced(struct stage *stage)
{
        script_expect(
                stage->script, "POST", STAGE_SSM, "\"Overwrite\":true", 200, "{\"Version\":2}");
}

/* The machine cannot use it either, so it gets the new one in its place. */
static void a_parameter_that_is_no_hand_over_is_replaced(void **state)
{
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(garbled); i++) {
                expect_launch(stage, NULL, 1, 1);
                expect_jit(stage, 1);
                expect_put(stage, 1, 400, EXISTS);
                expect_parameter(stage, garbled[i]);
                expect_replaced(stage);
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
                assert_sent(stage, "\\\"runner_id\\\":101");
        }
        assert_logged(stage, "\"message\":\"handed over\"");
        assert_not_logged(stage, "found handed over");
}

/* With the runner of the try that stored it. */
static void a_runner_whose_parameter_is_no_hand_over_is_replaced(void **state)
{
        static const char *const states[][2] = {
                {"offline", "false"}, {"online", "false"}, {"online", "true"}};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                expect_launch(stage, NULL, 1, 1);
                expect_name_taken(stage);
                expect_parameter(stage, garbled[0]);
                expect_runner(stage, states[i][0], states[i][1]);
                if (i == 0) {
                        script_expect(
                                stage->script, "DELETE", QUEUED_RUNNERS_URL "/55", NULL, 204, "");
                        expect_jit(stage, 1);
                        expect_put(stage, 1, 400, EXISTS);
                        expect_parameter(stage, garbled[0]);
                        expect_replaced(stage);
                }
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
}

static void what_replaces_a_parameter_may_be_refused(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, EXISTS);
        expect_parameter(stage, garbled[0]);
        script_expect(stage->script, "POST", STAGE_SSM, "\"Overwrite\":true", 400, DENIED);
        script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/101", NULL, 204, "");
        expect_terminated(stage, "InstanceId.1=i-00000001");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void a_parameter_that_is_gone_again_is_stored(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        expect_put(stage, 1, 400, EXISTS);
        expect_no_parameter(stage);
        expect_put(stage, 1, 200, "{\"Version\":1}");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void a_parameter_that_comes_and_goes_waits(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        for (int i = 0; i < 2; i++) {
                expect_put(stage, 1, 400, EXISTS);
                expect_no_parameter(stage);
        }
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "its hand-over exists");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* -- in S3 -- */

#define BUCKET_URL "https://b.s3.eu-central-1.amazonaws.com/"
#define ARNS "arn:aws:ec2:eu-central-1:123456789012:instance"
#define OBJECT_URL BUCKET_URL "arn%3Aaws%3Aec2%3Aeu-central-1%3A123456789012%3Ainstance/i-00000001"
#define S3_ERROR(code) "<Error><Code>" code "</Code><Message>Why.</Message></Error>"

static void use_s3(struct stage *stage)
{
        struct config *config = stage->scaler.config;

        free(config->hand_over);
        config->hand_over = mem_string(CONFIG_HAND_OVER_S3);
        setenv("HAND_OVERS", "s3://b/" ARNS, 1);
}

/* The machine knows by its tag where its hand-over will be. */
static void a_hand_over_in_s3_is_stored_below_the_arn(void **state)
{
        struct stage *stage = *state;

        use_s3(stage);
        expect_launch(stage, "Key=scale-agent%3Ahand-overs&TagSpecification.1.Tag.8.Value=b", 1, 1);
        expect_jit(stage, 1);
        script_expect(stage->script, "PUT", OBJECT_URL, "\"runner_id\":101", 200, "");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_contains(script_last_headers(stage->script), "If-None-Match: *\n");
        assert_contains(
                script_last_headers(stage->script), "X-Amz-Expected-Bucket-Owner: 123456789012\n");
}

static void an_object_of_our_own_lost_answer_is_left(void **state)
{
        struct stage *stage = *state;

        use_s3(stage);
        expect_launch(stage, NULL, 1, 1);
        expect_jit(stage, 1);
        script_expect(stage->script, "PUT", OBJECT_URL, NULL, 412, S3_ERROR("PreconditionFailed"));
        script_expect(stage->script, "GET", OBJECT_URL, NULL, 200,
                "{\"version\":1,\"jit_config\":\"QUJD\",\"prefix\":\"/p\",\"spec\":\"s\","
                "\"scope\":\"orgs/o\",\"runner_id\":101,\"job\":{\"id\":7}}");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* Nothing is launched that cannot be handed over. */
static void without_a_bucket_jobs_wait(void **state)
{
        struct stage *stage = *state;

        use_s3(stage);
        unsetenv("HAND_OVERS");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "make stack HAND_OVER=s3");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* -- what fails -- */

/* What passes keeps the machine; what does not, gives it up. */
static void only_what_can_never_work_gives_the_machine_up(void **state)
{
        static const struct {
                int jit;         /* GitHub's status */
                const char *ssm; /* SSM's refusal, or NULL: it is not asked */
                bool passes;
        } rows[] = {
                {500, NULL, true},
                {503, NULL, true},
                {429, NULL, true},
                {401, NULL, true},
                {201, "{\"__type\":\"ParameterLimitExceeded\"}", true},
                {201, "{\"__type\":\"InternalServerError\"}", true},
                {301, NULL, false},
                {403, NULL, false},
                {404, NULL, false},
                {410, NULL, false},
                {422, NULL, false},
                {201, DENIED, false},
        };
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *queued = mem_format(
                        ",\"queued_ms\":%lld", (long long)clock_wall_ms(stage->scaler.clock));
                int tries = rows[i].jit >= 500 ? 3 : 1;

                expect_launch(stage, NULL, 1, 1);
                for (int j = 0; j < tries; j++)
                        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, rows[i].jit,
                                "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
                if (rows[i].ssm)
                        expect_put(stage, 1, 400, rows[i].ssm);
                if (rows[i].ssm && strstr(rows[i].ssm, "Internal"))
                        for (int j = 0; j < 2; j++)
                                expect_put(stage, 1, 400, rows[i].ssm);
                if (rows[i].passes) {
                        stage_expect_sent(stage, "Jobs of spec linux wait");
                } else {
                        if (rows[i].ssm)
                                script_expect(stage->script, "DELETE", QUEUED_RUNNERS_URL "/101",
                                        NULL, 204, "");
                        expect_terminated(stage, "InstanceId.1=i-00000001");
                        stage_expect_sent(stage, "sqs.test/dead");
                }
                assert_string_equal(queued_one(stage, queued_job_with(1, "linux", queued)),
                        rows[i].passes ? STAGE_FAILED("1") : STAGE_NONE_FAILED);
                if (!rows[i].passes)
                        assert_sent(stage, "job 1: instance i-00000001: ");
                script_sleep(stage->script, 60 * MSEC_PER_SEC); /* launches pause for so long */
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_tag_is_the_arn_of_the_instance_in_every_partition),
                TEST(the_instance_type_is_a_label),
                TEST(the_job_s_own_label_is_one_of_the_runner),
                TEST(the_hand_over_has_the_times_so_far),
                TEST(the_hand_over_has_runner_limits_and_job),
                TEST(a_runner_that_nobody_can_use_is_replaced),
                TEST(a_runner_that_may_be_in_use_is_left_alone),
                TEST(a_name_that_is_free_again_is_asked_for_again),
                TEST(a_name_that_stays_taken_waits),
                TEST(a_parameter_of_the_same_runner_is_ours),
                TEST(a_parameter_of_another_runner_is_kept_and_ours_discarded),
                TEST(where_ours_cannot_be_discarded_the_machine_is_kept),
                TEST(a_parameter_that_is_no_hand_over_is_replaced),
                TEST(a_runner_whose_parameter_is_no_hand_over_is_replaced),
                TEST(what_replaces_a_parameter_may_be_refused),
                TEST(a_parameter_that_is_gone_again_is_stored),
                TEST(a_parameter_that_comes_and_goes_waits),
                TEST(a_hand_over_in_s3_is_stored_below_the_arn),
                TEST(an_object_of_our_own_lost_answer_is_left),
                TEST(without_a_bucket_jobs_wait),
                TEST(only_what_can_never_work_gives_the_machine_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
