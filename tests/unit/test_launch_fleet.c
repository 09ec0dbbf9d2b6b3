/* SPDX-License-Identifier: MIT */

/*
 * Launching by a fleet: one call asks for all pools, each instance counts, and what EC2 could not
 * launch leads on. test_launch_fleet_again.c has what comes again.
 */

#include <stdlib.h>
#include <string.h>

#include "fleet_stage.h"
#include "job/ladder.h"

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

        fleet_add_subnet(spec, "subnet-0000000c");
        fleet_add_zone(&stage->scaler, "subnet-0000000c", "eu-central-1a");
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
                        fleet_choose(&stage->scaler.config->specs[FALLBACK], rows[i].allocation);
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
                        fleet_last_token(stage, again ? token : tokens[i]);
                        if (again)
                                assert_string_equal(token, tokens[i]);
                }
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(tokens[i], tokens[j]);
        }
}

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
                fleet_last_token(stage, tokens[i]);
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
        fleet_last_token(stage, token);
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

static void expect_refused_fleet(struct stage *stage, const char *code, const char *message)
{
        _cleanup_free_ char *xml =
                mem_format("<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error>"
                           "</Errors></Response>",
                        code, message);

        script_expect(stage->script, "POST", STAGE_EC2, "CreateFleet", 400, xml);
}

/* It refuses all of a fleet for them. */
static void types_that_the_region_lacks_are_left_out(void **state)
{
        struct stage *stage = *state;

        expect_refused_fleet(stage, "InvalidFleetConfig",
                "Unsupported instancetypes [(instanceType=m7i.large, os=generic), "
                "(instanceType=m7i.xlarge), (instanceType=am7a.large), "
                "(instanceType=m7a.large1), (instanceType=c7i.large)]");
        expect_refused_fleet(stage, "SomethingNew", "m7a.xlarge?");
        expect_fleet(stage,
                POOL("1", "m7a.large", "a") "1" POOL("2", "m7a.large", "b") "1" POOL(
                        "3", "m7i.2xlarge", "a"),
                1, 1, "");
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* Then people must know. */
static void a_fleet_of_which_nothing_is_left_is_refused_for_good(void **state)
{
        struct stage *stage = *state;

        unsetenv("NOTIFY_QUEUE_URL");
        expect_refused_fleet(stage, "InvalidFleetConfig", "t3.2xlarge t3a.2xlarge");
        expect_refused_fleet(stage, "InvalidFleetConfig", "t3.2xlarge t3a.2xlarge");
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_FAILED("m1"));
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
        assert_not_sent(stage, "\\\"tries\\\"");
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
                fleet_add_zone(&stage->scaler, subnet, "eu-central-1a");
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

#define TEST(function) cmocka_unit_test_setup_teardown(function, fleet_set_up, stage_tear_down)

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
                TEST(types_that_the_region_lacks_are_left_out),
                TEST(a_fleet_of_which_nothing_is_left_is_refused_for_good),
                TEST(what_one_pool_cannot_do_another_may),
                TEST(at_a_limit_smaller_types_are_asked_for),
                TEST(errors_that_are_of_no_pool_end_the_launch),
                TEST(an_event_has_time_for_so_many_asks),
                TEST(zones_are_asked_for_once),
                TEST(the_zones_of_further_subnets_are_asked_for),
                TEST(a_subnet_that_is_gone_is_told_and_left_out),
                TEST(a_subnet_that_went_meanwhile_is_told_once),
                TEST(zones_that_may_not_be_asked_for_fail_the_launch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
