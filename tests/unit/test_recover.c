/* SPDX-License-Identifier: MIT */

/*
 * The slow net: what each sweep ends, cleans up and has delivered again, and what it leaves alone.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "recover/sweep.h"
#include "stage.h"

#define ID "i-00000001"
#define NOW 1767323045 /* 2026-01-02T03:04:05Z */

#define TAG(key, value) "<item><key>scale-agent:" key "</key><value>" value "</value></item>"
#define TAGS TAG("installation", "4711") TAG("scope", "repos/o/r") TAG("lifetime", "28800")
#define MACHINE(id, state, launched, tags)                                                        \
        "<item><instanceId>" id "</instanceId><instanceState><name>" state                        \
        "</name></instanceState><launchTime>2026-01-0" launched ".000Z</launchTime><tagSet>" tags \
        "</tagSet></item>"
#define LIST(more)                                                          \
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>%s" \
        "</instancesSet></item></reservationSet>" more "</DescribeInstancesResponse>"

/* Forty minutes and two minutes old; from the day before. */
#define OLD "2T02:24:05"
#define YOUNG "2T03:02:05"
#define ANCIENT "1T03:00:00"

#define PROTECTED                                                                      \
        "<Response><Errors><Error><Code>OperationNotPermitted</Code></Error></Errors>" \
        "</Response>"

/* Hand-overs of ID that were stored so many seconds ago. */
static void expect_handover(struct stage *stage, int seconds)
{
        _cleanup_free_ char *answer = mem_format("{\"Parameters\":[{\"Name\":\"/p/runners/" ID
                                                 "\",\"LastModifiedDate\":%d.5}]}",
                NOW - seconds);

        script_expect(stage->script, "POST", STAGE_SSM, "\"Values\":[\"/p/runners\"]", 200,
                seconds ? answer : "{\"Parameters\":[]}");
}

#define LIVING                                                            \
        "Filter.1.Name=tag%3Ascale-agent%3Aprefix&Filter.1.Value.1=%2Fp&" \
        "Filter.2.Name=instance-state-name&Filter.2.Value.1=pending"
#define BY_ID "Filter.1.Name=instance-id&Filter.1.Value.1=" ID

static void expect_machines(struct stage *stage, const char *filter, const char *machines)
{
        _cleanup_free_ char *xml = mem_format(LIST(""), machines);

        script_expect(stage->script, "POST", STAGE_EC2, filter, 200, xml);
}

static void expect_runner(struct stage *stage, const char *status, const char *busy)
{
        _cleanup_free_ char *answer =
                mem_format("{\"runners\":[{\"id\":23,\"name\":\"" ID "\",\"status\":\"%s\","
                           "\"busy\":%s}]}",
                        status, busy);

        script_expect(stage->script, "GET",
                STAGE_GITHUB "/repos/o/r/actions/runners?per_page=100&name=" ID, NULL, 200, answer);
}

static int run(struct stage *stage, struct sweep *sweep)
{
        sweep->scaler = &stage->scaler;
        sweep_run(sweep);
        return sweep->result;
}

static void sweep_once(struct stage *stage)
{
        _cleanup_(sweep_release) struct sweep sweep = {0};

        assert_int_equal(run(stage, &sweep), 0);
}

/* -- machines -- */

static void a_machine_past_its_lifetime_ends(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        expect_handover(stage, 0);
        expect_machines(stage, LIVING,
                MACHINE("i-00000002", "running", OLD, TAGS)
                        MACHINE(ID, "running", ANCIENT, TAGS TAG("job-url", "https://job")));
        script_expect(stage->script, "POST", STAGE_EC2,
                "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=" ID, 200,
                "<TerminateInstancesResponse/>");
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.ended, 1);
        assert_int_equal(sweep.machines, 2);
        assert_not_sent(stage, "InstanceId.2");
        assert_logged(
                stage, "\"action\":\"terminate\",\"subject\":\"" ID "\",\"reason\":\"it is past");
}

/* One that hangs as well ends once, and its runner is not looked for. */
static void a_machine_past_its_lifetime_ends_once(void **state)
{
        static const char *const tags[] = {
                MACHINE(ID, "running", ANCIENT, TAGS),
                MACHINE(ID, "running", ANCIENT, TAGS TAG("hangs-since", "1767322005")),
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};

                expect_handover(stage, 1800);
                expect_machines(stage, LIVING, tags[i]);
                script_expect(stage->script, "POST", STAGE_EC2, "Action=TerminateInstances", 200,
                        "<TerminateInstancesResponse/>");
                assert_int_equal(run(stage, &sweep), 0);
                assert_int_equal(sweep.ended, 1);
                assert_not_sent(stage, "InstanceId.2");
        }
}

/* Eight hours, of the tag; without one, or before EC2 tells when it was launched, never. */
static void a_machine_ends_no_sooner(void **state)
{
        static const char *const machines[] = {
                MACHINE(ID, "running", "1T19:04:25", TAGS),
                MACHINE(ID, "running", ANCIENT, TAG("lifetime", "0")),
                MACHINE(ID, "running", ANCIENT, ""),
                "<item><instanceId>" ID "</instanceId><tagSet>" TAGS "</tagSet></item>",
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
                expect_handover(stage, i == 3 ? 1800 : 0);
                expect_machines(stage, LIVING, machines[i]);
                sweep_once(stage);
        }
        expect_handover(stage, 0);
        expect_machines(stage, LIVING, MACHINE(ID, "running", "1T19:04:00", TAGS));
        script_expect(stage->script, "POST", STAGE_EC2, "Action=TerminateInstances", 200,
                "<TerminateInstancesResponse/>");
        sweep_once(stage);
}

/* EC2 then terminates none in its zone. */
static void a_machine_that_a_person_protects_does_not_save_the_others(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        expect_handover(stage, 0);
        expect_machines(stage, LIVING,
                MACHINE("i-00000002", "running", ANCIENT, TAGS)
                        MACHINE(ID, "running", ANCIENT, TAGS));
        script_expect(stage->script, "POST", STAGE_EC2, "InstanceId.2=", 400, PROTECTED);
        script_expect(stage->script, "POST", STAGE_EC2, "InstanceId.1=i-00000002", 400, PROTECTED);
        script_expect(stage->script, "POST", STAGE_EC2, "InstanceId.1=" ID, 200,
                "<TerminateInstancesResponse/>");
        assert_true(run(stage, &sweep) < 0);
        assert_contains(sweep.err.text, "OperationNotPermitted");
}

static void machines_are_listed_page_by_page(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};
        _cleanup_free_ char *first = mem_format(
                LIST("<nextToken>more+</nextToken>"), MACHINE("i-00000002", "running", OLD, TAGS));

        expect_handover(stage, 0);
        script_expect(stage->script, "POST", STAGE_EC2, "MaxResults=400", 200, first);
        expect_machines(stage, "NextToken=more%2B", MACHINE(ID, "running", OLD, TAGS));
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.machines, 2);
}

#define TAGGED "<CreateTagsResponse><return>true</return></CreateTagsResponse>"

/* The machine's tag says that its runner is about to be deregistered. */
static void expect_announced(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_EC2,
                "ResourceId.1=" ID "&Tag.1.Key=scale-agent%3Ahangs-since&Tag.1.Value=0", 200,
                TAGGED);
}

static void expect_marked(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_EC2,
                "ResourceId.1=" ID "&Tag.1.Key=scale-agent%3Ahangs-since&Tag.1.Value=1767323045",
                200, TAGGED);
}

/* Its runner works, or may. */
static void expect_withdrawn(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_EC2,
                "ResourceId.1=" ID "&Tag.1.Key=scale-agent%3Ahangs-since&Tag.1.Value=-1", 200,
                TAGGED);
}

/* A machine whose runner is offline: that it will be deregistered is announced. */
static void expect_hanging(struct stage *stage)
{
        expect_handover(stage, 1800);
        expect_machines(stage, LIVING, MACHINE(ID, "running", OLD, TAGS));
        expect_runner(stage, "offline", "false");
        expect_announced(stage);
}

/* One sweep deregisters its runner and marks it, and a later one ends it. */
static void a_machine_that_hangs_ends_in_two_sweeps(void **state)
{
        struct stage *stage = *state;

        expect_hanging(stage);
        expect_runner(stage, "offline", "false");
        script_expect(stage->script, "DELETE", STAGE_GITHUB "/repos/o/r/actions/runners/23", NULL,
                204, "");
        expect_marked(stage);
        sweep_once(stage);

        expect_handover(stage, 1800);
        expect_machines(
                stage, LIVING, MACHINE(ID, "running", OLD, TAGS TAG("hangs-since", "1767322900")));
        script_expect(stage->script, "POST", STAGE_EC2, "Action=TerminateInstances", 200,
                "<TerminateInstancesResponse/>");
        sweep_once(stage);
        assert_logged(stage, "\"action\":\"deregister\",\"subject\":\"" ID "\"");
        assert_logged(
                stage, "\"action\":\"terminate\",\"subject\":\"" ID "\",\"reason\":\"it hangs");
}

/* It came online while the tag was written: nobody deletes its registration. */
static void a_machine_that_comes_to_life_meanwhile_is_left_alone(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        expect_hanging(stage);
        expect_runner(stage, "online", "false");
        expect_withdrawn(stage);
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.marked, 0);
}

/* Or it took a job at once, and GitHub forgot its registration: this sweep has not deleted it. */
static void a_runner_that_vanishes_meanwhile_may_work(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        expect_hanging(stage);
        script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/runners?", NULL, 200,
                "{\"runners\":[]}");
        expect_withdrawn(stage);
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.marked, 0);
}

#define HANGING MACHINE(ID, "running", OLD, TAGS)
#define EC2_DENIES \
        "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>"

/* What fails of it fails the sweep, and the machine stays as it is. */
static void a_machine_that_hangs_is_left_to_the_next_sweep(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 4; i++) {
                static const unsigned calls[] = {3, 6, 7, 4};
                _cleanup_(sweep_release) struct sweep sweep = {0};

                expect_handover(stage, 1800);
                expect_machines(stage, LIVING, HANGING);
                if (i == 0)
                        script_expect(stage->script, "GET", STAGE_GITHUB, NULL, 403,
                                "{\"message\":\"Resource not accessible\"}");
                else
                        expect_runner(stage, "offline", "false");
                if (i == 1 || i == 2) {
                        expect_announced(stage);
                        expect_runner(stage, "offline", "false");
                        script_expect(stage->script, "DELETE", STAGE_GITHUB, NULL,
                                i == 1 ? 403 : 204, "{\"message\":\"no\"}");
                }
                if (i >= 2)
                        script_expect(
                                stage->script, "POST", STAGE_EC2, "hangs-since", 403, EC2_DENIES);
                assert_true(run(stage, &sweep) < 0);
                assert_int_equal(sweep.failed, 1);
                assert_int_equal(sweep.marked, i == 2);
                assert_int_equal(sweep.ended, 0);
                assert_int_equal(sweep.calls, calls[i]);
        }
}

/* A machine of before may have no such tag. */
static void a_machine_without_a_scope_has_no_runner_to_look_for(void **state)
{
        struct stage *stage = *state;

        expect_handover(stage, 1800);
        expect_machines(stage, LIVING, MACHINE(ID, "running", OLD, TAG("installation", "4711")));
        sweep_once(stage);
}

/* The deregistration was ninety seconds ago, or not quite. */
static void a_job_has_its_time_to_show_up(void **state)
{
        struct stage *stage = *state;

        expect_handover(stage, 1800);
        expect_machines(
                stage, LIVING, MACHINE(ID, "running", OLD, TAGS TAG("hangs-since", "1767322960")));
        sweep_once(stage);
        expect_handover(stage, 1800);
        expect_machines(
                stage, LIVING, MACHINE(ID, "running", OLD, TAGS TAG("hangs-since", "1767322954")));
        script_expect(stage->script, "POST", STAGE_EC2, "Action=TerminateInstances", 200,
                "<TerminateInstancesResponse/>");
        sweep_once(stage);
}

#define MANY 52

/* The rest is of the next sweep. */
static void so_many_machines_are_looked_at_in_a_sweep(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {.is_dry = true};
        _cleanup_buf_ struct buf machines = BUF_INIT(64UL * 1024);
        _cleanup_buf_ struct buf handovers = BUF_INIT(64UL * 1024);
        /* The sweep's number, by which they begin. */
        int first = (NOW / 600) % MANY * 50 % MANY;
        _cleanup_free_ char *xml = NULL;

        for (int i = 10; i < 10 + MANY; i++) {
                buf_add_format(&machines, MACHINE("i-000000%d", "running", OLD, TAGS), i);
                buf_add_format(&handovers,
                        "%s{\"Name\":\"/p/runners/i-000000%d\","
                        "\"LastModifiedDate\":1767321000}",
                        i > 10 ? "," : "{\"Parameters\":[", i);
        }
        buf_add_string(&handovers, "]}");
        xml = mem_format(LIST(""), buf_string(&machines));
        script_expect(stage->script, "POST", STAGE_SSM, "\"Values\":[\"/p/runners\"]", 200,
                buf_string(&handovers));
        script_expect(stage->script, "POST", STAGE_EC2, LIVING, 200, xml);
        for (int i = 0; i < 50; i++) {
                int id = 10 + (first + i) % MANY;
                _cleanup_free_ char *answer =
                        mem_format("{\"runners\":[{\"id\":23,\"name\":\"i-000000%d\",\"status\":"
                                   "\"offline\",\"busy\":false}]}",
                                id);
                _cleanup_free_ char *url = mem_format("name=i-000000%d", id);

                script_expect(stage->script, "GET", url, NULL, 200, answer);
        }
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.marked, 50);
        assert_int_equal(sweep.left, 2);
}

static void a_machine_that_may_work_is_left_alone(void **state)
{
        static const char *const machines[] = {
                MACHINE(ID, "running", OLD, TAGS TAG("job-url", "https://job")),
                MACHINE(ID, "running", YOUNG, TAGS),
                MACHINE(ID, "running", OLD, TAGS TAG("hangs-since", "1767323005")),
                MACHINE(ID, "running", OLD,
                        TAGS TAG("hangs-since", "1767322005") TAG("job-url", "https://job")),
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
                expect_handover(stage, 1800);
                expect_machines(stage, LIVING, machines[i]);
                sweep_once(stage);
        }
        /* Its hand-over came late: it has not had its time. */
        expect_handover(stage, 600);
        expect_machines(stage, LIVING, MACHINE(ID, "running", OLD, TAGS));
        sweep_once(stage);
        /* It has taken its hand-over away. */
        expect_handover(stage, 0);
        expect_machines(stage, LIVING, MACHINE(ID, "running", OLD, TAGS));
        sweep_once(stage);
}

static void a_runner_that_may_work_keeps_its_machine(void **state)
{
        static const char *const states[][2] = {
                {"online", "false"}, {"offline", "true"}, {"online", "true"}};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                expect_handover(stage, 1800);
                expect_machines(stage, LIVING, MACHINE(ID, "running", OLD, TAGS));
                expect_runner(stage, states[i][0], states[i][1]);
                sweep_once(stage);
        }
        /* GitHub does not know it: a job may have consumed its registration. */
        expect_handover(stage, 1800);
        expect_machines(stage, LIVING, MACHINE(ID, "running", OLD, TAGS));
        script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/runners?", NULL, 200,
                "{\"runners\":[]}");
        sweep_once(stage);
        /* It took a job a moment ago. */
        expect_hanging(stage);
        expect_runner(stage, "offline", "false");
        script_expect(stage->script, "DELETE", STAGE_GITHUB "/repos/o/r/actions/runners/23", NULL,
                422, "{}");
        expect_withdrawn(stage);
        sweep_once(stage);
        /* And later GitHub does not know it any more. */
        expect_handover(stage, 1800);
        expect_machines(stage, LIVING, MACHINE(ID, "running", OLD, TAGS TAG("hangs-since", "-1")));
        sweep_once(stage);
}

/* A sweep was killed before it could mark the machine: the next one goes on from there. */
static void what_a_killed_sweep_began_is_done(void **state)
{
        static const char *const begun = MACHINE(ID, "running", OLD, TAGS TAG("hangs-since", "0"));
        struct stage *stage = *state;

        expect_handover(stage, 1800);
        expect_machines(stage, LIVING, begun);
        expect_runner(stage, "offline", "false");
        script_expect(stage->script, "DELETE", STAGE_GITHUB "/repos/o/r/actions/runners/23", NULL,
                204, "");
        expect_marked(stage);
        sweep_once(stage);

        expect_handover(stage, 1800);
        expect_machines(stage, LIVING, begun);
        script_expect(stage->script, "GET", STAGE_GITHUB "/repos/o/r/actions/runners?", NULL, 200,
                "{\"runners\":[]}");
        expect_marked(stage);
        sweep_once(stage);

        /* It has come, and may work, also where that cannot be noted. */
        for (int i = 0; i < 3; i++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};

                expect_handover(stage, 1800);
                expect_machines(stage, LIVING, begun);
                expect_runner(stage, i > 0 ? "online" : "offline", i > 0 ? "false" : "true");
                if (i < 2)
                        expect_withdrawn(stage);
                else
                        script_expect(
                                stage->script, "POST", STAGE_EC2, "hangs-since", 403, EC2_DENIES);
                assert_int_equal(run(stage, &sweep) < 0, i == 2);
                assert_int_equal(sweep.marked, 0);
        }
}

/* -- hand-overs -- */

static void what_a_machine_left_that_is_gone_is_cleaned_up(void **state)
{
        static const char *const machines[] = {"", MACHINE(ID, "terminated", OLD, TAGS)};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};

                expect_handover(stage, 1000);
                expect_machines(stage, LIVING, "");
                expect_machines(stage, BY_ID, machines[i]);
                script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/runners/" ID, 200,
                        "{\"Parameters\":[{\"Name\":\"/p/runners/" ID "\","
                        "\"Value\":\"{\\\"version\\\":1,\\\"jit_config\\\":\\\"aGk=\\\","
                        "\\\"prefix\\\":\\\"/p\\\",\\\"spec\\\":\\\"linux\\\","
                        "\\\"runner_id\\\":23,\\\"scope\\\":\\\"repos/o/r\\\","
                        "\\\"job\\\":{\\\"id\\\":1,\\\"run_id\\\":2,\\\"attempt\\\":1,"
                        "\\\"repository\\\":\\\"o/"
                        "r\\\",\\\"instance_type\\\":\\\"m7i.large\\\"}}\"}]}");
                script_expect(stage->script, "DELETE", STAGE_GITHUB "/repos/o/r/actions/runners/23",
                        NULL, 204, "");
                stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
                stage_expect_sent(stage, "sqs.test/notify");
                script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/runners/" ID, 200,
                        "{\"DeletedParameters\":[\"/p/runners/" ID "\"]}");
                assert_int_equal(run(stage, &sweep), 0);
                assert_int_equal(sweep.abandoned, 1);
                assert_logged(stage, "\"action\":\"clean up\",\"subject\":\"" ID "\"");
        }
}

/* EC2 does not say what became of the machine: nothing is done. */
static void without_ec2_s_answer_nothing_is_cleaned_up(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        expect_handover(stage, 1000);
        expect_machines(stage, LIVING, "");
        script_expect(stage->script, "POST", STAGE_EC2, BY_ID, 403, EC2_DENIES);
        assert_true(run(stage, &sweep) < 0);
        assert_int_equal(sweep.failed, 1);
        assert_int_equal(sweep.abandoned, 0);
}

/* What was cleaned up and failed is counted, and told. */
static void a_clean_up_that_fails_fails_the_sweep(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        expect_handover(stage, 1000);
        expect_machines(stage, LIVING, "");
        expect_machines(stage, BY_ID, "");
        script_expect(stage->script, "POST", STAGE_SSM, "{\"Names\":[\"/p/runners/" ID, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_true(run(stage, &sweep) < 0);
        assert_int_equal(sweep.failed, 1);
        assert_int_equal(sweep.abandoned, 1);
}

/* DescribeInstances takes a hundred ids. */
static void so_many_hand_overs_are_looked_at_in_a_sweep(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {.is_dry = true};
        _cleanup_buf_ struct buf handovers = BUF_INIT(64UL * 1024);

        for (int i = 100; i < 201; i++)
                buf_add_format(&handovers,
                        "%s{\"Name\":\"/p/runners/i-00000%d\","
                        "\"LastModifiedDate\":1767321000}",
                        i > 100 ? "," : "{\"Parameters\":[", i);
        buf_add_string(&handovers, "]}");
        script_expect(stage->script, "POST", STAGE_SSM, "\"Values\":[\"/p/runners\"]", 200,
                buf_string(&handovers));
        expect_machines(stage, LIVING, "");
        expect_machines(stage, "Filter.1.Value.100=", "");
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.abandoned, 100);
        assert_int_equal(sweep.left, 1);
}

/* Whatever the configuration says now: EC2 has forgotten which store the machine had. */
static void what_is_left_in_s3_is_cleaned_up(void **state)
{
        static const char object[] = "https://b.s3.eu-central-1.amazonaws.com/arn/" ID;
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        setenv("HAND_OVERS", "s3://b/arn", 1);
        expect_handover(stage, 0);
        script_expect(stage->script, "GET",
                "https://b.s3.eu-central-1.amazonaws.com/?list-type=2&prefix=arn", NULL, 200,
                "<ListBucketResult><Contents><Key>arn/" ID "</Key><LastModified>"
                "2026-01-02T01:00:00.000Z</LastModified></Contents></ListBucketResult>");
        expect_machines(stage, LIVING, "");
        expect_machines(stage, BY_ID, "");
        script_expect(stage->script, "GET", object, NULL, 200,
                "{\"version\":1,\"jit_config\":\"aGk=\",\"prefix\":\"/p\",\"spec\":\"linux\","
                "\"runner_id\":23,\"scope\":\"repos/o/r\",\"job\":{\"id\":1,\"run_id\":2,"
                "\"attempt\":1,\"repository\":\"o/r\",\"instance_type\":\"m7i.large\"}}");
        script_expect(stage->script, "DELETE", STAGE_GITHUB "/repos/o/r/actions/runners/23", NULL,
                204, "");
        stage_expect_sent(stage, "\"MessageDeduplicationId\":\"1-1-1-0\"");
        stage_expect_sent(stage, "sqs.test/notify");
        script_expect(stage->script, "DELETE", object, NULL, 204, "");
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.abandoned, 1);
}

/* SSM gives empty pages where an account has many other parameters. */
static void hand_overs_are_found_behind_empty_pages(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {.is_dry = true};

        for (int i = 0; i < 30; i++)
                script_expect(stage->script, "POST", STAGE_SSM, "\"Values\":[\"/p/runners\"]", 200,
                        "{\"Parameters\":[],\"NextToken\":\"more\"}");
        expect_handover(stage, 1000);
        expect_machines(stage, LIVING, "");
        expect_machines(stage, BY_ID, "");
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.abandoned, 1);
        assert_int_equal(sweep.left, 0);
}

/* The account may have a million other parameters. */
static void so_many_pages_of_hand_overs_are_read(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {.is_dry = true};

        script_serve(stage->script, "POST", STAGE_SSM, "\"Values\":[\"/p/runners\"]", 200,
                "{\"Parameters\":[],\"NextToken\":\"more\"}");
        expect_machines(stage, LIVING, "");
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.calls, 200 + 1);
        assert_int_equal(sweep.left, 1);
}

/* What is on the next page would pass for gone. */
static void with_too_many_machines_nothing_is_cleaned_up(void **state)
{
        _cleanup_free_ char *page = mem_format(LIST("<nextToken>more</nextToken>"), "");
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        expect_handover(stage, 1000);
        script_serve(stage->script, "POST", STAGE_EC2, LIVING, 200, page);
        assert_int_equal(run(stage, &sweep), -E2BIG);
        assert_contains(sweep.err.text, "more than 20 pages of machines");
        assert_int_equal(sweep.calls, 1 + 20);
        assert_int_equal(sweep.abandoned, 0);
}

static void expect_terminated(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_EC2,
                "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=" ID, 200,
                "<TerminateInstancesResponse/>");
}

/* What is not known of others keeps no machine that is past its lifetime. */
static void a_machine_past_its_lifetime_ends_whatever_else_fails(void **state)
{
        static const char *const machines = MACHINE(ID, "running", ANCIENT, TAGS);
        _cleanup_free_ char *page = mem_format(LIST("<nextToken>more</nextToken>"), machines);
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep of_many = {0};
        _cleanup_(sweep_release) struct sweep without_ssm = {0};
        _cleanup_(sweep_release) struct sweep without_ec2 = {0};

        expect_handover(stage, 1000);
        for (int i = 0; i < 20; i++)
                script_expect(stage->script, "POST", STAGE_EC2, LIVING, 200, page);
        expect_terminated(stage);
        assert_int_equal(run(stage, &of_many), -E2BIG);

        script_expect(stage->script, "POST", STAGE_SSM, "/p/runners", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        expect_machines(stage, LIVING, machines);
        expect_terminated(stage);
        assert_int_equal(run(stage, &without_ssm), -EACCES);

        expect_handover(stage, 1000);
        script_expect(stage->script, "POST", STAGE_EC2, LIVING, 200, page);
        script_expect(stage->script, "POST", STAGE_EC2, "NextToken=more", 403, EC2_DENIES);
        expect_terminated(stage);
        assert_int_equal(run(stage, &without_ec2), -EACCES);
}

/* Lambda would end the function between two calls. */
static void nothing_is_begun_in_the_last_seconds(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        scaler_begin_event(&stage->scaler, NOW * MSEC_PER_SEC + 20000);
        expect_handover(stage, 1000);
        script_latency(stage->script, 10000);
        expect_machines(stage, LIVING, "");
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.abandoned, 0);
        assert_true(sweep.left > 0);
}

/* The first hundred may fail each time. */
static void hand_overs_take_turns(void **state)
{
        _cleanup_buf_ struct buf list = BUF_INIT(64UL * 1024);
        struct stage *stage = *state;

        for (int i = 0; i < 150; i++)
                buf_add_format(&list,
                        "%s{\"Name\":\"/p/runners/i-%08x\",\"LastModifiedDate\":1767320000}",
                        i > 0 ? "," : "{\"Parameters\":[", i);
        buf_add_string(&list, "]}");
        for (int i = 0; i < 2; i++) {
                _cleanup_(sweep_release) struct sweep sweep = {.is_dry = true};
                /* The sweep's number, by which the hundred begin. */
                int first = (NOW / 600 + 7 * i) % 150 * 100 % 150;
                _cleanup_free_ char *filter =
                        mem_format("Filter.1.Name=instance-id&Filter.1.Value.1=i-%08x&", first);

                script_expect(
                        stage->script, "POST", STAGE_SSM, "\"/p/runners\"", 200, buf_string(&list));
                expect_machines(stage, LIVING, "");
                expect_machines(stage, filter, "");
                assert_int_equal(run(stage, &sweep), 0);
                assert_int_equal(sweep.abandoned, 100);
                assert_int_equal(sweep.left, 50);
                script_sleep(stage->script, 70 * 60 * MSEC_PER_SEC);
        }
}

static void a_hand_over_that_may_be_used_stays(void **state)
{
        struct stage *stage = *state;

        expect_handover(stage, 800); /* EC2 may not show its machine yet */
        expect_machines(stage, LIVING, "");
        sweep_once(stage);
        expect_handover(stage, 1000);
        expect_machines(stage, LIVING, MACHINE(ID, "running", YOUNG, TAGS));
        sweep_once(stage);
        expect_handover(stage, 1000); /* EC2 tells of its end soon */
        expect_machines(stage, LIVING, "");
        expect_machines(stage, BY_ID, MACHINE(ID, "shutting-down", OLD, TAGS));
        sweep_once(stage);
}

/* -- deliveries -- */

/* An attempt, so many seconds ago. */
static char *attempt(int id, const char *guid, int status, int seconds)
{
        char time[CLOCK_TEXT_SIZE];

        return mem_format("{\"id\":%d,\"guid\":\"%s\",\"event\":\"workflow_job\","
                          "\"action\":\"queued\",\"status\":\"x\",\"status_code\":%d,"
                          "\"delivered_at\":\"%s\"}",
                id, guid, status, clock_format((int64_t)(NOW - seconds) * MSEC_PER_SEC, time));
}

struct attempts {
        int id;
        const char *guid;
        int status;
        int seconds;
};

#define DELIVERIES STAGE_GITHUB "/app/hook/deliveries?per_page=100"

static void expect_deliveries(struct stage *stage, const char *url, const char *headers,
        const struct attempts *attempts, size_t n)
{
        _cleanup_buf_ struct buf list = BUF_INIT(64UL * 1024);

        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *one = attempt(
                        attempts[i].id, attempts[i].guid, attempts[i].status, attempts[i].seconds);

                buf_add_format(&list, "%s%s", i > 0 ? "," : "[", one);
        }
        buf_add_string(&list, n > 0 ? "]" : "[]");
        script_expect_headers(stage->script, "GET", url, NULL, 200, headers, buf_string(&list));
}

static void expect_redelivered(struct stage *stage, int id)
{
        _cleanup_free_ char *url = mem_format(STAGE_GITHUB "/app/hook/deliveries/%d/attempts", id);

        script_expect(stage->script, "POST", url, NULL, 202, "{}");
}

static void expect_nothing_else(struct stage *stage)
{
        expect_handover(stage, 0);
        expect_machines(stage, LIVING, "");
}

static void what_got_no_answer_is_delivered_again(void **state)
{
        static const struct attempts attempts[] = {
                {9, "late", 0, 30},    /* GitHub may be at it */
                {8, "good", 200, 100}, /* now it has arrived */
                {7, "down", 503, 300}, /* its third attempt */
                {6, "lost", 0, 400},
                {5, "good", 503, 500},
                {4, "refused", 422, 600},
                {3, "down", 503, 700}, /* 200 s after the first: 300 s are long enough */
                {2, "down", 503, 800},
                {1, "slow", 503, 900},
        };
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        stage_become_app(stage);
        expect_deliveries(stage, DELIVERIES, "", attempts, ARRAY_SIZE(attempts));
        expect_redelivered(stage, 1);
        expect_redelivered(stage, 6);
        expect_nothing_else(stage);
        assert_int_equal(run(stage, &sweep), 0);
        assert_logged(stage, "\"action\":\"redeliver\",\"subject\":\"lost\",\"reason\":\"workflow_"
                             "job queued: x\"");
        /* The oldest first: those of one job come in their order. */
        assert_true(strstr(stage_log(stage), "\"subject\":\"slow\"") <
                    strstr(stage->log, "\"subject\":\"lost\""));
        /* "down" waits as long as its attempts have lasted: 500 s. */
        assert_int_equal(sweep.redelivered, 2);
        assert_int_equal(sweep.deliveries, ARRAY_SIZE(attempts));
}

/* Lambda answers with 429 when it has no place for the function; who waits for too long, with 408.
 */
static void what_never_reached_us_is_delivered_again(void **state)
{
        static const struct attempts attempts[] = {{2, "full", 429, 100}, {1, "slow", 408, 200}};
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_deliveries(stage, DELIVERIES, "", attempts, ARRAY_SIZE(attempts));
        expect_redelivered(stage, 1);
        expect_redelivered(stage, 2);
        expect_nothing_else(stage);
        sweep_once(stage);
}

/* A longer one would take the event out of the time that is read. */
static void a_pause_is_a_quarter_of_an_hour_at_most(void **state)
{
        struct attempts attempts[14];
        struct stage *stage = *state;

        for (int i = 0; i < 14; i++)
                attempts[i] = (struct attempts){14 - i, "down", 503, 900 + 1200 * i};
        stage_become_app(stage);
        expect_deliveries(stage, DELIVERIES, "", attempts, ARRAY_SIZE(attempts));
        expect_redelivered(stage, 14);
        expect_nothing_else(stage);
        sweep_once(stage);
}

#define NEXT(cursor)                                                                    \
        "Link: <" STAGE_GITHUB "/app/hook/deliveries?per_page=100&cursor=" cursor ">; " \
        "rel=\"next\", <" STAGE_GITHUB "/app/hook/deliveries?cursor=v1_0>; rel=\"prev\"\r\n"

/* A minute after the last attempt at the earliest, and 72 attempts at most. */
static void a_delivery_is_tried_so_often(void **state)
{
        static const struct {
                struct attempts newest;
                int n; /* attempts, a second apart */
                bool is_due;
        } rows[] = {
                {{105, "a", 500, 50}, 1, false},
                {{105, "a", 500, 61}, 1, true},
                {{105, "a", 399, 61}, 1, true}, /* no answer of ours */
                {{105, "a", 500, 100}, 71, true},
                {{105, "a", 500, 100}, 72, false},
        };
        struct stage *stage = *state;

        stage_become_app(stage);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct attempts attempts[72];

                for (int j = 0; j < rows[i].n; j++) {
                        attempts[j] = rows[i].newest;
                        attempts[j].id -= j;
                        attempts[j].seconds += j;
                }
                expect_deliveries(stage, DELIVERIES, "", attempts, (size_t)rows[i].n);
                if (rows[i].is_due)
                        expect_redelivered(stage, 105);
                expect_nothing_else(stage);
                sweep_once(stage);
        }
}

#define FAILED 102

/* FAILED webhooks, of which GitHub refuses to deliver that with id 950; the newest one is left. */
static void expect_so_many(struct stage *stage)
{
        struct attempts attempts[FAILED];
        char guids[FAILED][8];

        for (int i = 0; i < FAILED; i++) {
                snprintf(guids[i], sizeof(guids[i]), "g%d", i);
                attempts[i] = (struct attempts){1000 - i, guids[i], 502, 100 + i};
                if (i == 50)
                        script_expect(stage->script, "POST",
                                STAGE_GITHUB "/app/hook/deliveries/950/attempts", NULL, 422,
                                "{\"message\":\"no\"}");
                else if (i > 0)
                        expect_redelivered(stage, 1000 - i);
        }
        expect_deliveries(stage, DELIVERIES, "", attempts, FAILED);
}

/* The rest is of the next sweep, as is what GitHub refuses now: that takes no other's place. */
static void so_much_is_delivered_again_in_a_sweep(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        stage_become_app(stage);
        expect_so_many(stage);
        expect_nothing_else(stage);
        assert_true(run(stage, &sweep) < 0);
        assert_int_equal(sweep.redelivered, 100);
        assert_int_equal(sweep.left, 1);
        assert_int_equal(sweep.failed, 1);
}

/* Too many calls were made: others would be refused as well. */
static void a_limit_ends_the_redeliveries(void **state)
{
        static const struct attempts attempts[] = {{3, "c", 0, 300}, {2, "b", 0, 400}};
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        stage_become_app(stage);
        expect_deliveries(stage, DELIVERIES, "", attempts, 2);
        script_expect(stage->script, "POST", STAGE_GITHUB "/app/hook/deliveries/2/attempts", NULL,
                429, "{\"message\":\"slow down\"}");
        expect_nothing_else(stage);
        assert_true(run(stage, &sweep) < 0);
        assert_int_equal(sweep.redelivered, 0);
        assert_int_equal(sweep.left, 1);
}

/* GitHub tells the App of its installation as well. */
static void only_jobs_are_delivered_again(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        script_expect(stage->script, "GET", DELIVERIES, NULL, 200,
                "[{\"id\":3,\"guid\":\"a\",\"event\":\"ping\",\"status\":\"x\",\"status_code\":500,"
                "\"delivered_at\":\"2026-01-02T03:00:00Z\"}]");
        expect_nothing_else(stage);
        sweep_once(stage);
}

/* Page I of deliveries, of which there are more. */
static void expect_page(struct stage *stage, int i, int status)
{
        _cleanup_free_ char *url =
                i == 0 ? mem_string(DELIVERIES) : mem_format(DELIVERIES "&cursor=v1_%d", i);
        _cleanup_free_ char *next = mem_format(NEXT("v1_%d"), i + 1);
        _cleanup_free_ char *guid = mem_format("guid-%d", i);
        const struct attempts one = {1000 + i, guid, status, 60 + i};

        expect_deliveries(stage, url, next, &one, 1);
}

/* However many fail: a hundred pages, and the answer says that there are more. */
static void so_many_deliveries_are_read_in_a_sweep(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        stage_become_app(stage);
        for (int i = 0; i < 100; i++)
                expect_page(stage, i, i == 99 ? 503 : 200);
        expect_redelivered(stage, 1099);
        expect_nothing_else(stage);
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.deliveries, 100);
        assert_int_equal(sweep.left, 1);
}

/* GitHub needs long for each call: a third of the time is for reading, one for redelivering, and
 * machines get theirs. */
static void deliveries_leave_time_for_machines(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        stage_become_app(stage);
        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 120000);
        for (int i = 0; i < 5; i++) {
                expect_page(stage, i, 503);
                script_latency(stage->script, 8100);
        }
        for (int i = 4; i > 0; i--) { /* the oldest first */
                expect_redelivered(stage, 1000 + i);
                script_latency(stage->script, 9900);
        }
        expect_handover(stage, 1800);
        expect_machines(stage, LIVING, MACHINE(ID, "running", OLD, TAGS));
        script_expect(stage->script, "POST", "/app/installations/4711/access_tokens", NULL, 201,
                "{\"token\":\"t\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
        expect_runner(stage, "offline", "false");
        expect_announced(stage);
        expect_runner(stage, "offline", "false");
        script_expect(stage->script, "DELETE", STAGE_GITHUB "/repos/o/r/actions/runners/23", NULL,
                204, "");
        script_expect(
                stage->script, "POST", STAGE_EC2, "Key=scale-agent%3Ahangs-since", 200, TAGGED);
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.redelivered, 4);
        assert_int_equal(sweep.marked, 1);
        assert_int_equal(sweep.left, 2);
}

/* The list is read until half an hour of it has no failure. */
static void deliveries_are_read_back_until_all_is_quiet(void **state)
{
        static const struct attempts first[] = {{4, "a", 200, 60}, {3, "b", 200, 1700}};
        static const struct attempts second[] = {{2, "c", 503, 1750}, {1, "d", 200, 3500}};
        static const struct attempts third[] = {{7, "e", 200, 3600}};
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_deliveries(stage, DELIVERIES, NEXT("v1_2"), first, 2);
        expect_deliveries(stage, DELIVERIES "&cursor=v1_2", NEXT("v1_4"), second, 2);
        expect_deliveries(stage, DELIVERIES "&cursor=v1_4", NEXT("v1_5"), third, 1);
        expect_redelivered(stage, 2);
        expect_nothing_else(stage);
        sweep_once(stage);
        expect_deliveries(stage, DELIVERIES, NEXT("v1_2"), third, 1);
        expect_nothing_else(stage);
        sweep_once(stage);
}

/* Where sweeps are rare, half an hour is less than what one may have missed. */
static void deliveries_are_read_back_for_three_sweeps(void **state)
{
        static const struct attempts first[] = {{2, "a", 200, 60}, {1, "b", 200, 10700}};
        static const struct attempts second[] = {{3, "c", 503, 10750}, {4, "d", 200, 30000}};
        struct stage *stage = *state;

        stage_become_app(stage);
        setenv("RECOVER_MINUTES", "60", 1);
        expect_deliveries(stage, DELIVERIES, NEXT("v1_2"), first, 2);
        expect_deliveries(stage, DELIVERIES "&cursor=v1_2", NEXT("v1_4"), second, 2);
        expect_redelivered(stage, 3);
        expect_nothing_else(stage);
        sweep_once(stage);
        unsetenv("RECOVER_MINUTES");
}

static void by_hand_days_are_read(void **state)
{
        static const struct attempts first[] = {{4, "a", 200, 60}, {3, "b", 200, 7200}};
        static const struct attempts second[] = {{2, "c", 0, 86000}};
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {
                .deliveries_ms = 86000 * MSEC_PER_SEC,
        };

        stage_become_app(stage);
        expect_deliveries(stage, DELIVERIES, NEXT("v1_2"), first, 2);
        expect_deliveries(stage, DELIVERIES "&cursor=v1_2", NEXT("v1_3"), second, 1);
        expect_redelivered(stage, 2);
        expect_nothing_else(stage);
        assert_int_equal(run(stage, &sweep), 0);
}

/* -- all of it -- */

static void a_dry_sweep_only_reads(void **state)
{
        static const struct attempts attempts[] = {{6, "lost", 0, 400}};
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {.is_dry = true};
        _cleanup_json_ cJSON *json = NULL;
        _cleanup_free_ char *text = NULL;

        stage_become_app(stage);
        expect_deliveries(stage, DELIVERIES, "", attempts, 1);
        expect_handover(stage, 1800);
        expect_machines(stage, LIVING, MACHINE("i-00000002", "running", ANCIENT, TAGS));
        expect_machines(stage, BY_ID, "");
        assert_int_equal(run(stage, &sweep), 0);
        json = sweep_print(&sweep);
        text = json_print(json);
        assert_contains(text, "{\"dry_run\":true,\"machines\":1,\"parameters\":1,\"deliveries\":1,"
                              "\"ended\":1,\"marked\":0,\"abandoned\":1,\"redelivered\":1,"
                              "\"left\":0,\"failed\":0,\"calls\":4,\"actions\":[{");
        assert_int_equal(cJSON_GetArraySize(sweep.actions), 3);
        assert_logged(stage, "recover would act");
}

static void where_one_part_fails_the_others_go_on(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        stage_become_app(stage);
        script_expect(stage->script, "GET", DELIVERIES, NULL, 401, "{\"message\":\"no\"}");
        expect_handover(stage, 0);
        expect_machines(stage, LIVING, MACHINE(ID, "running", ANCIENT, TAGS));
        script_expect(stage->script, "POST", STAGE_EC2, "Action=TerminateInstances", 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors>"
                "</Response>");
        assert_true(run(stage, &sweep) < 0);
        assert_int_equal(sweep.failed, 2);
        assert_contains(sweep.err.text, "list deliveries");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)
                STAGE_TEST(a_machine_past_its_lifetime_ends),
                STAGE_TEST(so_many_hand_overs_are_looked_at_in_a_sweep),
                STAGE_TEST(a_clean_up_that_fails_fails_the_sweep),
                STAGE_TEST(without_ec2_s_answer_nothing_is_cleaned_up),
                STAGE_TEST(so_many_machines_are_looked_at_in_a_sweep),
                STAGE_TEST(a_job_has_its_time_to_show_up),
                STAGE_TEST(a_machine_without_a_scope_has_no_runner_to_look_for),
                STAGE_TEST(a_machine_that_hangs_is_left_to_the_next_sweep),
                STAGE_TEST(a_machine_that_comes_to_life_meanwhile_is_left_alone),
                STAGE_TEST(a_runner_that_vanishes_meanwhile_may_work),
                STAGE_TEST(a_machine_ends_no_sooner),
                STAGE_TEST(a_machine_past_its_lifetime_ends_once),
                STAGE_TEST(a_machine_that_a_person_protects_does_not_save_the_others),
                STAGE_TEST(machines_are_listed_page_by_page),
                STAGE_TEST(a_machine_that_hangs_ends_in_two_sweeps),
                STAGE_TEST(a_machine_that_may_work_is_left_alone),
                STAGE_TEST(a_runner_that_may_work_keeps_its_machine),
                STAGE_TEST(what_a_killed_sweep_began_is_done),
                STAGE_TEST(what_a_machine_left_that_is_gone_is_cleaned_up),
                STAGE_TEST(what_is_left_in_s3_is_cleaned_up),
                STAGE_TEST(hand_overs_are_found_behind_empty_pages),
                STAGE_TEST(so_many_pages_of_hand_overs_are_read),
                STAGE_TEST(with_too_many_machines_nothing_is_cleaned_up),
                STAGE_TEST(a_machine_past_its_lifetime_ends_whatever_else_fails),
                STAGE_TEST(nothing_is_begun_in_the_last_seconds),
                STAGE_TEST(hand_overs_take_turns),
                STAGE_TEST(a_hand_over_that_may_be_used_stays),
                STAGE_TEST(what_got_no_answer_is_delivered_again),
                STAGE_TEST(so_many_deliveries_are_read_in_a_sweep),
                STAGE_TEST(deliveries_leave_time_for_machines),
                STAGE_TEST(only_jobs_are_delivered_again),
                STAGE_TEST(so_much_is_delivered_again_in_a_sweep),
                STAGE_TEST(a_limit_ends_the_redeliveries),
                STAGE_TEST(a_delivery_is_tried_so_often),
                STAGE_TEST(what_never_reached_us_is_delivered_again),
                STAGE_TEST(a_pause_is_a_quarter_of_an_hour_at_most),
                STAGE_TEST(deliveries_are_read_back_until_all_is_quiet),
                STAGE_TEST(deliveries_are_read_back_for_three_sweeps),
                STAGE_TEST(by_hand_days_are_read),
                STAGE_TEST(a_dry_sweep_only_reads),
                STAGE_TEST(where_one_part_fails_the_others_go_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
