/* SPDX-License-Identifier: MIT */

/*
 * A runner took a job: its queue time becomes a metric, and the instance that runs it carries the
 * job's URL as a tag.
 */

#include <stdlib.h>

#include "stage.h"

#define JOB(id, runner)                                                                \
        "{\"action\":\"in_progress\",\"id\":" id                                       \
        ",\"run_id\":2,\"attempt\":3,\"repository\":\"o/r\",\"labels\""                \
        ":[],\"spec\":\"linux\",\"url\":\"https://github.test/1\",\"queued_ms\":1000," \
        "\"started_ms\":3500,\"runner_name\":\"" runner "\"}"

#define DENIED                                                                          \
        "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>" \
        "</Errors></Response>"
#define DESCRIBED                                                                          \
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>%s</instancesSet>" \
        "</item></reservationSet></DescribeInstancesResponse>"

static void the_instance_is_tagged_with_its_job(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2,
                "ResourceId.1=i-0123456789abcdef0&Tag.1.Key=scale-agent%3Ajob-url&Tag.1.Value="
                "https%3A%2F%2Fgithub.test%2F1&Tag.2.Key=scale-agent%3Ajob-attempt&Tag.2.Value=3",
                200, "<CreateTagsResponse/>");
        assert_string_equal(stage_one(stage, in_progress_handle, JOB("1", "i-0123456789abcdef0")),
                STAGE_NONE_FAILED);
        assert_logged(stage, "\"spec\":\"linux\",\"QueueTime\":2500,\"job\":1");
}

/* What GitHub does not say is not measured, and what it does not link is not tagged. */
static void a_queue_time_has_a_beginning_and_an_end(void **state)
{
        static const struct {
                const char *members;
                const char *queue_time; /* NULL: none */
        } rows[] = {
                {",\"queued_ms\":1000,\"started_ms\":1000", "\"QueueTime\":0,"},
                {",\"queued_ms\":1,\"started_ms\":3", "\"QueueTime\":2,"},
                {",\"queued_ms\":1000,\"started_ms\":999", NULL},
                {",\"started_ms\":1000", NULL},
                {",\"queued_ms\":1000", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *body = mem_format(
                        "{\"action\":\"in_progress\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\","
                        "\"labels\":[],\"spec\":\"linux\",\"runner_name\":\"i-00000001\"%s}",
                        rows[i].members);
                struct stage *stage;

                if (i > 0) {
                        stage_tear_down(state);
                        stage_set_up(state);
                }
                stage = *state;
                assert_string_equal(stage_one(stage, in_progress_handle, body), STAGE_NONE_FAILED);
                if (rows[i].queue_time)
                        assert_logged(stage, rows[i].queue_time);
                else
                        assert_not_logged(stage, "QueueTime");
                assert_int_equal(script_requests(stage->script), 0);
        }
}

static void other_runners_are_left_alone(void **state)
{
        static const char *const bodies[] = {
                JOB("1", "GitHub Actions 7"),
                JOB("1", "i-1; rm -rf"),
                JOB("1", "i-0123456789ABCDEF0"),
                JOB("1", ""),
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
                assert_string_equal(
                        stage_one(stage, in_progress_handle, bodies[i]), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 0);
}

/* EC2's answer about machines without the stack's tag, and what it says of them then. */
static void what_is_denied_for_good_is_left_alone(void **state)
{
        static const char *const machines[] = {
                /* forgotten */
                "",
                /* ended, and without its tags */
                "<item><instanceId>i-00000001</instanceId><instanceState><name>terminated</name>"
                "</instanceState></item>",
                /* somebody's, whose runner has the name of its instance */
                "<item><instanceId>i-00000001</instanceId><instanceState><name>running</name>"
                "</instanceState><tagSet><item><key>Name</key><value>x</value></item></tagSet>"
                "</item>",
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
                _cleanup_free_ char *answer = mem_format(DESCRIBED, machines[i]);

                script_expect(stage->script, "POST", STAGE_EC2, "Action=CreateTags", 403, DENIED);
                script_expect(stage->script, "POST", STAGE_EC2,
                        "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-id&"
                        "Filter.1.Value.1=i-00000001",
                        200, answer);
                assert_string_equal(stage_one(stage, in_progress_handle, JOB("1", "i-00000001")),
                        STAGE_NONE_FAILED);
        }
}

/* An outage of EC2's is no reason to give up; five minutes of refusals are. */
static void an_outage_is_waited_for(void **state)
{
        struct stage *stage = *state;
        const struct stage_message late = {"a", JOB("1", "i-00000001"), 29, NULL};
        const struct stage_message fourth = {"a", JOB("1", "i-00000001"), 4, NULL};

        setenv("MAX_RECEIVE_COUNT", "30", 1);
        script_serve(stage->script, "POST", STAGE_EC2, "Action=CreateTags", 503, "");
        assert_string_equal(stage_batch(stage, in_progress_handle, &late, 1), STAGE_FAILED("a"));
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(stage_batch(stage, in_progress_handle,
                                    &(const struct stage_message){"b", "{}", 4, NULL}, 1),
                STAGE_NONE_FAILED);
        assert_string_equal(stage_batch(stage, in_progress_handle, &fourth, 1), STAGE_FAILED("a"));
}

static void a_denial_that_cannot_be_explained_comes_again(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, "Action=CreateTags", 403, DENIED);
        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 403, DENIED);
        assert_string_equal(
                stage_one(stage, in_progress_handle, JOB("1", "i-00000001")), STAGE_FAILED("m1"));
        assert_logged(stage, "allow ec2:DescribeInstances");
}

static void only_what_failed_comes_again(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", JOB("1", "i-00000001"), 0, NULL},
                {"b", JOB("2", "i-00000002"), 0, NULL},
                {"c", "{}", 0, NULL},
        };

        /* The first instance is gone, which is no failure; for the second the permission is
         * missing. */
        script_expect(stage->script, "POST", STAGE_EC2, "i-00000001", 400,
                "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code></Error>"
                "</Errors></Response>");
        script_expect(stage->script, "POST", STAGE_EC2, "i-00000002", 403, DENIED);
        script_expect(stage->script, "POST", STAGE_EC2, "i-00000002", 200,
                "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
                "<instanceId>i-00000002</instanceId><instanceState><name>running</name>"
                "</instanceState><tagSet><item><key>scale-agent:prefix</key><value>/p</value>"
                "</item></tagSet></item></instancesSet></item></reservationSet>"
                "</DescribeInstancesResponse>");
        assert_string_equal(stage_batch(stage, in_progress_handle, messages, 3),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"b\"},{\"itemIdentifier\":\"c\"}]}");
        assert_logged(stage, "instance i-00000002, job 2: AWS refused CreateTags");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_instance_is_tagged_with_its_job),
                TEST(a_queue_time_has_a_beginning_and_an_end),
                TEST(other_runners_are_left_alone),
                TEST(what_is_denied_for_good_is_left_alone),
                TEST(an_outage_is_waited_for),
                TEST(a_denial_that_cannot_be_explained_comes_again),
                TEST(only_what_failed_comes_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
