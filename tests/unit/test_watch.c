/* SPDX-License-Identifier: MIT */

/*
 * Promises that are due: a parked job is queued again, and a job whose machine will not run it gets
 * another launch. A job that runs costs no call to GitHub.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/breaker.h"
#include "stage.h"

#define URL "https://github.test/1"
#define JOB(action, more)                                                                        \
        "{\"action\":\"" action "\",\"id\":1,\"run_id\":2,\"attempt\":1,\"repository\":\"o/r\"," \
        "\"url\":\"" URL "\",\"labels\":[\"linux\"],\"spec\":\"linux\","                         \
        "\"instance_type\":\"m7i.large\"" more "}"
#define WATCHED_SINCE(launched) \
        JOB("watched", ",\"instance\":\"i-00000001\",\"launched_ms\":" launched)
/* Launched at 03:00:00; the stage's clock says 03:04:05. */
#define WATCH(more) WATCHED_SINCE("1767322800000" more)

static void expect_machines(struct stage *stage, const char *filter, const char *machines)
{
        _cleanup_free_ char *xml = mem_format("<DescribeInstancesResponse><reservationSet><item>"
                                              "<instancesSet>%s</instancesSet></item>"
                                              "</reservationSet></DescribeInstancesResponse>",
                machines);

        script_expect(stage->script, "POST", STAGE_EC2, filter, 200, xml);
}

/* What a machine that has ended may have left goes. */
static void expect_parameter_deleted(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/runners/i-00000001\"]}",
                200, "{\"InvalidParameters\":[\"/p/runners/i-00000001\"]}");
}

#define BY_JOB "Filter.1.Name=tag%3Ascale-agent%3Ajob-url&Filter.1.Value.1=https"
#define BY_ID "Filter.1.Name=instance-id&Filter.1.Value.1=i-00000001"
#define MACHINE(state, reason, tags)                                                \
        "<item><instanceId>i-00000001</instanceId><instanceState><name>" state      \
        "</name></instanceState><stateReason><code>" reason "</code></stateReason>" \
        "<tagSet>" tags "</tagSet></item>"
#define RUNNING(id, spec, url)                                                               \
        "<item><instanceId>" id "</instanceId><launchTime>2026-01-02T03:00:00Z</launchTime>" \
        "<instanceState><name>running</name></instanceState><tagSet>" JOB_URL(               \
                url) "<item><key>scale-agent:prefix</key><value>/p</value></item>"           \
                     "<item><key>scale-agent:spec</key><value>" spec                         \
                     "</value></item></tagSet></item>"
#define JOB_URL(url) "<item><key>scale-agent:job-url</key><value>" url "</value></item>"

static void expect_job(struct stage *stage, int status, const char *answer)
{
        script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/jobs/1", NULL, status,
                answer);
}

/* Each time it is another watch, whatever BODY says. */
static const char *watch(struct stage *stage, const char *body)
{
        stage->scaler.watched = (struct recent){0};
        return stage_one(stage, watch_handle, body);
}

/* -- parked -- */

static void a_parked_job_is_queued_again(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-0-3\"");
        assert_string_equal(
                watch(stage, JOB("queued", ",\"sends\":3,\"stale\":1")), STAGE_NONE_FAILED);
        assert_sent(stage, "\"MessageGroupId\":\"1\"");
        assert_sent(stage, "\\\"sends\\\":4,\\\"stale\\\":1,");
        script_expect(stage->script, "POST", STAGE_SQS, "queued.fifo", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(watch(stage, JOB("queued", "")), STAGE_FAILED("m1"));
}

/* SQS delays a message by a quarter of an hour at most. */
static void a_job_that_is_parked_for_longer_waits_on(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "sqs.test/parked");
        assert_string_equal(
                watch(stage, JOB("queued", ",\"not_before_ms\":1767326645000")), STAGE_NONE_FAILED);
        assert_sent(stage, "\"DelaySeconds\":900}");
        assert_sent(stage, "\\\"not_before_ms\\\":1767326645000");
        stage_expect_sent(stage, "sqs.test/parked");
        assert_string_equal(
                watch(stage, JOB("queued", ",\"not_before_ms\":1767323050000")), STAGE_NONE_FAILED);
        assert_sent(stage, "\"DelaySeconds\":5}");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(
                watch(stage, JOB("queued", ",\"not_before_ms\":1767323045000")), STAGE_NONE_FAILED);
        assert_not_sent(stage, "not_before_ms");
}

static void what_is_neither_becomes_a_dead_letter_at_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", "{", 0, NULL},
                {"b", JOB("completed", ",\"instance\":\"i-00000001\""), 0, NULL},
                {"c", JOB("watched", ""), 0, NULL},
                {"d", JOB("watched", ",\"instance\":\"x\""), 0, NULL},
                {"e", JOB("queued", ""), 0, NULL},
                {"f", JOB("unheard_of", ""), 0, NULL},
        };

        stage_expect_sent(stage, "queued.fifo");
        for (int i = 0; i < 5; i++)
                stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(stage_batch(stage, watch_handle, messages, 6), STAGE_NONE_FAILED);
}

/* From a line, as long as the stack has no `admit`: it waits for that, however often it has come.
 */
static void what_waits_in_line_is_left_to_admit(void **state)
{
        static const char *const bodies[] = {JOB("paced", ""), JOB("limited", "")};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                const struct stage_message message = {"m1", bodies[i], 500, NULL};

                assert_string_equal(
                        stage_batch(stage, watch_handle, &message, 1), STAGE_FAILED("m1"));
        }
        assert_logged(stage, "update the stack (make stack)");
        assert_int_equal(script_requests(stage->script), 0);
}

/* -- watches -- */

static void a_job_that_runs_on_its_machine_costs_one_call(void **state)
{
        struct stage *stage = *state;

        expect_machines(stage, BY_JOB, MACHINE("running", "", JOB_URL(URL)));
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 1);
        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, MACHINE("running", "", ""));
        expect_job(stage, 200, "{\"status\":\"in_progress\"}");
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
        assert_not_logged(stage, "\"level\":\"error\"");
}

static void expect_stopped_spec(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "\"Path\":\"/p/breakers\"", 200,
                "{\"Parameters\":[{\"Name\":\"/p/breakers/linux\",\"Version\":1,"
                "\"Value\":\"{\\\"stopped_since_ms\\\":1767322000000,"
                "\\\"stopped_until_ms\\\":1767323900000}\"}]}");
}

/* On a machine of the spec `linux` of the stack PREFIX, while that spec of ours is stopped. */
static void expect_runs_for(struct stage *stage, const char *prefix)
{
        _cleanup_free_ char *machine = mem_format(
                "<item><instanceId>i-00000001</instanceId><instanceState><name>running"
                "</name></instanceState><launchTime>2026-01-02T03:00:00Z</"
                "launchTime><tagSet>" JOB_URL(
                        URL) "<item><key>scale-agent:spec</key><value>linux</value></item>"
                             "<item><key>scale-agent:prefix</key><value>%s</value></item></"
                             "tagSet></item>",
                prefix);

        expect_stopped_spec(stage);
        (void)breaker_read(&stage->scaler, "linux", true);
        expect_machines(stage, BY_JOB, machine);
}

/* Another stack may have a spec of the same name, with another image. */
static void only_a_machine_of_ours_shows_that_its_spec_works(void **state)
{
        struct stage *stage = *state;

        expect_runs_for(stage, "/q");
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
        expect_runs_for(stage, "/p");
        expect_stopped_spec(stage);
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Name\":\"/p/breakers/linux\"", 200,
                "{\"Version\":2}");
        stage_expect_sent(stage, "Spec linux: launches go on");
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
}

/* Its tag was lost with a webhook. Another runner's job says nothing of this spec. */
static void a_job_that_github_says_ran_shows_that_its_spec_works(void **state)
{
        static const struct {
                const char *answer;
                bool works;
        } rows[] = {
                {"{\"status\":\"in_progress\",\"runner_name\":\"i-00000001\"}", true},
                {"{\"status\":\"completed\",\"runner_name\":\"i-00000001\"}", true},
                {"{\"status\":\"in_progress\",\"runner_name\":\"i-00000002\"}", false},
                {"{\"status\":\"completed\",\"runner_name\":null}", false},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_stopped_spec(stage);
                (void)breaker_read(&stage->scaler, "linux", true);
                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, MACHINE("running", "", ""));
                expect_job(stage, 200, rows[i].answer);
                if (rows[i].works) {
                        expect_stopped_spec(stage);
                        script_expect(stage->script, "POST", STAGE_SSM,
                                "{\"Name\":\"/p/breakers/linux\"", 200, "{\"Version\":2}");
                        stage_expect_sent(stage, "Spec linux: launches go on");
                }
                assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
                /* Nobody has asked whether the spec is still stopped. */
                assert_null(script_take_served(stage->script, "/p/breakers"));
        }
}

static void a_job_that_waits_no_longer_needs_nothing(void **state)
{
        static const char *const answers[] = {
                "{\"status\":\"in_progress\",\"runner_name\":\"mine\"}",
                "{\"status\":\"completed\"}", NULL, /* 404 */
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, MACHINE("terminated", "", ""));
                expect_parameter_deleted(stage);
                expect_job(stage, answers[i] ? 200 : 404, answers[i] ? answers[i] : "{}");
                /* Once GitHub has not known it for an hour, it is deleted. */
                assert_string_equal(watch(stage, WATCH(",\"missing\":7")), STAGE_NONE_FAILED);
        }
}

static void expect_watched_again(struct stage *stage, const char *text)
{
        script_expect(stage->script, "POST", STAGE_SQS, text, 200, "{\"Successful\":[]}");
}

static void what_is_not_known_is_watched_again(void **state)
{
        static const struct {
                int status;
                const char *answer;
        } rows[] = {
                {200, "{\"status\":\"waiting\"}"},
                {200, "{\"status\":\"pending\"}"},
                {200, "{\"status\":\"requested\"}"},
                {200, "{\"status\":\"of_next_year\"}"},
                {403, "{\"message\":\"API rate limit exceeded\"}"},
                {401, "{\"message\":\"bad\"}"},
                {403, "{\"message\":\"Resource not accessible\"}"},
                {404, "{\"message\":\"Not Found\"}"},
        };
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, MACHINE("terminated", "", ""));
                expect_parameter_deleted(stage);
                expect_job(stage, rows[i].status, rows[i].answer);
                expect_watched_again(stage, "\\\"watches\\\":8,");
                assert_string_equal(watch(stage, WATCH(",\"watches\":7")), STAGE_NONE_FAILED);
                assert_sent(stage, "\"DelaySeconds\":900}");
        }
        /* Whether its machine has a runner says nothing then. */
        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, MACHINE("running", "", ""));
        expect_job(stage, 401, "{\"message\":\"bad\"}");
        expect_watched_again(stage, "\\\"watches\\\":8,");
        assert_string_equal(watch(stage, WATCH(",\"watches\":7")), STAGE_NONE_FAILED);
        /* Without EC2's answer nothing is known: the message itself comes again. */
        script_expect(stage->script, "POST", STAGE_EC2, NULL, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        assert_string_equal(watch(stage, WATCH("")), STAGE_FAILED("m1"));
}

/* EC2 fails as MESSAGE comes for the RECEIVES-th time of thirty. */
static const char *watch_in_outage(struct stage *stage, const char *message, int receives)
{
        setenv("MAX_RECEIVE_COUNT", "30", 1);
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", STAGE_EC2, NULL, 503,
                        "<Response><Errors><Error><Code>Unavailable</Code><Message/></Error>"
                        "</Errors></Response>");
        return stage_batch(stage, watch_handle,
                &(const struct stage_message){"m1", message, receives, NULL}, 1);
}

/* Of AWS, which may last for longer than its message comes: then another one takes its place. */
static void an_outage_makes_no_dead_letter_of_a_watch(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *sent = NULL;

        assert_string_equal(watch_in_outage(stage, WATCH(""), 24), STAGE_FAILED("m1"));
        assert_null(script_take_served(stage->script, "sqs.test/watch"));
        assert_string_equal(watch_in_outage(stage, WATCH(",\"watches\":7"), 25), STAGE_NONE_FAILED);
        sent = script_take_served(stage->script, "sqs.test/watch");
        assert_contains(sent, "\\\"watches\\\":7,");
        assert_contains(sent, "\"DelaySeconds\":900");
        /* Where that cannot be sent either, or its job is over, it is as any other. */
        assert_string_equal(
                watch_in_outage(stage, WATCHED_SINCE("1767150244000"), 25), STAGE_FAILED("m1"));
        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/watch", 403,
                "{\"__type\":\"AccessDenied\"}");
        assert_string_equal(watch_in_outage(stage, WATCH(""), 29), STAGE_FAILED("m1"));
        assert_null(script_take_served(stage->script, "sqs.test/watch"));
}

/* SQS failed after all was decided: the next watch decides again. */
static void a_watch_is_renewed_as_it_came(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *sent = NULL;

        setenv("MAX_RECEIVE_COUNT", "30", 1);
        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, MACHINE("terminated", "", ""));
        expect_parameter_deleted(stage);
        expect_job(stage, 200, "{\"status\":\"queued\"}");
        expect_machines(stage, "scale-agent%3Aspec", "");
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", STAGE_SQS, "queued.fifo", 503, "");
        assert_string_equal(stage_batch(stage, watch_handle,
                                    &(const struct stage_message){"m1", WATCH(""), 25, NULL}, 1),
                STAGE_NONE_FAILED);
        sent = script_take_served(stage->script, "sqs.test/watch");
        assert_contains(sent, "\\\"instance\\\":\\\"i-00000001\\\"");
        assert_lacks(sent, "\\\"launch\\\":1");
}

/* That we may not ask is for a person to mend. */
static void a_watch_that_aws_denies_becomes_a_dead_letter(void **state)
{
        struct stage *stage = *state;

        setenv("MAX_RECEIVE_COUNT", "30", 1);
        script_expect(stage->script, "POST", STAGE_EC2, NULL, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(stage_batch(stage, watch_handle,
                                    &(const struct stage_message){"m1", WATCH(""), 30, NULL}, 1),
                STAGE_NONE_FAILED);
        assert_null(script_take_served(stage->script, "sqs.test/watch"));
}

/* Two days after its launch the job is over at GitHub, which may refuse to tell for ever. */
static void what_github_refuses_to_tell_is_not_watched_for_ever(void **state)
{
        static const struct {
                const char *launched;
                int status;
                const char *answer;
                bool ends;
        } rows[] = {
                {"1767150244000", 403, "{\"message\":\"Resource not accessible\"}", true},
                {"1767150244000", 301, "{\"message\":\"Moved Permanently\"}", true},
                {"1767150244000", 403, "{\"message\":\"API rate limit exceeded\"}", false},
                {"1767150244000", 200, "{\"status\":\"waiting\"}", false},
                {"1767150250000", 403, "{\"message\":\"Resource not accessible\"}", false},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *body = mem_format(
                        JOB("watched", ",\"instance\":\"i-00000001\",\"launched_ms\":%s"),
                        rows[i].launched);

                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, "");
                expect_parameter_deleted(stage);
                expect_job(stage, rows[i].status, rows[i].answer);
                if (!rows[i].ends)
                        expect_watched_again(stage, "\\\"watches\\\":1,");
                assert_string_equal(watch(stage, body), STAGE_NONE_FAILED);
        }
        assert_logged(stage, "job is followed no longer");
}

/* A person can mend that. Until then jobs may wait, and get no machine: it is told once, when it is
 * no passing hour of GitHub's, and its own machine is not what the job needs. */
static void people_are_told_that_github_refuses_to_tell(void **state)
{
        static const struct {
                const char *watch;
                const char *answer;
                bool is_told;
        } rows[] = {
                {WATCH(",\"watches\":1"), "Resource not accessible", false},
                {WATCH(",\"watches\":2,\"name\":\"build\""), "Resource not accessible", true},
                {WATCH(",\"watches\":3"), "Resource not accessible", false},
                {WATCH(",\"watches\":2"), "API rate limit exceeded", false},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *answer = mem_format("{\"message\":\"%s\"}", rows[i].answer);

                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, MACHINE("terminated", "", ""));
                expect_parameter_deleted(stage);
                expect_job(stage, 403, answer);
                if (rows[i].is_told)
                        stage_expect_sent(stage, "GitHub does not tell of jobs of o/r");
                assert_string_equal(watch(stage, rows[i].watch), STAGE_NONE_FAILED);
                if (!rows[i].is_told)
                        continue;
                assert_sent(stage, "Resource not accessible");
                assert_sent(
                        stage, "{\\\"name\\\":\\\"First of them\\\",\\\"value\\\":\\\"build\\\"}");
        }
}

/* At the second watch its runner is looked for: the machine may have lost it. */
static void a_machine_that_may_still_take_the_job_is_watched(void **state)
{
        static const struct {
                const char *more;
                const char *runners; /* NULL: not looked for */
                bool relaunches;
        } rows[] = {
                {"", NULL, false},
                {",\"watches\":1", "{\"id\":5,\"name\":\"i-00000001\",\"status\":\"online\"}",
                        false},
                {",\"watches\":1", "{\"id\":5,\"name\":\"i-00000001\",\"status\":\"offline\"}",
                        false},
                {",\"watches\":1", "", true},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *body = mem_format(
                        JOB("watched",
                                ",\"instance\":\"i-00000001\",\"launched_ms\":1767322800000%s"),
                        rows[i].more);
                _cleanup_free_ char *runners =
                        mem_format("{\"runners\":[%s]}", rows[i].runners ? rows[i].runners : "");

                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, MACHINE("running", "", ""));
                expect_job(stage, 200, "{\"status\":\"queued\"}");
                if (rows[i].runners)
                        script_expect(stage->script, "GET",
                                STAGE_GITHUB "/repos/o/r/actions/runners?", NULL, 200, runners);
                if (rows[i].relaunches)
                        stage_expect_sent(stage, "queued.fifo");
                else
                        expect_watched_again(stage, "sqs.test/watch");
                assert_string_equal(watch(stage, body), STAGE_NONE_FAILED);
        }
}

/* It was deregistered at its idle limit, and ends in a moment: that is no fault of the machine. */
static void a_machine_that_listened_in_vain_does_not_count(void **state)
{
        struct stage *stage = *state;

        script_sleep(stage->script, 2 * 60 * MSEC_PER_SEC);
        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, MACHINE("running", "", ""));
        expect_job(stage, 200, "{\"status\":\"queued\"}");
        script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/runners?", NULL, 200,
                "{\"runners\":[]}");
        stage_expect_sent(stage, "\\\"launch\\\":1,");
        assert_string_equal(watch(stage, WATCH(",\"watches\":1")), STAGE_NONE_FAILED);
        assert_not_sent(stage, "relaunches");
}

/* A runner that has not come a quarter of an hour after the launch will not come. */
static void a_machine_that_hangs_in_its_boot_is_given_up(void **state)
{
        static const int seconds[] = {655, 1};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
                script_sleep(stage->script, seconds[i] * MSEC_PER_SEC - 10);
                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, MACHINE("running", "", ""));
                expect_job(stage, 200, "{\"status\":\"queued\"}");
                script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/runners?",
                        NULL, 200,
                        "{\"runners\":[{\"id\":5,\"name\":\"i-00000001\",\"status\":"
                        "\"offline\"}]}");
                if (i == 0)
                        expect_watched_again(stage, "\\\"watches\\\":4,");
                else
                        stage_expect_sent(stage, "\\\"launch\\\":1,\\\"relaunches\\\":1,");
                assert_string_equal(watch(stage, WATCH(",\"watches\":3")), STAGE_NONE_FAILED);
        }
}

static void a_job_that_waits_without_a_machine_gets_another(void **state)
{
        static const struct {
                const char *machine;
                bool counts; /* as a machine that ended without having run it */
        } rows[] = {
                {"", true}, /* EC2 has forgotten it */
                {MACHINE("terminated", "Server.SpotInstanceTermination", ""), true},
                {MACHINE("shutting-down", "Server.InternalError", ""), true},
                {MACHINE("running", "", JOB_URL("https://github.test/2")), false},
                {MACHINE("terminated", "Client.InstanceInitiatedShutdown",
                         JOB_URL("https://github.test/2")),
                        false},
                /* It ended itself before its idle limit, ... */
                {MACHINE("terminated", "Client.InstanceInitiatedShutdown", ""), true},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, rows[i].machine);
                if (!strstr(rows[i].machine, "running"))
                        expect_parameter_deleted(stage);
                expect_job(stage, 200, "{\"status\":\"queued\"}");
                stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
                assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
                assert_sent(stage, "\\\"offer\\\":1,\\\"launch\\\":1,");
                if (rows[i].counts)
                        assert_sent(stage, "\\\"relaunches\\\":1");
                else
                        assert_not_sent(stage, "relaunches");
        }
        /* ... and after it: GitHub was late, which is no fault of the machine. */
        script_sleep(stage->script, 60 * MSEC_PER_SEC);
        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, rows[5].machine);
        expect_parameter_deleted(stage);
        expect_job(stage, 200, "{\"status\":\"queued\"}");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
        assert_not_sent(stage, "relaunches");
}

/* Launched a minute and a half ago, when the first look at one of a burst is due. It is waited for,
 * and keeps its hand-over; also where its job runs elsewhere, since another one may get it. */
static void a_machine_that_ec2_does_not_show_yet_is_kept(void **state)
{
        static const char young[] =
                JOB("watched", ",\"instance\":\"i-00000001\",\"launched_ms\":1767322955000");
        struct stage *stage = *state;

        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, "");
        stage_expect_sent(stage, "\"DelaySeconds\":60}]");
        assert_string_equal(watch(stage, young), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"waits\\\":1,");
        expect_machines(stage, BY_JOB, RUNNING("i-00000002", "linux", URL));
        expect_machines(stage, BY_ID, "");
        assert_string_equal(watch(stage, young), STAGE_NONE_FAILED);
}

#define OF_SPEC "Filter.1.Name=tag%3Ascale-agent%3Aspec&Filter.1.Value.1=linux"
#define BREAKERS "\"Path\":\"/p/breakers\""

/* Its machine ended, as the four that were launched after it. */
static void a_machine_that_came_to_nothing_may_stop_its_spec(void **state)
{
        struct stage *stage = *state;
        _cleanup_free_ char *machine =
                mem_string(MACHINE("terminated", "Client.InstanceInitiatedShutdown", ""));
        _cleanup_free_ char *five =
                mem_format("%s%s%s%s%s", machine, machine, machine, machine, machine);

        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, machine);
        expect_machines(stage, OF_SPEC, five);
        expect_parameter_deleted(stage);
        expect_job(stage, 200, "{\"status\":\"queued\"}");
        script_expect(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/breakers/linux\"", 200,
                "{\"Version\":1}");
        stage_expect_sent(stage, "Spec linux: launches are stopped");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
}

static void a_breaker_that_cannot_be_looked_after_keeps_no_job(void **state)
{
        struct stage *stage = *state;

        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, "");
        script_expect(stage->script, "POST", STAGE_EC2, OF_SPEC, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        expect_parameter_deleted(stage);
        expect_job(stage, 200, "{\"status\":\"queued\"}");
        stage_expect_sent(stage, "queued.fifo");
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
        assert_logged(stage, "circuit breaker could not be looked after");
}

/* Machines that run jobs show that their specs work, each its own. */
static void a_job_that_runs_lets_its_spec_go_on(void **state)
{
        static const char both[] =
                "{\"Parameters\":[{\"Name\":\"/p/breakers/linux\",\"Version\":1,\"Value\":"
                "\"{\\\"stopped_since_ms\\\":1767322000000}\"},{\"Name\":\"/p/breakers/"
                "organization\","
                "\"Version\":1,\"Value\":\"{\\\"stopped_since_ms\\\":1767322000000}\"}]}";
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SSM, BREAKERS, 200, both);
        expect_machines(stage, BY_JOB,
                "<item><instanceId>i-00000003</instanceId></item>" RUNNING("i-00000002", "linux",
                        "https://github.test/2") RUNNING("i-00000001", "organization", URL));
        script_expect(stage->script, "POST", STAGE_SSM, BREAKERS, 200, both); /* before a change */
        script_expect(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/breakers/linux\"", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        script_expect(stage->script, "POST", STAGE_SSM, BREAKERS, 200, both);
        script_expect(stage->script, "POST", STAGE_SSM, BREAKERS, 200, both);
        script_expect(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/breakers/organization\"",
                200, "{\"Version\":2}");
        stage_expect_sent(stage, "Spec organization: launches go on");
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
        assert_logged(stage, "circuit breaker stays open");
}

/* After growing pauses, the last of them an hour; people hear of it from the fifth on. */
static void each_relaunch_waits_longer(void **state)
{
        static const int seconds[] = {0, 30, 120, 300, 900, 900, 900};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
                _cleanup_free_ char *body = mem_format(
                        JOB("watched", ",\"instance\":\"i-00000001\",\"launched_ms\":1767322800000,"
                                       "\"relaunches\":%zu"),
                        i);
                _cleanup_free_ char *delay = mem_format("\"DelaySeconds\":%d}", seconds[i]);

                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, "");
                expect_parameter_deleted(stage);
                expect_job(stage, 200, "{\"status\":\"queued\"}");
                stage_expect_sent(stage, i == 0 ? "queued.fifo" : delay);
                if (i >= 4)
                        stage_expect_sent(stage, "Machines for job 1 of o/r do not run it");
                assert_string_equal(watch(stage, body), STAGE_NONE_FAILED);
        }
        assert_logged(stage, "\"reason\":\"its machine ended\",\"until\":\"2026-01-02T04:04:0");
}

/* Equal jobs swap machines: the job runs on another one, and its own may have left something. */
static void a_job_that_runs_on_another_machine_costs_no_call_to_github(void **state)
{
        static const char *const others[] = {"i-00000002", "i-00000000"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                _cleanup_free_ char *other = mem_format(
                        "<item><instanceId>%s</instanceId><tagSet>" JOB_URL(URL) "</tagSet></item>",
                        others[i]);

                expect_machines(stage, BY_JOB, other);
                expect_machines(stage, BY_ID, MACHINE("terminated", "", ""));
                expect_parameter_deleted(stage);
                assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
        }
}

/* A call for the machines that run the jobs, one for those that do not, and one message each. */
static void a_batch_shares_its_calls(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", WATCH(""), 0, NULL}, {"b", WATCH(""), 0, NULL}, {"c", WATCH(""), 0, NULL}};

        expect_machines(stage, BY_JOB, MACHINE("running", "", JOB_URL(URL)));
        assert_string_equal(stage_batch(stage, watch_handle, messages, 3), STAGE_NONE_FAILED);
        assert_int_equal(script_requests(stage->script), 1);
}

#define WATCH_OF(id)                                                                               \
        "{\"action\":\"watched\",\"id\":" id ",\"run_id\":2,\"attempt\":1,\"repository\":\"o/r\"," \
        "\"url\":\"https://github.test/" id "\",\"labels\":[\"linux\"],\"spec\":\"linux\","        \
        "\"instance_type\":\"m7i.large\",\"instance\":\"i-0000000" id "\"}"

/* What runs another job is not taken for the machine of this one. */
static void each_job_has_its_own_machine(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", WATCH(""), 0, NULL}, {"b", WATCH_OF("2"), 0, NULL}};

        expect_machines(stage, BY_JOB, RUNNING("i-00000002", "linux", "https://github.test/2"));
        expect_machines(stage, BY_ID, MACHINE("terminated", "", ""));
        expect_parameter_deleted(stage);
        expect_job(stage, 200, "{\"status\":\"queued\"}");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        assert_string_equal(stage_batch(stage, watch_handle, messages, 2), STAGE_NONE_FAILED);
}

/* So many wait to be registered, and so many in line. */
static void expect_burst(struct stage *stage, int registers, int in_line)
{
        stage_expect_count(stage, "register.fifo", 0, registers);
        stage_expect_count(stage, "paced.fifo", 0, in_line);
}

/* What another job took, or has ended, while launched jobs wait for their hand-over: one of their
 * machines is for this job. A machine that may have died is not waited for more
 * than twice. */
static void another_machine_may_still_come(void **state)
{
        static const struct {
                const char *watch;
                const char *machine;
                bool is_launched;
        } rows[] = {
                {WATCH(""), MACHINE("running", "", JOB_URL("https://github.test/2")), false},
                {WATCH(",\"watches\":9"), MACHINE("running", "", JOB_URL("https://github.test/2")),
                        false},
                {WATCH(",\"watches\":1"), MACHINE("terminated", "", ""), false},
                {WATCH(",\"watches\":2"), MACHINE("terminated", "", ""), true},
                {WATCH(",\"watches\":3"), MACHINE("terminated", "", ""), true},
                {WATCH(",\"watches\":2"),
                        MACHINE("terminated", "Client.InstanceInitiatedShutdown", ""), false},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, rows[i].machine);
                if (strstr(rows[i].machine, "terminated"))
                        expect_parameter_deleted(stage);
                expect_job(stage, 200, "{\"status\":\"queued\"}");
                if (rows[i].is_launched)
                        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
                else
                        stage_expect_count(stage, "register.fifo", 0, 1);
                assert_string_equal(watch(stage, rows[i].watch), STAGE_NONE_FAILED);
                assert_null(script_take_served(stage->script, "AttributeNames"));
        }
}

#define RUN_JOBS STAGE_GITHUB "/repos/o/r/actions/runs/2/attempts/1/jobs?per_page=100&page=1"

/* Where there is always work, somebody always waits to be registered. A job whose machine another
 * took is put off until those are registered who waited at its first look: here, 20 within as many
 * seconds, and four minutes. Asked for alone, and, by who has seen a burst, not asked for. */
static void a_burst_without_end_puts_nobody_off_for_long(void **state)
{
        static const struct {
                const char *watch;
                const char *sent;
                bool is_over;
        } rows[] = {
                {WATCH(""), "\\\"burst_ends_ms\\\":17673233050", false},
                {WATCH(",\"burst_ends_ms\":1767323990000"), "\\\"burst_ends_ms\\\":1767323990000",
                        false},
                {WATCH(",\"burst_ends_ms\":1767323040000"),
                        "\"MessageDeduplicationId\":\"1-1-1-0\"", true},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
                size_t row = i / 2;
                bool in_burst = i % 2 == 1;

                stage->scaler.burst_seen_ms = in_burst ? stage_now_ms(stage) : 0;
                expect_machines(stage, BY_JOB, "");
                expect_machines(
                        stage, BY_ID, MACHINE("running", "", JOB_URL("https://github.test/2")));
                if (in_burst)
                        expect_burst(stage, 20, 0);
                else
                        expect_job(stage, 200, "{\"status\":\"queued\"}");
                if (in_burst && rows[row].is_over)
                        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200,
                                "{\"jobs\":[{\"id\":1,\"status\":\"queued\"}]}");
                if (!in_burst && !rows[row].is_over)
                        stage_expect_count(stage, "register.fifo", 0, 20);
                stage_expect_sent(stage, rows[row].sent);
                assert_string_equal(watch(stage, rows[row].watch), STAGE_NONE_FAILED);
        }
}

/* Ten jobs of a run are due, of which the machine of the last one died. */
static void expect_ten_machines(struct stage *stage)
{
        _cleanup_buf_ struct buf machines = BUF_INIT(8192);

        for (int i = 0; i < 10; i++)
                buf_add_format(&machines,
                        "<item><instanceId>i-0000000%d</instanceId><instanceState><name>terminated"
                        "</name></instanceState><stateReason><code>%s</code></stateReason></item>",
                        i,
                        i < 9 ? "Client.InstanceInitiatedShutdown"
                              : "Server.SpotInstanceTermination");
        expect_machines(stage, "tag%3Ascale-agent%3Ajob-url", "");
        expect_machines(stage, "instance-id", buf_string(&machines));
}

static const char *watch_ten(struct stage *stage)
{
        static const char *const ids[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
        struct stage_message messages[10];
        char bodies[10][512];

        for (int i = 0; i < 10; i++) {
                snprintf(bodies[i], sizeof(bodies[i]),
                        "{\"action\":\"watched\",\"id\":%d,\"run_id\":2,\"attempt\":1,"
                        "\"repository\":\"o/r\",\"url\":\"https://github.test/%d\","
                        "\"labels\":[\"linux\"],\"spec\":\"linux\",\"instance_type\":"
                        "\"m7i.large\",\"watches\":2,\"instance\":\"i-0000000%d\"}",
                        100 + i, 100 + i, i);
                messages[i] = (struct stage_message){ids[i], bodies[i], 0, NULL};
        }
        stage->scaler.watched = (struct recent){0};
        return stage_batch(stage, watch_handle, messages, 10);
}

/* What has worked is looked at again when the burst may be over, in one message after the other; a
 * machine that died is not waited for. */
static void while_a_burst_lasts_github_is_asked_for_little(void **state)
{
        struct stage *stage = *state;

        expect_ten_machines(stage);
        expect_burst(stage, 100, 1400);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200,
                "{\"jobs\":[{\"id\":109,\"status\":\"queued\"}]}");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[", 200, "{}");
        /* 1,500 jobs take 500 s, and the last one boots. */
        stage_expect_sent(stage, "\"DelaySeconds\":560}]");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"109-1-1-0\"");
        assert_string_equal(watch_ten(stage), STAGE_NONE_FAILED);
        /* That more watches are due than one is no condition for who has seen a burst. */
        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, MACHINE("running", "", JOB_URL("https://github.test/2")));
        expect_burst(stage, 1, 0);
        stage_expect_sent(stage, "\"DelaySeconds\":60}]");
        assert_string_equal(watch(stage, WATCH("")), STAGE_NONE_FAILED);
}

/* Their messages come again. */
static void what_cannot_be_put_off_is_not_lost(void **state)
{
        struct stage *stage = *state;
        const char *answer;

        expect_ten_machines(stage);
        expect_burst(stage, 100, 1400);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200,
                "{\"jobs\":[{\"id\":109,\"status\":\"queued\"}]}");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[", 200, "{}");
        script_expect(stage->script, "POST", STAGE_SQS, "\"DelaySeconds\":560}]", 403,
                "{\"__type\":\"AccessDenied\"}");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"109-1-1-0\"");
        answer = watch_ten(stage);
        for (int i = 0; i < 9; i++) {
                _cleanup_free_ char *failed = mem_format("{\"itemIdentifier\":\"%d\"}", i);

                assert_contains(answer, failed);
        }
        assert_lacks(answer, "\"9\"");
}

/* Its message comes again, so nothing else may come of it; be it asked for or, in a burst, not. */
static void a_hand_over_that_cannot_be_deleted_keeps_its_job(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 2; i++) {
                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID,
                        MACHINE("terminated", "Client.InstanceInitiatedShutdown", ""));
                if (i == 0)
                        expect_job(stage, 200, "{\"status\":\"queued\"}");
                else
                        expect_burst(stage, 100, 1400);
                script_expect(stage->script, "POST", STAGE_SSM, "/p/runners/i-00000001", 400,
                        "{\"__type\":\"AccessDeniedException\"}");
                assert_string_equal(watch(stage, WATCH("")), STAGE_FAILED("m1"));
                stage->scaler.burst_seen_ms = stage_now_ms(stage);
        }
        assert_not_logged(stage, "relaunch");
        assert_null(script_take_served(stage->script, "sqs.test/watch"));
}

static void a_hand_over_in_s3_is_deleted_there(void **state)
{
        struct stage *stage = *state;

        setenv("HAND_OVERS", "s3://b/arn", 1);
        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, MACHINE("terminated", "", ""));
        expect_job(stage, 200, "{\"status\":\"completed\"}");
        script_expect(stage->script, "DELETE",
                "https://b.s3.eu-central-1.amazonaws.com/arn/i-00000001", NULL, 204, "");
        assert_string_equal(watch(stage, WATCH(",\"bucket\":\"b\"")), STAGE_NONE_FAILED);
}

/* Every four minutes at first. */
static void a_job_that_waits_for_long_is_looked_at_seldom(void **state)
{
        struct stage *stage = *state;

        for (int watches = 1; watches <= 2; watches++) {
                expect_machines(stage, BY_JOB, "");
                expect_machines(stage, BY_ID, MACHINE("running", "", ""));
                expect_job(stage, 200, "{\"status\":\"waiting\"}");
                stage_expect_sent(
                        stage, watches == 1 ? "\"DelaySeconds\":240}]" : "\"DelaySeconds\":900}]");
                assert_string_equal(watch(stage, watches == 1 ? WATCH(",\"watches\":2")
                                                              : WATCH(",\"watches\":3")),
                        STAGE_NONE_FAILED);
        }
}

/* One answer does for all of a run, and what has ended stays so. */
static void after_a_burst_a_call_does_for_a_run(void **state)
{
        struct stage *stage = *state;
        _cleanup_buf_ struct buf jobs = BUF_INIT(8192);

        for (int i = 0; i < 10; i++)
                buf_add_format(&jobs, "%s{\"id\":%d,\"status\":\"completed\"}",
                        i > 0 ? "," : "{\"jobs\":[", 100 + i);
        buf_add_string(&jobs, "]}");
        for (int i = 0; i < 2; i++) {
                expect_ten_machines(stage);
                expect_burst(stage, 0, 0);
                if (i == 0)
                        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, buf_string(&jobs));
                script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[", 200, "{}");
                assert_string_equal(watch_ten(stage), STAGE_NONE_FAILED);
        }
}

/* Of one run: GitHub is asked once, and again only for what that does not show. */
static void the_jobs_of_a_run_share_a_call(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", WATCH_OF("1"), 0, NULL},
                {"b", WATCH_OF("2"), 0, NULL},
                {"c", WATCH_OF("3"), 0, NULL},
        };

        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, "");
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200,
                "{\"total_count\":2,\"jobs\":[{\"id\":1,\"status\":\"queued\"},"
                "{\"id\":2,\"status\":\"completed\"}]}");
        script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/jobs/3", NULL, 200,
                "{\"status\":\"in_progress\"}");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[", 200, "{}");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        assert_string_equal(stage_batch(stage, watch_handle, messages, 3), STAGE_NONE_FAILED);
}

/* Of another attempt, repository or installation: none of these share a call. */
static void the_jobs_of_different_runs_are_asked_for_alone(void **state)
{
        static const char *const whose[] = {
                "\"run_id\":2,\"attempt\":1,\"repository\":\"o/r\"",
                "\"run_id\":3,\"attempt\":1,\"repository\":\"o/r\"",
                "\"run_id\":2,\"attempt\":2,\"repository\":\"o/r\"",
                "\"run_id\":2,\"attempt\":1,\"repository\":\"o/s\"",
                "\"run_id\":2,\"attempt\":1,\"installation\":4711,\"repository\":\"o/r\"",
        };
        struct stage *stage = *state;
        struct stage_message messages[ARRAY_SIZE(whose)];
        char *bodies[ARRAY_SIZE(whose)];

        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, "");
        for (size_t i = 0; i < ARRAY_SIZE(whose); i++) {
                _cleanup_free_ char *url = mem_format(
                        STAGE_GITHUB "/repos/o/%c/actions/jobs/%zu", i == 3 ? 's' : 'r', i + 1);

                bodies[i] = mem_format(
                        "{\"action\":\"watched\",\"id\":%zu,%s,\"url\":\"https://x/%zu\","
                        "\"labels\":[\"linux\"],\"spec\":\"linux\",\"instance_type\":"
                        "\"m7i.large\",\"instance\":\"i-0000000%zu\"}",
                        i + 1, whose[i], i + 1, i + 1);
                messages[i] = (struct stage_message){.id = "m", .body = bodies[i]};
                script_expect(stage->script, "GET", url, NULL, 200, "{\"status\":\"in_progress\"}");
        }
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[", 200, "{}");
        assert_string_equal(stage_batch(stage, watch_handle, messages, ARRAY_SIZE(messages)),
                STAGE_NONE_FAILED);
        for (size_t i = 0; i < ARRAY_SIZE(whose); i++)
                free(bodies[i]);
}

/* One that GitHub cannot show now, or does not know, is looked at again. */
static void a_run_that_is_not_shown_decides_nothing(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", WATCH_OF("1"), 0, NULL}, {"b", WATCH_OF("2"), 0, NULL}};

        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, "");
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 404, "{}");
        for (int i = 0; i < 2; i++)
                script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/jobs/", NULL,
                        404, "{}");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[", 200, "{}");
        for (int i = 0; i < 2; i++)
                stage_expect_sent(stage, "\\\"missing\\\":1,");
        assert_string_equal(stage_batch(stage, watch_handle, messages, 2), STAGE_NONE_FAILED);

        stage->scaler.watched = (struct recent){0};
        expect_machines(stage, BY_JOB, "");
        expect_machines(stage, BY_ID, "");
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 403, "{\"message\":\"no\"}");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[", 200, "{}");
        for (int i = 0; i < 2; i++)
                stage_expect_sent(stage, "sqs.test/watch");
        assert_string_equal(stage_batch(stage, watch_handle, messages, 2), STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_parked_job_is_queued_again),
                TEST(a_job_that_is_parked_for_longer_waits_on),
                TEST(what_is_neither_becomes_a_dead_letter_at_once),
                TEST(what_waits_in_line_is_left_to_admit),
                TEST(a_job_that_runs_on_its_machine_costs_one_call),
                TEST(only_a_machine_of_ours_shows_that_its_spec_works),
                TEST(a_job_that_github_says_ran_shows_that_its_spec_works),
                TEST(a_job_that_waits_no_longer_needs_nothing),
                TEST(what_is_not_known_is_watched_again),
                TEST(an_outage_makes_no_dead_letter_of_a_watch),
                TEST(a_watch_is_renewed_as_it_came),
                TEST(a_watch_that_aws_denies_becomes_a_dead_letter),
                TEST(what_github_refuses_to_tell_is_not_watched_for_ever),
                TEST(people_are_told_that_github_refuses_to_tell),
                TEST(a_machine_that_may_still_take_the_job_is_watched),
                TEST(a_machine_that_listened_in_vain_does_not_count),
                TEST(a_machine_that_hangs_in_its_boot_is_given_up),
                TEST(a_job_that_waits_without_a_machine_gets_another),
                TEST(a_machine_that_ec2_does_not_show_yet_is_kept),
                TEST(a_machine_that_came_to_nothing_may_stop_its_spec),
                TEST(a_breaker_that_cannot_be_looked_after_keeps_no_job),
                TEST(a_job_that_runs_lets_its_spec_go_on),
                TEST(each_relaunch_waits_longer),
                TEST(a_job_that_runs_on_another_machine_costs_no_call_to_github),
                TEST(a_batch_shares_its_calls),
                TEST(each_job_has_its_own_machine),
                TEST(another_machine_may_still_come),
                TEST(a_burst_without_end_puts_nobody_off_for_long),
                TEST(while_a_burst_lasts_github_is_asked_for_little),
                TEST(what_cannot_be_put_off_is_not_lost),
                TEST(a_hand_over_that_cannot_be_deleted_keeps_its_job),
                TEST(a_hand_over_in_s3_is_deleted_there),
                TEST(a_job_that_waits_for_long_is_looked_at_seldom),
                TEST(after_a_burst_a_call_does_for_a_run),
                TEST(the_jobs_of_a_run_share_a_call),
                TEST(the_jobs_of_different_runs_are_asked_for_alone),
                TEST(a_run_that_is_not_shown_decides_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
