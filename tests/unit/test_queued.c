/* SPDX-License-Identifier: MIT */

/*
 * Queued jobs: a batch becomes as few launches as possible, each job gets a registered machine, and
 * whatever goes wrong, only the message that it concerns fails.
 */

#include <stdlib.h>

#include "fake_aws.h"
#include "queued_stage.h"

/* -- launching -- */

static void a_batch_is_one_launch(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL}, {"c", queued_job(3, "linux"), 0, NULL}};
        int64_t before = stage_now_ms(stage);

        expect_launch(stage, "&MinCount=1&MaxCount=3&", 1, 3);
        script_latency(stage->script, 100);
        for (int i = 1; i <= 3; i++) {
                expect_jit(stage, i);
                script_latency(stage->script, 100);
                expect_put(stage, i, 200, "{\"Version\":1}");
                script_latency(stage->script, 100);
        }
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
        /* The three registrations run in parallel. */
        assert_int_equal(stage_now_ms(stage) - before, 300);
        assert_sent(stage, "\"Tags\":[{\"Key\":\"scale-agent:instance\",\"Value\":"
                           "\"arn:aws:ec2:eu-central-1:123456789012:instance/i-00000003\"}]");
        assert_sent(stage, "\\\"jit_config\\\":\\\"c2VjcmV0\\\"");
        assert_sent(stage, "\\\"runner_id\\\":103");
        assert_sent(stage, "\\\"id\\\":3,");
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000003\",\"job\":3");
        assert_logged(stage, "\"WebhookToLaunched\":1100");
        assert_logged(stage, "\"LaunchedToHandedOver\":");
        assert_not_logged(stage, "c2VjcmV0");
        assert_not_logged(stage, "token-of-github");
        assert_not_logged(stage, FAKE_AWS_SECRET);
        assert_not_logged(stage, FAKE_AWS_TOKEN);
}

static void different_jobs_are_launched_apart(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "fallback"), 0, NULL},
                {"c",
                        "{\"action\":\"queued\",\"id\":3,\"run_id\":2,\"repository\":\"o/other\","
                        "\"labels\":[],\"webhook_ms\":1767323044000,\"spec\":\"linux\",\"instance_"
                        "type\":\"m7i.large\"}",
                        0, NULL}};

        expect_launch(stage, "Value=repos%2Fo%2Fr&", 1, 1);
        expect_launch(stage, "InstanceType=t3.2xlarge&", 2, 2);
        expect_launch(stage, "Value=repos%2Fo%2Fother&", 3, 3);
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        script_expect(stage->script, "POST", "/repos/o/other/", "i-00000003", 201,
                "{\"runner\":{\"id\":9},\"encoded_jit_config\":\"c2VjcmV0\"}");
        expect_put(stage, 3, 200, "{\"Version\":1}");
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
}

/* What one RunInstances cannot give both. */
static void jobs_that_differ_in_one_thing_are_launched_apart(void **state)
{
        static const char *const others[] = {
                ",\"instance_type\":\"m7i.2xlarge\"",
                ",\"spec\":\"fallback\"",
                ",\"installation\":4711",
                ",\"offer\":1",
        };
        static const char *const bodies[] = {
                QUEUED_OFFER("m7i.2xlarge", "a"),
                "Value=fallback&",
                "Value=4711&",
                QUEUED_OFFER("m7i.large", "b"),
        };
        static const char alone[] =
                "MaxCount=1&LaunchTemplate.LaunchTemplateName=runner&LaunchTemplate.Version="
                "%24Default&" QUEUED_OFFER("m7i.large", "a");
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                _cleanup_free_ char *other = mem_format(
                        "{\"action\":\"queued\",\"id\":2,\"run_id\":2,\"repository\":\"o/r\","
                        "\"webhook_ms\":1767323044000,\"labels\":[]%s%s%s}",
                        others[i], i == 0 ? "" : ",\"instance_type\":\"m7i.large\"",
                        i == 1 ? "" : ",\"spec\":\"linux\"");
                const struct stage_message messages[] = {
                        {"a", queued_job(1, "linux"), 0, NULL}, {"b", other, 0, NULL}};

                expect_launch(stage, bodies[i], 2, 2);
                expect_launch(stage, alone, 1, 1);
                expect_registration(stage, 1);
                expect_registration(stage, 2);
                assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        }
}

/* Somebody ran it again on GitHub. */
static void another_attempt_of_a_job_is_another_job(void **state)
{
        struct stage *stage = *state;
        struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL},
                {"b",
                        "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"attempt\":2,\"repository\":"
                        "\"o/"
                        "r\",\"labels\":[],\"webhook_ms\":1767323044000,\"spec\":\"linux\","
                        "\"instance_type\":\"m7i.large\"}",
                        0, NULL},
        };

        for (int i = 0; i < 2; i++) {
                expect_launch(stage, "MaxCount=2&", 2 * i + 1, 2 * i + 2);
                expect_registration(stage, 2 * i + 1);
                expect_registration(stage, 2 * i + 2);
                assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
                /* ... whichever comes first. */
                messages[0].body = messages[1].body;
                messages[1].body = queued_job(1, "linux");
        }
}

static void duplicate_messages_share_an_instance(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(1, "linux"), 0, NULL}};

        expect_launch(stage, "MaxCount=1&", 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
}

static void tokens_are_requested_while_ec2_launches(void **state)
{
        struct stage *stage = *state;
        int64_t before = stage_now_ms(stage);

        stage_become_app(stage);
        script_expect(stage->script, "POST", "/app/installations/4711/access_tokens", NULL, 201,
                "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        script_latency(stage->script, 150);
        expect_launch(stage, NULL, 1, 1);
        script_latency(stage->script, 100);
        expect_registration(stage, 1);
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"installation\":4711")),
                STAGE_NONE_FAILED);
        assert_int_equal(stage_now_ms(stage) - before, 152);
        /* The token is kept. */
        expect_launch(stage, NULL, 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(
                queued_one(stage, queued_job_with(2, "linux", ",\"installation\":4711")),
                STAGE_NONE_FAILED);
        assert_not_logged(stage, "ghs_x");
}

/* What its runner has as a label, whatever EC2 launches: takers.c compares it. */
static void a_machine_names_the_type_that_its_job_asked_for(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage,
                "Tag.9.Key=scale-agent%3Atype&TagSpecification.1.Tag.9.Value=m7i.large&", 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        expect_launch(stage, "Tag.9.Key=team&", 2, 2);
        expect_registration(stage, 2);
        stage->scaler.config->specs[0].n_instance_types = 0; /* no job names one */
        assert_string_equal(queued_one(stage, queued_job(2, "linux")), STAGE_NONE_FAILED);
        stage->scaler.config->specs[0].n_instance_types = 1;
}

static void each_installation_has_its_token(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job_with(1, "linux", ",\"installation\":1"), 0, NULL},
                {"b", queued_job_with(2, "linux", ",\"installation\":2"), 0, NULL}};
        int64_t before = stage_now_ms(stage);

        stage_become_app(stage);
        for (int i = 1; i <= 2; i++) {
                _cleanup_free_ char *url = mem_format("/app/installations/%d/access_tokens", i);
                _cleanup_free_ char *tag = mem_format("Tag.4.Value=%d&", i);

                script_expect(stage->script, "POST", url, NULL, 201,
                        "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
                script_latency(stage->script, 100 * i);
                expect_launch(stage, tag, i, i);
                expect_registration(stage, i);
        }
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        /* The second registration waits for the second token, although there is a first one. */
        assert_int_equal(stage_now_ms(stage) - before, 202);
}

/* -- messages and tokens -- */

static void expect_job(struct stage *stage, int status, const char *answer)
{
        script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/jobs/1", NULL, status,
                answer);
}

/* EC2 has nothing of any launch. */
static void expect_nothing_launched(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_EC2,
                "Filter.1.Name=tag%3Ascale-agent%3Alaunches&Filter.1.Value.1=%2A%2F1-1-", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
}

/* GitHub says whether it still waits; its age does not. */
static void a_job_that_is_not_fresh_is_asked_for_first(void **state)
{
        struct stage *stage = *state;
        const struct stage_message stale[] = {
                {"a", queued_job_with(1, "linux", ",\"queued_ms\":1767322745000"), 0, NULL},
                {"b", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL},
                {"c", queued_job_with(1, "linux", ",\"launch\":1"), 0, NULL},
                {"d", queued_job(1, "linux"), 2, NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(stale); i++) {
                expect_nothing_launched(stage);
                expect_job(stage, 200, "{\"status\":\"completed\"}");
                assert_string_equal(queued_batch(stage, &stale[i], 1), STAGE_NONE_FAILED);
                expect_nothing_launched(stage);
                expect_job(stage, 200, "{\"status\":\"queued\"}");
                if (stale[i].receive_count > 1) /* it may stand in line already */
                        script_expect(stage->script, "POST", STAGE_SQS,
                                "{\"QueueUrl\":\"https://sqs.test/paced.fifo\",\"AttributeNames\"",
                                200,
                                "{\"Attributes\":{\"ApproximateNumberOfMessages\":\"0\","
                                "\"ApproximateNumberOfMessagesNotVisible\":\"0\","
                                "\"ApproximateNumberOfMessagesDelayed\":\"0\"}}");
                expect_launch(stage, NULL, 1, 1);
                expect_registration(stage, 1);
                assert_string_equal(queued_batch(stage, &stale[i], 1), STAGE_NONE_FAILED);
        }
        assert_logged(stage, "job waits no longer");
        /* Five minutes old to the millisecond, or younger: fresh. */
        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"queued_ms\":1767322746000")),
                STAGE_NONE_FAILED);
}

/* What the answers of GitHub and EC2 together lead to. */
static void a_recalled_job_waits_while_nobody_can_be_asked(void **state)
{
        static const struct {
                int status;
                const char *answer;
                const char *parked;
        } rows[] = {
                {200, "{\"status\":\"waiting\"}", "\"DelaySeconds\":300}"},
                {200, "{\"status\":\"something new\"}", "\"DelaySeconds\":300}"},
                {403, "{\"message\":\"API rate limit exceeded\"}", "\"DelaySeconds\":15}"},
                {401, "{\"message\":\"bad\"}", "\"DelaySeconds\":15}"},
        };
        struct stage *stage = *state;
        const char *body = queued_job_with(1, "linux", ",\"stale\":1");

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_nothing_launched(stage);
                expect_job(stage, rows[i].status, rows[i].answer);
                stage_expect_sent(stage, rows[i].parked);
                if (i >= 2)
                        stage_expect_sent(stage, "wait: GitHub refuses");
                assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        }
}

static void a_job_that_may_not_be_asked_for_becomes_a_dead_letter(void **state)
{
        struct stage *stage = *state;

        expect_nothing_launched(stage);
        expect_job(stage, 403, "{\"message\":\"Resource not accessible\"}");
        stage_expect_sent(stage, "Actions: read");
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"stale\":1")), STAGE_NONE_FAILED);
}

/* EC2 shows instance 1, second of its launch, in STATE with a further tag. */
static void expect_found(struct stage *stage, const char *instance_state, const char *tag)
{
        _cleanup_free_ char *xml = mem_format(
                "<DescribeInstancesResponse><reservationSet><item><ownerId>123456789012</ownerId>"
                "<instancesSet><item><instanceId>i-00000009</instanceId><instanceState>"
                "<name>running</name></instanceState><amiLaunchIndex>0</amiLaunchIndex><tagSet>"
                "<item><key>scale-agent:prefix</key><value>/p</value></item>"
                "<item><key>scale-agent:launches</key><value>/7-1-0/1-1-0/</value></item></tagSet>"
                "</item><item><instanceId>i-00000001</instanceId><instanceState><name>%s</name>"
                "</instanceState><amiLaunchIndex>1</amiLaunchIndex><tagSet><item>"
                "<key>scale-agent:prefix</key><value>/p</value></item><item>"
                "<key>scale-agent:launches</key><value>/7-1-0/1-1-0/</value></item>%s</tagSet>"
                "</item></instancesSet></item></reservationSet></DescribeInstancesResponse>",
                instance_state, tag);

        script_expect(stage->script, "POST", STAGE_EC2, "DescribeInstances", 200, xml);
        expect_job(stage, 200, "{\"status\":\"queued\"}");
}

static void expect_parameter(struct stage *stage, const char *answer)
{
        script_expect(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/runners/i-00000001\"",
                answer ? 200 : 400, answer ? answer : "{\"__type\":\"ParameterNotFound\"}");
}

/* The instance that an earlier try launched is used; its hand-over, if it has one, is kept. */
static void an_instance_of_the_same_name_is_adopted(void **state)
{
        struct stage *stage = *state;
        const char *body = queued_job_with(1, "linux", ",\"stale\":1");

        expect_found(stage, "running", "");
        expect_parameter(stage, "{\"Parameter\":{\"Value\":\"{\\\"version\\\":1,\\\"jit_config\\\":"
                                "\\\"c2VjcmV0\\\","
                                "\\\"prefix\\\":\\\"/"
                                "p\\\",\\\"spec\\\":\\\"linux\\\",\\\"scope\\\":\\\"repos/o/r\\\","
                                "\\\"runner_id\\\":55,\\\"job\\\":{\\\"id\\\":1}}\"}}");
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        assert_logged(stage, "found handed over");

        expect_found(stage, "pending", "");
        expect_parameter(stage, NULL);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        assert_logged(stage, "\"message\":\"handed over\",\"instance\":\"i-00000001\"");
        assert_not_logged(stage, "\"Launched\"");
}

/* It looks for its hand-over where its tag says, and the job's message takes that along. */
static void an_adopted_instance_keeps_its_bucket(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {
                "m1", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL};
        _cleanup_free_ char *sent = NULL;

        expect_found(
                stage, "running", "<item><key>scale-agent:hand-overs</key><value>b</value></item>");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
        sent = script_take_served(stage->script, "sqs.test/register.fifo");
        assert_contains(sent, "\\\"bucket\\\":\\\"b\\\"");
}

/* `register` would send it back. */
static void an_instance_without_a_spec_is_not_adopted(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {
                "m1", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL};

        stage->scaler.config->n_specs = 0;
        expect_found(stage, "running", "");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_FAILED("m1"));
        stage->scaler.config->n_specs = 3;
}

static void a_job_whose_instance_is_spent_gets_the_next_launch(void **state)
{
        static const char job_tag[] =
                "<item><key>scale-agent:job-url</key><value>https://github.test/2</value></item>";
        struct stage *stage = *state;
        const char *body = queued_job_with(1, "linux", ",\"stale\":1,\"sends\":4");

        expect_found(stage, "terminated", "");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        assert_sent(
                stage, "\\\"offer\\\":1,\\\"launch\\\":1,\\\"relaunches\\\":1,\\\"sends\\\":1,");
        /* Another job took it: bad luck, and no fault of the machine. */
        expect_found(stage, "running", job_tag);
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        assert_not_sent(stage, "relaunches");
}

/* Of one job's messages the latest launch counts. */
static void an_earlier_launch_of_the_same_batch_is_dropped(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job_with(1, "linux", ",\"launch\":2"), 0, NULL},
                {"c", queued_job_with(1, "linux", ",\"launch\":1"), 0, NULL},
        };

        expect_nothing_launched(stage);
        expect_job(stage, 200, "{\"status\":\"queued\"}");
        expect_launch(stage, "%2F1-1-2%2F", 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
}

/* In whatever order they come, and of one launch the one that was sent last. */
static void of_a_job_s_messages_one_counts(void **state)
{
        static const struct {
                const char *more[4];
                const char *counts; /* a part of what is sent on */
        } rows[] = {
                {{",\"launch\":1", "", ",\"launch\":1,\"sends\":2", ",\"launch\":1,\"sends\":1"},
                        "\\\"sends\\\":2,"},
                {{",\"launch\":2", ",\"launch\":1,\"sends\":3", "", ",\"sends\":4"},
                        "\\\"launch\\\":2,"},
                {{",\"sends\":1", ",\"sends\":4", ",\"launch\":1,\"sends\":1", ",\"sends\":2"},
                        "\\\"launch\\\":1,"},
                /* The same twice. */
                {{",\"sends\":1", ",\"sends\":1", "", ""}, "\\\"sends\\\":1,"},
        };
        struct stage *stage = *state;

        github_release(stage->scaler.github);
        free(MEM_STEAL(stage->scaler.github));
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct stage_message messages[4];

                for (size_t j = 0; j < 4; j++)
                        messages[j] = (struct stage_message){
                                .id = "m", .body = queued_job_with(1, "linux", rows[i].more[j])};
                stage_expect_sent(stage, rows[i].counts);
                stage_expect_sent(stage, "wait: settings cannot be read");
                assert_string_equal(queued_batch(stage, messages, 4), STAGE_NONE_FAILED);
        }
}

static void every_machine_is_watched(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 0, NULL}};

        expect_launch(stage, NULL, 1, 2);
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        script_expect(stage->script, "POST", STAGE_SQS, "\"DelaySeconds\":240}]}", 200,
                "{\"Successful\":[]}");
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        assert_sent(stage, "{\\\"action\\\":\\\"watched\\\",\\\"id\\\":1,");
        assert_sent(stage, "\\\"instance\\\":\\\"i-00000002\\\"");
        /* A message that no watch has followed is not done. */
        expect_launch(stage, NULL, 1, 2);
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/watch", 200,
                "{\"Failed\":[{\"Id\":\"1\",\"Code\":\"InternalError\"}]}");
        assert_string_equal(queued_batch(stage, messages, 2),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"1\"},{\"itemIdentifier\":\"2\"}]}");
}

#define GONE(id, labels)                                                                          \
        "{\"action\":\"queued\",\"id\":" id ",\"run_id\":2,\"attempt\":1,\"repository\":\"o/r\"," \
        "\"labels\":[" labels "],\"webhook_ms\":1767323044000,\"spec\":\"gone\","                 \
        "\"instance_type\":\"m7i.large\"}"

/* A spec that was renamed is found by the job's labels. */
static void bad_messages_fail_alone(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", "{\"action\":", 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL},
                {"c", GONE("3", "\"nobody\""), 0, NULL},
                {"d", GONE("4", "\"linux\""), 0, NULL},
        };

        expect_launch(stage, "MaxCount=2&", 1, 2);
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        assert_string_equal(queued_batch(stage, messages, 4),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"c\"}]}");
        assert_logged(stage, "its spec \\\"gone\\\" is not in the configuration any more");
}

/* Nothing is lost while an operator, or SSM, mends them. */
static void without_its_settings_jobs_wait(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 3, NULL}};

        github_release(stage->scaler.github);
        free(MEM_STEAL(stage->scaler.github));
        stage_expect_sent(stage, "\"{\\\"action\\\":\\\"queued\\\",\\\"id\\\":1,");
        stage_expect_sent(stage, "wait: settings cannot be read");
        stage_expect_sent(stage, "\"{\\\"action\\\":\\\"queued\\\",\\\"id\\\":2,");
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
}

/* Also where the first message of the batch is of no job, or of one that has a later message. */
static void people_hear_of_settings_whatever_comes_first(void **state)
{
        static const char *const firsts[] = {"garbage", NULL};
        struct stage *stage = *state;

        github_release(stage->scaler.github);
        free(MEM_STEAL(stage->scaler.github));
        for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
                const struct stage_message messages[] = {
                        {"a", firsts[i] ? firsts[i] : queued_job(1, "linux"), 0, NULL},
                        {"b", queued_job_with(1, "linux", ",\"launch\":1"), 0, NULL}};

                stage_expect_sent(stage, "\\\"launch\\\":1,");
                stage_expect_sent(stage, "wait: settings cannot be read");
                assert_string_equal(queued_batch(stage, messages, 2),
                        firsts[i] ? STAGE_FAILED("a") : STAGE_NONE_FAILED);
        }
}

static void without_a_token_nothing_more_is_launched(void **state)
{
        struct stage *stage = *state;
        const char *body = queued_job_with(1, "linux", ",\"installation\":4711");

        stage_become_app(stage);
        for (int i = 0; i < 2; i++) /* here they share a process */
                script_expect(stage->script, "POST", "/access_tokens", NULL, 401,
                        "{\"message\":\"bad\"}");
        expect_launch(stage, NULL, 1, 1);
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(queued_one(stage, body), STAGE_FAILED("1"));
        /* Its machine is kept; from now on nothing is launched before there is a token. */
        script_expect(stage->script, "POST", "/access_tokens", NULL, 401, "{\"message\":\"bad\"}");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        script_sleep(stage->script, 60 * MSEC_PER_SEC);
        script_expect(stage->script, "POST", "/access_tokens", NULL, 201,
                "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
}

static void expect_token_answer(struct stage *stage, int status, const char *answer)
{
        script_expect(stage->script, "POST", "/access_tokens", NULL, status, answer);
}

/* An outage does not get more calls for a token than for anything else. */
static void a_token_that_github_fails_to_give_is_tried_as_often_as_any_call(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        for (int i = 0; i < 2 * 3; i++) /* here `queued` and `register` share a process */
                expect_token_answer(stage, 503, "<html>");
        expect_launch(stage, NULL, 1, 1);
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"installation\":4711")),
                STAGE_FAILED("1"));
}

static void a_jwt_that_github_may_know_is_replaced(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_token_answer(stage, 503, "<html>");
        expect_token_answer(stage, 401, "{\"message\":\"known\"}");
        expect_token_answer(
                stage, 201, "{\"token\":\"ghs_x\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(
                queued_one(stage, queued_job_with(1, "linux", ",\"installation\":4711")),
                STAGE_NONE_FAILED);
}

/* A personal token that was replaced in SSM takes effect in a warm process. */
static void a_refused_token_is_read_again(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "new-token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        expect_launch(stage, NULL, 1, 1);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 401, "{\"message\":\"bad\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_FAILED("1"));
        script_sleep(stage->script, 60 * MSEC_PER_SEC);
        expect_launch(stage, NULL, 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_string_equal(github_kept_token(stage->scaler.github, 0), "new-token");
}

/* Until the time that GitHub names, and only for that installation. */
static void a_limit_that_is_used_up_stops_launches_until_it_ends(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job_with(2, "linux", ",\"installation\":4711"), 0, NULL}};

        expect_launch(stage, NULL, 1, 1);
        script_expect_headers(stage->script, "POST", QUEUED_JIT_URL, NULL, 403,
                "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1767325045\r\n",
                "{\"message\":\"API rate limit exceeded\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_FAILED("1"));
        assert_logged(stage, "\"until\":\"2026-01-02T03:37:2");

        stage_expect_sent(stage, "\\\"not_before_ms\\\":17673250");
        stage_expect_sent(stage, "wait: GitHub refuses");
        expect_launch(stage, "Value=4711&", 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_batch_is_one_launch),
                TEST(different_jobs_are_launched_apart),
                TEST(jobs_that_differ_in_one_thing_are_launched_apart),
                TEST(another_attempt_of_a_job_is_another_job),
                TEST(duplicate_messages_share_an_instance),
                TEST(tokens_are_requested_while_ec2_launches),
                TEST(a_machine_names_the_type_that_its_job_asked_for),
                TEST(each_installation_has_its_token),
                TEST(a_job_that_is_not_fresh_is_asked_for_first),
                TEST(a_recalled_job_waits_while_nobody_can_be_asked),
                TEST(a_job_that_may_not_be_asked_for_becomes_a_dead_letter),
                TEST(an_instance_of_the_same_name_is_adopted),
                TEST(an_adopted_instance_keeps_its_bucket),
                TEST(an_instance_without_a_spec_is_not_adopted),
                TEST(a_job_whose_instance_is_spent_gets_the_next_launch),
                TEST(an_earlier_launch_of_the_same_batch_is_dropped),
                TEST(of_a_job_s_messages_one_counts),
                TEST(every_machine_is_watched),
                TEST(bad_messages_fail_alone),
                TEST(without_its_settings_jobs_wait),
                TEST(people_hear_of_settings_whatever_comes_first),
                TEST(without_a_token_nothing_more_is_launched),
                TEST(a_token_that_github_fails_to_give_is_tried_as_often_as_any_call),
                TEST(a_jwt_that_github_may_know_is_replaced),
                TEST(a_refused_token_is_read_again),
                TEST(a_limit_that_is_used_up_stops_launches_until_it_ends),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
