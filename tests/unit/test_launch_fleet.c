/* SPDX-License-Identifier: MIT */

/*
 * Launching by a fleet: one call asks for all pools, each instance counts, and a second try asks
 * for the same or finds what the first one launched.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/ladder.h"
#include "queued_stage.h"

#define FALLBACK 1 /* its number among the specs */

static void choose(struct config_spec *spec, const char *allocation)
{
        free(spec->allocation);
        spec->allocation = mem_string(allocation);
}

static void add_subnet(struct config_spec *spec, const char *subnet)
{
        spec->subnets = mem_resize(spec->subnets, spec->n_subnets + 1, sizeof(char *));
        spec->subnets[spec->n_subnets++] = mem_string(subnet);
}

static void add_zone(struct scaler *scaler, const char *subnet, const char *zone)
{
        struct ec2_subnets *zones = &scaler->zones;
        struct ec2_subnet *added;

        zones->items = mem_resize(zones->items, zones->count + 1, sizeof(*zones->items));
        added = &zones->items[zones->count++];
        *added = (struct ec2_subnet){0};
        snprintf(added->id, sizeof(added->id), "%s", subnet);
        snprintf(added->zone, sizeof(added->zone), "%s", zone);
}

/* The stage with fleets, whose subnets a and b are in zones of their own. */
static int set_up(void **state)
{
        struct stage *stage;

        stage_set_up(state);
        stage = *state;
        for (size_t i = 0; i < stage->scaler.config->n_specs; i++)
                choose(&stage->scaler.config->specs[i], CONFIG_ALLOCATION_PRICE);
        add_zone(&stage->scaler, "subnet-0000000a", "eu-central-1a");
        add_zone(&stage->scaler, "subnet-0000000b", "eu-central-1b");
        strcpy(stage->scaler.account, "123456789012");
        return 0;
}

#define ERROR(code, type, subnet)                                                   \
        "<item><launchTemplateAndOverrides><overrides><instanceType>" type          \
        "</instanceType><subnetId>" subnet "</subnetId></overrides></launch"        \
        "TemplateAndOverrides><errorCode>" code "</errorCode><errorMessage>because" \
        "</errorMessage></item>"
#define NO_CAPACITY(type, subnet) \
        ERROR("InsufficientInstanceCapacity", type, "subnet-0000000" subnet)

/* EC2 launches the instances FIRST to LAST for such a request, and says ERRORS. */
static void expect_fleet(
        struct stage *stage, const char *body, int first, int last, const char *errors)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(65536);

        buf_add_format(&xml,
                "<CreateFleetResponse><fleetId>fleet-1</fleetId><errorSet>%s</errorSet>"
                "<fleetInstanceSet><item><launchTemplateAndOverrides><overrides><subnetId>"
                "subnet-0000000b</subnetId></overrides></launchTemplateAndOverrides><lifecycle>"
                "spot</lifecycle><instanceType>m7a.large</instanceType><instanceIds>",
                errors);
        for (int i = last; i >= first; i--) /* in no order */
                buf_add_format(&xml, "<item>i-%08x</item>", (unsigned)i);
        buf_add_string(&xml, "</instanceIds></item></fleetInstanceSet></CreateFleetResponse>");
        script_expect(stage->script, "POST", STAGE_EC2, body, 200, buf_string(&xml));
}

#define POOL(n, type, subnet)                                                     \
        "&LaunchTemplateConfigs.1.Overrides." n ".InstanceType=" type             \
        "&LaunchTemplateConfigs.1.Overrides." n ".SubnetId=subnet-0000000" subnet \
        "&LaunchTemplateConfigs.1.Overrides." n ".Priority="
#define ON_DEMAND "DefaultTargetCapacityType=on-demand"
#define SPOT "DefaultTargetCapacityType=spot"

static void the_last_token(struct stage *stage, char token[static 65])
{
        const char *found = strstr(script_last_body(stage->script), "&ClientToken=");

        assert_non_null(found);
        snprintf(token, 65, "%s", found + strlen("&ClientToken="));
        assert_int_equal(strspn(token, "0123456789abcdef"), 64);
}

static void one_call_asks_for_all_pools(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 0, NULL}};
        static const char *const parts[] = {
                "CreateFleet&Version=2016-11-15&Type=instant&",
                POOL("1", "m7i.large", "a") "0" POOL("2", "m7i.large", "b") "0" POOL(
                        "3", "m7a.large", "a") "1",
                "&TargetCapacitySpecification.TotalTargetCapacity=2&",
                "&SpotOptions.AllocationStrategy=price-capacity-optimized&",
                "&TagSpecification.1.ResourceType=fleet&",
                "&TagSpecification.2.ResourceType=instance&",
                "%2F1-1-0%2F2-1-0%2F&",
        };

        expect_fleet(stage, "Action=CreateFleet", 1, 2, "");
        assert_string_equal(queued_alone(stage, messages, 2), STAGE_NONE_FAILED);
        assert_logged(stage, "\"instance\":\"i-00000001\",\"job\":1,\"type\":\"m7a.large\","
                             "\"subnet\":\"subnet-0000000b\",\"market\":\"spot\"");
        assert_logged(stage, "\"instance\":\"i-00000002\",\"job\":2,");
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        assert_string_equal(register_sent(stage, 1), STAGE_NONE_FAILED);
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                expect_fleet(stage, parts[i], 1, 2, "");
                assert_string_equal(queued_alone(stage, messages, 2), STAGE_NONE_FAILED);
        }
}

static void instances_count_beside_errors_and_the_rest_is_asked_for_again(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL}, {"c", queued_job(3, "linux"), 0, NULL}};

        expect_fleet(stage, "TotalTargetCapacity=3&", 1, 2,
                NO_CAPACITY("m7i.large", "a") NO_CAPACITY("m7a.large", "b"));
        expect_fleet(
                stage, POOL("1", "m7i.large", "b") "0" POOL("2", "m7a.large", "a") "1", 3, 3, "");
        for (int i = 1; i <= 3; i++)
                expect_registration(stage, i);
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
}

/* One that is full is not asked for again; the other one of its zone takes its place. */
static void of_each_zone_one_subnet_is_asked_for(void **state)
{
        struct stage *stage = *state;
        struct config_spec *spec = &stage->scaler.config->specs[0];

        add_subnet(spec, "subnet-0000000c");
        add_zone(&stage->scaler, "subnet-0000000c", "eu-central-1a");
        expect_fleet(stage,
                POOL("1", "m7i.large", "a") "0" POOL("2", "m7i.large", "b") "0" POOL(
                        "3", "m7a.large", "a"),
                1, 0, ERROR("InsufficientFreeAddressesInSubnet", "m7i.large", "subnet-0000000a"));
        expect_fleet(stage,
                POOL("1", "m7i.large", "b") "0" POOL("2", "m7i.large", "c") "0" POOL(
                        "3", "m7a.large", "b"),
                1, 0, NO_CAPACITY("m7i.large", "c"));
        expect_fleet(stage,
                POOL("1", "m7i.large", "b") "0" POOL("2", "m7a.large", "b") "1" POOL(
                        "3", "m7a.large", "c"),
                1, 1, "");
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void on_demand_is_the_second_ask(void **state)
{
        static const struct {
                const char *allocation;
                const char *strategy;
        } rows[] = {
                {CONFIG_ALLOCATION_PRICE, "OnDemandOptions.AllocationStrategy=lowest-price&"},
                {CONFIG_ALLOCATION_PRIORITIES, "OnDemandOptions.AllocationStrategy=prioritized&"},
        };
        static const char *const errors[] = {
                "",
                ERROR("InsufficientInstanceCapacity", "", ""),
                ERROR("MaxSpotInstanceCountExceeded", "t3.2xlarge", "subnet-0000000a"),
                ERROR("InsufficientInstanceCapacity", "t3.2xlarge", "subnet-0000000a")
                        ERROR("UnfulfillableCapacity", "t3a.2xlarge", "subnet-0000000a"),
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (size_t j = 0; j < ARRAY_SIZE(errors); j++) {
                        choose(&stage->scaler.config->specs[FALLBACK], rows[i].allocation);
                        expect_fleet(stage, SPOT, 1, 0, errors[j]);
                        expect_fleet(stage, rows[i].strategy, 1, 1, "");
                        expect_registration(stage, 1);
                        assert_string_equal(
                                queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);
                }
}

static void the_asks_of_a_launch_have_tokens_of_their_own(void **state)
{
        struct stage *stage = *state;
        char tokens[4][65];
        static const char *const bodies[] = {
                "", ",\"left_out\":\"01\"", ",\"offer\":2", ",\"offer\":2,\"left_out\":\"02\""};

        unsetenv("NOTIFY_QUEUE_URL");
        for (size_t i = 0; i < 4; i++) {
                for (int again = 0; again < 2; again++) {
                        char token[65];

                        expect_refusal(stage, "CreateFleet", 400, "UnauthorizedOperation");
                        queued_one(stage, queued_job_with(1, "fallback", bodies[i]));
                        the_last_token(stage, again ? token : tokens[i]);
                        if (again)
                                assert_string_equal(token, tokens[i]);
                }
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(tokens[i], tokens[j]);
        }
}

/* EC2 may have launched, although nobody heard: the next try asks for the same. */
/* EC2 answers a token that it knows as it did the first time, also when that launched nothing. */
static void the_next_message_of_a_job_asks_with_another_token(void **state)
{
        struct stage *stage = *state;
        char tokens[2][65];

        unsetenv("NOTIFY_QUEUE_URL");
        for (int i = 0; i < 2; i++) {
                const struct stage_message message = {"a",
                        queued_job_with(1, "linux", i == 0 ? ",\"sends\":1" : ",\"sends\":2"), 0,
                        NULL};

                expect_refusal(stage, "CreateFleet", 400, "UnauthorizedOperation");
                queued_alone(stage, &message, 1);
                the_last_token(stage, tokens[i]);
        }
        assert_string_not_equal(tokens[0], tokens[1]);
}

/* The pools that EC2 did not try may have something. */
static void an_error_that_names_no_pool_leaves_out_none(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", queued_job(1, "linux"), 0, NULL};

        expect_fleet(stage, POOL("1", "m7i.large", "a"), 1, 0,
                NO_CAPACITY("m7i.large",
                        "a") "<item><errorCode>UnfulfillableCapacity</errorCode></item>");
        expect_fleet(stage, POOL("1", "m7i.large", "b"), 1, 1, "");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
}

static void what_was_left_out_travels_with_a_parked_job(void **state)
{
        struct stage *stage = *state;
        char token[65];
        _cleanup_free_ char *same = NULL;

        unsetenv("NOTIFY_QUEUE_URL");
        expect_refusal(stage, "CreateFleet", 400, "UnauthorizedOperation");
        queued_one(stage, queued_job_with(1, "linux", ",\"left_out\":\"01\""));
        the_last_token(stage, token);
        same = mem_format("ClientToken=%s&", token);
        expect_fleet(stage, "CreateFleet", 1, 0, NO_CAPACITY("m7i.large", "a"));
        for (int i = 0; i < 6; i++)
                expect_refusal(stage, same, 503, "RequestLimitExceeded");
        stage_expect_sent(stage, "\\\"left_out\\\":\\\"01\\\"");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void without_capacity_the_next_try_asks_for_everything(void **state)
{
        struct stage *stage = *state;

        unsetenv("NOTIFY_QUEUE_URL");
        expect_fleet(stage, SPOT, 1, 0, "");
        expect_fleet(stage, ON_DEMAND, 1, 0,
                ERROR("InsufficientInstanceCapacity", "t3.2xlarge", "subnet-0000000a"));
        expect_fleet(stage, ON_DEMAND, 1, 0, "");
        stage_expect_sent(stage, "sqs.test/parked");
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);
        assert_not_sent(stage, "left_out");
        assert_sent(stage, "\\\"tries\\\":1,");
}

static void a_refusal_of_the_whole_fleet(void **state)
{
        static const struct {
                const char *code;
                const char *answer;
                const char *sent; /* NULL: it is no parked job */
        } rows[] = {
                {"UnauthorizedOperation", STAGE_FAILED("m1"), NULL},
                {"InvalidFleetConfig", STAGE_FAILED("m1"), NULL},
                {"SomethingNew", STAGE_FAILED("m1"), NULL},
                {"MaxSpotInstanceCountExceeded", STAGE_NONE_FAILED, "sqs.test/parked"},
                {"InsufficientInstanceCapacity", STAGE_NONE_FAILED, "sqs.test/parked"},
        };
        struct stage *stage = *state;

        unsetenv("NOTIFY_QUEUE_URL");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_refusal(stage, "CreateFleet", 400, rows[i].code);
                if (rows[i].sent)
                        stage_expect_sent(stage, rows[i].sent);
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), rows[i].answer);
        }
}

static void what_one_pool_cannot_do_another_may(void **state)
{
        struct stage *stage = *state;

        expect_fleet(stage, "CreateFleet", 1, 0,
                ERROR("InvalidParameterValue", "m7i.large", "subnet-0000000a")
                        ERROR("UnsupportedOperation", "m7a.large", "subnet-0000000a")
                                ERROR("SomethingNew", "m7i.xlarge", "subnet-0000000b"));
        expect_fleet(stage,
                POOL("1", "m7i.large", "b") "0" POOL("2", "m7i.xlarge", "a") "2" POOL(
                        "3", "m7a.xlarge", "a") "3",
                1, 1, "");
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* A limit is one of processors. People hear of the limit, whatever the smaller types lack. */
static void at_a_limit_smaller_types_are_asked_for(void **state)
{
        static const char *const answers[] = {"", NO_CAPACITY("m7i.large", "b")};
        struct stage *stage = *state;

        unsetenv("NOTIFY_QUEUE_URL");
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                expect_fleet(stage, POOL("5", "m7i.xlarge", "a") "2", 1, 0,
                        NO_CAPACITY("m7i.large", "a") ERROR(
                                "MaxSpotInstanceCountExceeded", "m7a.xlarge", "subnet-0000000b"));
                expect_fleet(stage,
                        POOL("2", "m7a.large", "a") "1" POOL("3", "m7a.large", "b") "1"
                                                                                    "&Target",
                        1, 0, answers[i]);
                if (i == 1)
                        expect_fleet(stage,
                                POOL("1", "m7a.large", "a") "1" POOL(
                                        "2", "m7a.large", "b") "1"
                                                               "&Target",
                                1, 0, "");
                stage_expect_sent(stage, "sqs.test/parked");
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
                assert_logged(stage, "\"reason\":\"quota reached\"");
        }
}

static void errors_that_are_of_no_pool_end_the_launch(void **state)
{
        static const struct {
                const char *errors;
                const char *answer;
        } rows[] = {
                {ERROR("UnauthorizedOperation", "", ""), STAGE_FAILED("m1")},
                {ERROR("UnauthorizedOperation", "m7i.large", ""), STAGE_FAILED("m1")},
                {ERROR("UnauthorizedOperation", "", "subnet-0000000a"), STAGE_FAILED("m1")},
                {ERROR("RequestLimitExceeded", "", ""), STAGE_NONE_FAILED},
                {ERROR("InternalError", "", ""), STAGE_NONE_FAILED},
                {ERROR("SomethingNew", "m7i.large", "subnet-0000000a")
                                ERROR("MaxSpotInstanceCountExceeded", "", ""),
                        STAGE_NONE_FAILED},
                {ERROR("VcpuLimitExceeded", "m7i.large", "subnet-0000000a"), STAGE_NONE_FAILED},
        };
        struct stage *stage = *state;

        unsetenv("NOTIFY_QUEUE_URL");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_fleet(stage, "CreateFleet", 1, 0, rows[i].errors);
                if (strcmp(rows[i].answer, STAGE_NONE_FAILED) == 0)
                        stage_expect_sent(stage, "sqs.test/parked");
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), rows[i].answer);
                if (i == 0)
                        assert_logged(stage, "CreateFleet: UnauthorizedOperation: because");
        }
}

/* Of a fleet that tries a pool at a time. The job goes on from there. */
static void an_event_has_time_for_so_many_asks(void **state)
{
        struct stage *stage = *state;
        struct ladder_rung rungs[LADDER_MAX];

        unsetenv("NOTIFY_QUEUE_URL");
        assert_true(ladder_build("m7i.large", rungs, LADDER_MAX) > 16);
        for (size_t i = 0; i < 16; i++) {
                _cleanup_free_ char *errors = mem_format(NO_CAPACITY("%s", "a"), rungs[i].type);

                expect_fleet(stage, "CreateFleet", 1, 0, errors);
        }
        stage_expect_sent(stage, "sqs.test/parked");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"left_out\\\":\\\"55555555\\\"");
}

/* -- what was launched before -- */

#define FOUND(id, state_, names)                                                                 \
        "<item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>" id               \
        "</instanceId><instanceState><name>" state_ "</name></instanceState><amiLaunchIndex>0</" \
        "amiLaunchIndex><tagSet><item><key>scale-agent:prefix</key><value>/p</value></item>"     \
        "<item><key>scale-agent:launches</key><value>" names "</value></item></tagSet></item>"   \
        "</instancesSet></item>"
#define MARK "0123456789abcdef"

static void expect_found(struct stage *stage, const char *body, const char *instances)
{
        _cleanup_free_ char *xml =
                mem_format("<DescribeInstancesResponse><reservationSet>%s</reservationSet>"
                           "</DescribeInstancesResponse>",
                        instances);

        script_expect(stage->script, "POST", STAGE_EC2, body, 200, xml);
}

static void expect_queued(struct stage *stage, const char *job)
{
        _cleanup_free_ char *url = mem_format("%s/repos/o/r/actions/jobs/%s", STAGE_GITHUB, job);

        script_expect(stage->script, "GET", url, NULL, 200, "{\"status\":\"queued\"}");
}

static void expect_no_handover(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "\"WithDecryption\":true", 400,
                "{\"__type\":\"ParameterNotFound\"}");
}

/* A repeated token returns the first answer: whether its machine lives, only a look tells. */
static void a_repeated_fleet_is_looked_at(void **state)
{
        static const char *const states[] = {"pending", "running", "terminated"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *found = mem_format(
                        "<item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>"
                        "i-00000001</instanceId><instanceState><name>%s</name></instanceState>"
                        "</item></instancesSet></item>",
                        states[i]);

                expect_found(stage, "tag%3Ascale-agent%3Alaunches", "");
                expect_queued(stage, "1");
                expect_fleet(stage, "CreateFleet", 1, 1, "");
                expect_found(stage, "instance-id&Filter.1.Value.1=i-00000001", found);
                if (i == 2) {
                        expect_fleet(stage, "CreateFleet", 2, 2, "");
                        expect_found(stage, "instance-id&Filter.1.Value.1=i-00000002", "");
                }
                if (i == 1)
                        expect_no_handover(stage);
                expect_registration(stage, i == 2 ? 2 : 1);
                assert_string_equal(queued_one(stage, queued_job_with(1, "linux", ",\"stale\":1")),
                        STAGE_NONE_FAILED);
        }
}

/* EC2 answers a token once more as it did the first time; what refused then may be mended. */
static void an_answer_of_old_that_launched_nothing_is_not_believed(void **state)
{
        struct stage *stage = *state;
        char tokens[3][65];
        _cleanup_free_ char *first = NULL;

        unsetenv("NOTIFY_QUEUE_URL");
        for (int i = 0; i < 3; i++) {
                const struct stage_message message = {"m1", queued_job(1, "linux"), i + 1, NULL};

                if (i > 0) {
                        expect_found(stage, "tag%3Ascale-agent%3Alaunches", "");
                        expect_queued(stage, "1");
                        expect_fleet(stage, first, 1, 0, ERROR("UnauthorizedOperation", "", ""));
                }
                expect_fleet(stage, "CreateFleet", 1, 0, ERROR("UnauthorizedOperation", "", ""));
                assert_string_equal(queued_alone(stage, &message, 1), STAGE_FAILED("m1"));
                the_last_token(stage, tokens[i]);
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(tokens[i], tokens[j]);
                if (i == 0)
                        first = mem_format("ClientToken=%s&", tokens[0]);
                script_sleep(stage->script, 6 * 60 * MSEC_PER_SEC);
        }
}

#define LOOKED(id, state_)                                                         \
        "<item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>" id \
        "</instanceId><instanceState><name>" state_                                \
        "</name></instanceState></item></instancesSet></item>"

/* Of each, the state counts. */
static void of_a_repeated_fleet_those_that_live_are_taken(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL},
                {"b", queued_job_with(2, "linux", ",\"stale\":1"), 0, NULL}};
        _cleanup_free_ char *sent = NULL;

        expect_found(stage, "tag%3Ascale-agent%3Alaunches", "");
        script_expect(stage->script, "GET",
                STAGE_GITHUB "/repos/o/r/actions/runs/2/attempts/1/jobs?", NULL, 200,
                "{\"total_count\":2,\"jobs\":[{\"id\":1,\"status\":\"queued\"},"
                "{\"id\":2,\"status\":\"queued\"}]}");
        expect_fleet(stage, "TotalTargetCapacity=2&", 1, 2, "");
        expect_found(stage, "instance-id&Filter.1.Value.1=i-00000001&Filter.1.Value.2=i-00000002",
                LOOKED("i-00000002", "pending") LOOKED("i-00000001", "terminated"));
        expect_fleet(stage, "TotalTargetCapacity=1&", 3, 3, "");
        expect_found(
                stage, "instance-id&Filter.1.Value.1=i-00000003", LOOKED("i-00000003", "pending"));
        assert_string_equal(queued_alone(stage, messages, 2), STAGE_NONE_FAILED);
        assert_not_logged(stage, "could not be looked up");
        assert_logged(stage, "\"instance\":\"i-00000002\",\"job\":2,");
        assert_logged(stage, "\"instance\":\"i-00000003\",\"job\":1,");
        sent = script_take_served(stage->script, "sqs.test/register.fifo");
        assert_contains(sent, "i-00000002");
        assert_contains(sent, "i-00000003");
        assert_lacks(sent, "i-00000001");
}

static void tokens_are_renewed_three_times(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {
                "m1", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL};

        unsetenv("NOTIFY_QUEUE_URL");
        expect_found(stage, "tag%3Ascale-agent%3Alaunches", "");
        expect_queued(stage, "1");
        for (int i = 0; i < 4; i++) {
                expect_fleet(stage, "CreateFleet", 1, 1, "");
                expect_found(stage, "instance-id", LOOKED("i-00000001", "terminated"));
        }
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_FAILED("m1"));
        assert_logged(stage, "EC2 returned instances that have ended");
}

/* It is a part of each machine's ARN. A function knows its own, other programs may not. */
static void an_account_that_is_not_known_is_looked_up(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", queued_job(1, "linux"), 0, NULL};
        _cleanup_free_ char *sent = NULL;

        stage->scaler.account[0] = '\0';
        expect_fleet(stage, "CreateFleet", 1, 1, "");
        expect_found(
                stage, "instance-id&Filter.1.Value.1=i-00000001", LOOKED("i-00000001", "pending"));
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
        sent = script_take_served(stage->script, "sqs.test/register.fifo");
        assert_contains(sent, "123456789012");
}

static void machines_that_cannot_be_looked_up_are_taken(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {
                "a", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL};

        expect_found(stage, "tag%3Ascale-agent%3Alaunches", "");
        expect_queued(stage, "1");
        expect_fleet(stage, "CreateFleet", 1, 1, "");
        expect_refusal(stage, "instance-id", 403, "UnauthorizedOperation");
        stage_expect_sent(stage, "sqs.test/register.fifo");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
        assert_logged(stage, "could not be looked up");
        assert_sent(stage, "i-00000001");
}

/* A crash after the call: each job of the batch finds the machine that is its own. */
static void each_job_recalls_its_own_machine_of_a_fleet(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job_with(1, "linux", ",\"stale\":1"), 0, NULL},
                {"b", queued_job_with(3, "linux", ",\"stale\":1"), 0, NULL}};

        expect_found(stage, "tag%3Ascale-agent%3Alaunches",
                FOUND("i-0000000c", "pending", MARK "/1-1-0/2-1-0/3-1-0/")
                        FOUND("i-0000000a", "pending", MARK "/1-1-0/2-1-0/3-1-0/")
                                FOUND("i-0000000b", "pending", MARK "/1-1-0/2-1-0/3-1-0/"));
        script_expect(stage->script, "GET",
                STAGE_GITHUB "/repos/o/r/actions/runs/2/attempts/1/jobs?", NULL, 200,
                "{\"total_count\":2,\"jobs\":[{\"id\":1,\"status\":\"queued\"},"
                "{\"id\":3,\"status\":\"queued\"}]}");
        assert_string_equal(queued_alone(stage, messages, 2), STAGE_NONE_FAILED);
        for (int i = 0; i < 2; i++)
                expect_no_handover(stage);
        expect_registration(stage, 10);
        expect_registration(stage, 12);
        assert_string_equal(register_sent(stage, 1), STAGE_NONE_FAILED);
}

/* EC2 has forgotten i-00000001 of the same fleet: what is left would be the first one's by order.
 */
static void a_launched_jobs_machine_is_the_one_that_its_message_names(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", queued_job(2, "linux"), 0, NULL};

        expect_fleet(stage, "CreateFleet", 2, 2, "");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
        expect_found(stage, "tag%3Ascale-agent%3Alaunches",
                "<item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>i-00000002"
                "</instanceId><instanceState><name>running</name></instanceState><tagSet><item>"
                "<key>scale-agent:launches</key><value>0123456789abcdef/1-1-0/2-1-0/</value></item>"
                "<item><key>scale-agent:prefix</key><value>/p</value></item></tagSet></item>"
                "</instancesSet></item>");
        expect_no_handover(stage);
        expect_registration(stage, 2);
        script_sleep(stage->script, 10 * 60 * MSEC_PER_SEC); /* no longer new */
        assert_string_equal(register_sent(stage, 2), STAGE_NONE_FAILED);
}

/* The machine that a message names has ended, and EC2 shows it no longer. Then what was launched
 * with it is another job's, and what was launched since is its own: the message came again. */
static void after_the_machine_that_a_message_names_comes_the_one_launched_since(void **state)
{
        static const char *const times[] = {"2026-01-02T03:04:05.000Z", "2026-01-02T03:03:59.000Z"};
        struct stage *stage = *state;
        const struct stage_message message = {"a",
                queued_job_with(1, "linux",
                        ",\"stale\":1,\"instance\":\"i-0000000f\",\"launched_ms\":1767323040000"),
                0, NULL};

        for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
                _cleanup_free_ char *found = mem_format(
                        "<item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>"
                        "i-00000001</instanceId><launchTime>%s</launchTime><instanceState><name>"
                        "running</name></instanceState><tagSet><item><key>scale-agent:launches"
                        "</key><value>" MARK "/1-1-0/</value></item><item><key>scale-agent:prefix"
                        "</key><value>/p</value></item></tagSet></item></instancesSet></item>",
                        times[i]);
                _cleanup_free_ char *sent = NULL;

                expect_found(stage, "tag%3Ascale-agent%3Alaunches", found);
                expect_queued(stage, "1");
                if (i == 1) {
                        expect_fleet(stage, "CreateFleet", 2, 2, "");
                        expect_found(stage, "instance-id", "");
                }
                assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
                sent = script_take_served(stage->script, "sqs.test/register.fifo");
                assert_contains(sent, i == 0 ? "i-00000001" : "i-00000002");
        }
}

/* What was empty then says nothing about the next launch. */
static void what_was_left_out_ends_with_its_launch(void **state)
{
        static const char *const states[] = {"running", "terminated"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *sent = NULL;
                _cleanup_free_ char *found = mem_format(
                        "<item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>"
                        "i-00000001</instanceId><instanceState><name>%s</name></instanceState>"
                        "<tagSet><item><key>scale-agent:prefix</key><value>/p</value></item><item>"
                        "<key>scale-agent:launches</key><value>" MARK "/1-1-0/</value></item>"
                        "</tagSet></item></instancesSet></item>",
                        states[i]);

                expect_found(stage, "tag%3Ascale-agent%3Alaunches", found);
                expect_queued(stage, "1");
                if (i == 1)
                        stage_expect_sent(stage, "sqs.test/queued.fifo");
                queued_alone(stage,
                        &(const struct stage_message){"a",
                                queued_job_with(1, "linux", ",\"stale\":1,\"left_out\":\"01\""), 0,
                                NULL},
                        1);
                sent = i == 0 ? script_take_served(stage->script, "sqs.test/register.fifo")
                              : mem_string(script_last_body(stage->script));
                assert_contains(sent, i == 0 ? "i-00000001" : "\\\"launch\\\":1");
                assert_lacks(sent, "left_out");
        }
}

/* As RunInstances says it of a token. */
static void a_token_whose_machines_have_ended_is_replaced(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", queued_job(1, "linux"), 0, NULL};
        char tokens[2][65];

        unsetenv("NOTIFY_QUEUE_URL");
        for (int i = 0; i < 2; i++) {
                if (i > 0)
                        expect_refusal(stage, "CreateFleet", 400, "IdempotentInstanceTerminated");
                expect_refusal(stage, "CreateFleet", 403, "UnauthorizedOperation");
                assert_string_equal(queued_alone(stage, &message, 1), STAGE_FAILED("a"));
                the_last_token(stage, tokens[i]);
        }
        assert_string_not_equal(tokens[0], tokens[1]);
}

static void other_parameters_for_a_token_find_its_machines(void **state)
{
        static const char *const states[] = {"running", "terminated", NULL};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
                _cleanup_free_ char *found = NULL;

                expect_refusal(stage, "CreateFleet", 400, "IdempotentParameterMismatch");
                found = mem_format("<item><ownerId>123456789012</ownerId><instancesSet><item>"
                                   "<instanceId>i-00000001</instanceId><instanceState><name>%s"
                                   "</name></instanceState></item></instancesSet></item>",
                        states[i] ? states[i] : "");
                expect_found(stage, "Filter.1.Name=tag%3Ascale-agent%3Alaunches&Filter.1.Value.1=",
                        states[i] ? found : "");
                if (i > 0)
                        expect_fleet(stage, "CreateFleet", 2, 2, "");
                if (i == 0)
                        expect_no_handover(stage);
                expect_registration(stage, i > 0 ? 2 : 1);
                assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        }
}

/* -- zones -- */

static void zones_are_asked_for_once(void **state)
{
        struct stage *stage = *state;

        ec2_subnets_release(&stage->scaler.zones);
        script_expect(stage->script, "POST", STAGE_EC2,
                "DescribeSubnets&Version=2016-11-15&Filter.1.Name=subnet-id&Filter.1.Value.1="
                "subnet-0000000a&Filter.1.Value.2=subnet-0000000b",
                200,
                "<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-0000000a</subnetId>"
                "<availabilityZone>eu-central-1a</availabilityZone></item><item><subnetId>"
                "subnet-0000000b</subnetId><availabilityZone>eu-central-1a</availabilityZone>"
                "</item></subnetSet></DescribeSubnetsResponse>");
        for (int i = 1; i <= 2; i++) {
                expect_fleet(stage, POOL("1", "m7i.large", "a") "0" POOL("2", "m7a.large", "a"), i,
                        i, "");
                expect_registration(stage, i);
                assert_string_equal(queued_one(stage, queued_job(i, "linux")), STAGE_NONE_FAILED);
        }
}

/* Another spec's subnets were asked for before. */
static void the_zones_of_further_subnets_are_asked_for(void **state)
{
        static const char *const known[] = {"a", "b"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                const struct stage_message message = {"a", queued_job(1, "linux"), 0, NULL};
                _cleanup_free_ char *subnet = mem_format("subnet-0000000%s", known[i]);

                ec2_subnets_release(&stage->scaler.zones);
                add_zone(&stage->scaler, subnet, "eu-central-1a");
                script_expect(stage->script, "POST", STAGE_EC2, "DescribeSubnets", 200,
                        "<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-0000000a"
                        "</subnetId><availabilityZone>eu-central-1a</availabilityZone></item><item>"
                        "<subnetId>subnet-0000000b</subnetId><availabilityZone>eu-central-1b"
                        "</availabilityZone></item></subnetSet></DescribeSubnetsResponse>");
                expect_fleet(stage, "CreateFleet", 1, 1, "");
                assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
                assert_int_equal(stage->scaler.zones.count, 2);
        }
}

static void a_subnet_that_is_gone_is_told_and_left_out(void **state)
{
        struct stage *stage = *state;

        ec2_subnets_release(&stage->scaler.zones);
        script_expect(stage->script, "POST", STAGE_EC2, "DescribeSubnets", 200,
                "<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-0000000b</subnetId>"
                "<availabilityZone>eu-central-1b</availabilityZone></item></subnetSet>"
                "</DescribeSubnetsResponse>");
        stage_expect_sent(stage, "there is no subnet subnet-0000000a");
        expect_fleet(stage, POOL("1", "m7i.large", "b") "0" POOL("2", "m7a.large", "b"), 1, 1, "");
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* EC2 says so of each type. */
static void a_subnet_that_went_meanwhile_is_told_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message message = {"a", queued_job(1, "linux"), 0, NULL};

        expect_fleet(stage, "CreateFleet", 1, 0,
                ERROR("InvalidSubnetID.NotFound", "m7i.large", "subnet-0000000a")
                        ERROR("InvalidSubnetID.NotFound", "m7a.large", "subnet-0000000a"));
        stage_expect_sent(
                stage, "\\\"title\\\":\\\"Spec linux: there is no subnet subnet-0000000a\\\"");
        expect_fleet(stage, POOL("1", "m7i.large", "b") "0" POOL("2", "m7a.large", "b"), 1, 1, "");
        stage_expect_sent(stage, "sqs.test/register.fifo");
        assert_string_equal(queued_alone(stage, &message, 1), STAGE_NONE_FAILED);
}

static void zones_that_may_not_be_asked_for_fail_the_launch(void **state)
{
        struct stage *stage = *state;

        ec2_subnets_release(&stage->scaler.zones);
        expect_refusal(stage, "DescribeSubnets", 403, "UnauthorizedOperation");
        stage_expect_sent(stage, "UnauthorizedOperation");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_FAILED("m1"));
        for (int i = 0; i < 3; i++)
                expect_refusal(stage, "DescribeSubnets", 503, "RequestLimitExceeded");
        stage_expect_sent(stage, "sqs.test/parked");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(one_call_asks_for_all_pools),
                TEST(instances_count_beside_errors_and_the_rest_is_asked_for_again),
                TEST(of_each_zone_one_subnet_is_asked_for),
                TEST(on_demand_is_the_second_ask),
                TEST(the_asks_of_a_launch_have_tokens_of_their_own),
                TEST(the_next_message_of_a_job_asks_with_another_token),
                TEST(an_error_that_names_no_pool_leaves_out_none),
                TEST(what_was_left_out_travels_with_a_parked_job),
                TEST(without_capacity_the_next_try_asks_for_everything),
                TEST(a_refusal_of_the_whole_fleet),
                TEST(what_one_pool_cannot_do_another_may),
                TEST(at_a_limit_smaller_types_are_asked_for),
                TEST(errors_that_are_of_no_pool_end_the_launch),
                TEST(an_event_has_time_for_so_many_asks),
                TEST(a_repeated_fleet_is_looked_at),
                TEST(tokens_are_renewed_three_times),
                TEST(an_answer_of_old_that_launched_nothing_is_not_believed),
                TEST(of_a_repeated_fleet_those_that_live_are_taken),
                TEST(an_account_that_is_not_known_is_looked_up),
                TEST(machines_that_cannot_be_looked_up_are_taken),
                TEST(each_job_recalls_its_own_machine_of_a_fleet),
                TEST(a_launched_jobs_machine_is_the_one_that_its_message_names),
                TEST(after_the_machine_that_a_message_names_comes_the_one_launched_since),
                TEST(what_was_left_out_ends_with_its_launch),
                TEST(a_token_whose_machines_have_ended_is_replaced),
                TEST(other_parameters_for_a_token_find_its_machines),
                TEST(zones_are_asked_for_once),
                TEST(the_zones_of_further_subnets_are_asked_for),
                TEST(a_subnet_that_is_gone_is_told_and_left_out),
                TEST(a_subnet_that_went_meanwhile_is_told_once),
                TEST(zones_that_may_not_be_asked_for_fail_the_launch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
