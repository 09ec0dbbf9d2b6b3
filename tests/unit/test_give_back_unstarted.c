/* SPDX-License-Identifier: MIT */

/*
 * Machines that ended before their runners listened: the job of each is given back, or people hear
 * that it is not; and no hand-over is deleted, or forgotten, while that has failed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "exchange/handover.h"
#include "stage.h"

#define MACHINES_MAX 12
#define RUNNERS STAGE_GITHUB "/repos/o/r/actions/runners"
#define TAG(key, value) "<item><key>" key "</key><value>" value "</value></item>"
#define OURS TAG("scale-agent:prefix", "/p") TAG("scale-agent:scope", "repos/o/r")
#define WITH_JOB OURS TAG("scale-agent:job-url", "https://github.test/1")
#define DENIED "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"
#define DELETED "{\"DeletedParameters\":[]}"

/* -- what is there -- */

/* The hand-over of a job; the caller frees. */
static char *handover_for(const char *repository, const char *spec, int64_t relaunches)
{
        const struct handover handover = {
                .jit_config = (char *)"c2VjcmV0",
                .prefix = (char *)"/p",
                .spec = (char *)spec,
                .scope = (char *)"repos/o/r",
                .job =
                        {
                                .id = 1,
                                .run_id = 2,
                                .attempt = 3,
                                .installation = 4711,
                                .relaunches = relaunches,
                                .repository = (char *)repository,
                                .name = (char *)"build",
                                .url = (char *)"https://github.test/1",
                                .instance_type = (char *)"m7i.large",
                        },
                .times = {.queued = 500, .webhook = 1000, .launched = 2000, .handed_over = 3000},
        };

        return handover_print(&handover);
}

/* EC2 describes the machines 1 to N, with these tags. */
static void expect_described(struct stage *stage, int n, const char *tags)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(64 * 1024);

        buf_add_string(&xml, "<DescribeInstancesResponse><reservationSet><item><instancesSet>");
        for (int i = 1; i <= n; i++)
                buf_add_format(&xml,
                        "<item><instanceId>i-%08x</instanceId><tagSet>%s</tagSet></item>",
                        (unsigned)i, tags);
        buf_add_string(&xml, "</instancesSet></item></reservationSet></DescribeInstancesResponse>");
        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200,
                buf_string(&xml));
}

/* SSM has the hand-overs VALUES of the machines 1 to N. */
static void expect_handovers(struct stage *stage, const char *const *values, int n)
{
        _cleanup_json_ cJSON *answer = cJSON_CreateObject();
        cJSON *parameters = cJSON_AddArrayToObject(answer, "Parameters");
        _cleanup_free_ char *text = NULL;

        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *name = mem_format("/p/runners/i-%08x", (unsigned)i + 1);
                cJSON *parameter = cJSON_CreateObject();

                json_add_string(parameter, "Name", name);
                json_add_string(parameter, "Value", values[i]);
                cJSON_AddItemToArray(parameters, parameter);
        }
        text = json_print(answer);
        script_expect(stage->script, "POST", STAGE_SSM, "WithDecryption", 200, text);
}

static void expect_deletion(struct stage *stage, const char *names, int status)
{
        script_expect(
                stage->script, "POST", STAGE_SSM, names, status, status == 200 ? DELETED : DENIED);
}

static void expect_no_runners(struct stage *stage, int n)
{
        for (int i = 0; i < n; i++)
                script_expect(stage->script, "GET", RUNNERS, NULL, 200, "{\"runners\":[]}");
}

/* The machines 1 to N have ended: returns how many of their events failed. */
static int end_machines(struct stage *stage, int n)
{
        struct stage_message messages[MACHINES_MAX] = {0};
        char ids[MACHINES_MAX][16];
        char *bodies[MACHINES_MAX];
        const char *answer;
        int failed = 0;

        for (int i = 0; i < n; i++) {
                snprintf(ids[i], sizeof(ids[i]), "m%d", i + 1);
                bodies[i] = mem_format(
                        "{\"source\":\"aws.ec2\","
                        "\"detail-type\":\"EC2 Instance State-change Notification\","
                        "\"detail\":{\"instance-id\":\"i-%08x\",\"state\":\"terminated\"}}",
                        (unsigned)i + 1);
                messages[i] = (struct stage_message){.id = ids[i], .body = bodies[i]};
        }
        answer = stage_batch(stage, instance_handle, messages, (size_t)n);
        for (int i = 0; i < n; i++)
                free(bodies[i]);
        while ((answer = strstr(answer, "itemIdentifier"))) {
                answer++;
                failed++;
        }
        return failed;
}

/* One machine ended whose hand-over was VALUE. */
static int end_with(struct stage *stage, const char *value)
{
        expect_described(stage, 1, OURS);
        expect_handovers(stage, &value, 1);
        return end_machines(stage, 1);
}

/* -- giving back -- */

static void a_job_comes_back_as_it_was(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *value = handover_for("o/r", "linux", 2);

        stage_expect_sent(stage,
                "\"MessageBody\":\"{\\\"action\\\":\\\"queued\\\",\\\"id\\\":1,\\\"run_id\\\":2,"
                "\\\"attempt\\\":3,\\\"installation\\\":4711,\\\"queued_ms\\\":500,"
                "\\\"webhook_ms\\\":1000,\\\"relaunches\\\":3,\\\"repository\\\":\\\"o/r\\\","
                "\\\"name\\\":\\\"build\\\",\\\"url\\\":\\\"https://github.test/1\\\","
                "\\\"spec\\\":\\\"linux\\\",\\\"instance_type\\\":\\\"m7i.large\\\","
                "\\\"labels\\\":[]}\"");
        stage_expect_sent(stage, "is given another machine");
        expect_deletion(stage, "{\"Names\":[\"/p/runners/i-00000001\"]}", 200);
        expect_no_runners(stage, 1);
        assert_int_equal(end_with(stage, value), 0);
}

/* Its repository or spec was removed from the configuration, or three machines ended for it. */
static void a_job_that_is_not_given_back_is_told(void **state)
{
        static const struct {
                const char *repository;
                const char *spec;
                int64_t relaunches;
                const char *told;
        } rows[] = {
                {"removed/r", "linux", 0, "the job still waits on GitHub"},
                {"o/r", "removed", 0, "the job still waits on GitHub"},
                {"o/r", "linux", 3, "{\\\"severity\\\":\\\"error\\\""},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *value =
                        handover_for(rows[i].repository, rows[i].spec, rows[i].relaunches);

                stage_expect_sent(stage, rows[i].told);
                expect_deletion(stage, "{\"Names\":[\"/p/runners/i-00000001\"]}", 200);
                expect_no_runners(stage, 1);
                assert_int_equal(end_with(stage, value), 0);
        }
        assert_not_logged(stage, "job given back");
}

/* It would be as unreadable the next time. */
static void an_unreadable_hand_over_is_deleted_and_is_no_failure(void **state)
{
        static const char *const values[] = {"nonsense", "{}"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                expect_deletion(stage, "{\"Names\":[\"/p/runners/i-00000001\"]}", 200);
                expect_no_runners(stage, 1);
                assert_int_equal(end_with(stage, values[i]), 0);
        }
        assert_logged(stage,
                "\"level\":\"error\",\"message\":\"hand-over of an ended machine cannot be parsed");
}

static void hand_overs_are_read_ten_at_a_time(void **state)
{
        struct stage *stage = *state;

        expect_described(stage, 11, OURS);
        script_expect(stage->script, "POST", STAGE_SSM, "i-0000000a\"],", 200, "{}");
        script_expect(stage->script, "POST", STAGE_SSM, "[\"/p/runners/i-0000000b\"],", 200, "{}");
        expect_no_runners(stage, 11);
        assert_int_equal(end_machines(stage, 11), 0);
}

/* -- failures: the events come again, and nothing is lost until then -- */

/* Neither may the success of the next one hide it. */
static void a_failed_give_back_keeps_the_hand_over(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *value = handover_for("o/r", "linux", 0);
        const char *const values[] = {value, value};

        expect_described(stage, 2, OURS);
        expect_handovers(stage, values, 2);
        script_expect(stage->script, "POST", STAGE_SQS, "parked", 400, DENIED);
        assert_int_equal(end_machines(stage, 2), 2);
        assert_logged(stage, "job 1 could not be given back");
}

static void untold_people_keep_the_hand_over(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *value = handover_for("o/r", "linux", 0);

        stage_expect_sent(stage, "sqs.test/parked");
        script_expect(stage->script, "POST", STAGE_SQS,
                "\\\"key\\\":\\\"ended early i-00000001\\\"", 400, DENIED);
        assert_int_equal(end_with(stage, value), 1);
}

static void an_unanswered_question_is_a_failure(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors>"
                "</Response>");
        assert_int_equal(end_machines(stage, 2), 2);
        /* The machines of the second call are not asked for either. */
        expect_described(stage, 11, OURS);
        script_expect(stage->script, "POST", STAGE_SSM, "WithDecryption", 400, DENIED);
        assert_int_equal(end_machines(stage, 11), 11);
}

static void a_parameter_that_cannot_be_deleted_is_a_failure(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *value = handover_for("o/r", "linux", 0);

        /* Of a machine whose runner took a job. */
        expect_described(stage, 1, WITH_JOB);
        expect_deletion(stage, "{\"Names\":[\"/p/runners/i-00000001\"]}", 400);
        assert_int_equal(end_machines(stage, 1), 1);
        /* The second call works, which does not mend the first. */
        expect_described(stage, 11, WITH_JOB);
        expect_deletion(stage, "i-0000000a\"]}", 400);
        expect_deletion(stage, "[\"/p/runners/i-0000000b\"]}", 200);
        assert_int_equal(end_machines(stage, 11), 11);
        /* Of one whose runner never listened. */
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "{\\\"severity\\\":\\\"warning\\\"");
        expect_deletion(stage, "{\"Names\":[\"/p/runners/i-00000001\"]}", 400);
        assert_int_equal(end_with(stage, value), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_job_comes_back_as_it_was),
                TEST(a_job_that_is_not_given_back_is_told),
                TEST(an_unreadable_hand_over_is_deleted_and_is_no_failure),
                TEST(hand_overs_are_read_ten_at_a_time),
                TEST(a_failed_give_back_keeps_the_hand_over),
                TEST(untold_people_keep_the_hand_over),
                TEST(an_unanswered_question_is_a_failure),
                TEST(a_parameter_that_cannot_be_deleted_is_a_failure),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
