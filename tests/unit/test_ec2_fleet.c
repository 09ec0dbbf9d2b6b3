/* SPDX-License-Identifier: MIT */

/*
 * EC2's fleets: the exact form of the call, and that its answer counts every instance, whatever
 * errors stand beside them.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "aws/ec2_fleet.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "script.h"
#include "unit.h"

#define ENDPOINT "https://ec2.eu-central-1.amazonaws.com/"

static const struct ec2_pool pools[] = {
        {"m7i.large", "subnet-0a", 0},
        {"m7i.large", "subnet-0b", 0},
        {"m7a.large", "subnet-0a", 1},
};
static const struct ec2_tag tag = {"scale-agent:spec", "linux x64"};

static struct http_call *fleet_call(struct aws *aws, bool spot, const char *strategy)
{
        return ec2_create_fleet(aws, &(const struct ec2_fleet){
                                             .launch_template = spot ? "scale-agent" : "lt-0abc",
                                             .launch_template_version = spot ? "$Default" : "12",
                                             .pools = pools,
                                             .n_pools = spot ? 3 : 1,
                                             .spot = spot,
                                             .strategy = strategy,
                                             .count = 7,
                                             .client_token = "token",
                                             .tags = &tag,
                                             .n_tags = spot ? 1 : 0,
                                     });
}

static void a_fleet_of_spot_instances_on_the_wire(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                fleet_call(*state, true, "price-capacity-optimized");

        assert_string_equal(buf_string(&call->url), ENDPOINT);
        assert_string_equal(buf_string(&call->body),
                "Action=CreateFleet&Version=2016-11-15&Type=instant&ClientToken=token"
                "&LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateName="
                "scale-agent"
                "&LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version=%24Default"
                "&LaunchTemplateConfigs.1.Overrides.1.InstanceType=m7i.large"
                "&LaunchTemplateConfigs.1.Overrides.1.SubnetId=subnet-0a"
                "&LaunchTemplateConfigs.1.Overrides.1.Priority=0"
                "&LaunchTemplateConfigs.1.Overrides.2.InstanceType=m7i.large"
                "&LaunchTemplateConfigs.1.Overrides.2.SubnetId=subnet-0b"
                "&LaunchTemplateConfigs.1.Overrides.2.Priority=0"
                "&LaunchTemplateConfigs.1.Overrides.3.InstanceType=m7a.large"
                "&LaunchTemplateConfigs.1.Overrides.3.SubnetId=subnet-0a"
                "&LaunchTemplateConfigs.1.Overrides.3.Priority=1"
                "&TargetCapacitySpecification.TotalTargetCapacity=7"
                "&TargetCapacitySpecification.DefaultTargetCapacityType=spot"
                "&SpotOptions.AllocationStrategy=price-capacity-optimized"
                "&SpotOptions.InstanceInterruptionBehavior=terminate"
                "&TagSpecification.1.ResourceType=fleet"
                "&TagSpecification.1.Tag.1.Key=scale-agent%3Aspec"
                "&TagSpecification.1.Tag.1.Value=linux+x64"
                "&TagSpecification.2.ResourceType=instance"
                "&TagSpecification.2.Tag.1.Key=scale-agent%3Aspec"
                "&TagSpecification.2.Tag.1.Value=linux+x64"
                "&TagSpecification.3.ResourceType=volume"
                "&TagSpecification.3.Tag.1.Key=scale-agent%3Aspec"
                "&TagSpecification.3.Tag.1.Value=linux+x64");
}

static void a_fleet_on_demand_on_the_wire(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                fleet_call(*state, false, "prioritized");

        assert_string_equal(buf_string(&call->body),
                "Action=CreateFleet&Version=2016-11-15&Type=instant&ClientToken=token"
                "&LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateId=lt-0abc"
                "&LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version=12"
                "&LaunchTemplateConfigs.1.Overrides.1.InstanceType=m7i.large"
                "&LaunchTemplateConfigs.1.Overrides.1.SubnetId=subnet-0a"
                "&LaunchTemplateConfigs.1.Overrides.1.Priority=0"
                "&TargetCapacitySpecification.TotalTargetCapacity=7"
                "&TargetCapacitySpecification.DefaultTargetCapacityType=on-demand"
                "&OnDemandOptions.AllocationStrategy=prioritized");
}

#define GROUP(type, subnet, ids)                                                              \
        "<item><launchTemplateAndOverrides><launchTemplateSpecification><launchTemplateId>lt" \
        "-1</launchTemplateId></launchTemplateSpecification><overrides><instanceType>" type   \
        "</instanceType><subnetId>" subnet "</subnetId><availabilityZone>eu-central-1a"       \
        "</availabilityZone></overrides></launchTemplateAndOverrides><lifecycle>spot"         \
        "</lifecycle><instanceIds>" ids "</instanceIds><instanceType>" type                   \
        "</instanceType></item>"
#define ID(id) "<item>" id "</item>"
#define ERROR(code, type, subnet)                                                             \
        "<item><launchTemplateAndOverrides><overrides><instanceType>" type "</instanceType>"  \
        "<subnetId>" subnet "</subnetId></overrides></launchTemplateAndOverrides><lifecycle>" \
        "spot</lifecycle><errorCode>" code "</errorCode><errorMessage>no &amp; no"            \
        "</errorMessage></item>"
#define FLEET(groups, errors)                                                                  \
        "<CreateFleetResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1" \
        "</requestId><fleetId>fleet-1</fleetId><errorSet>" errors "</errorSet>"                \
        "<fleetInstanceSet>" groups "</fleetInstanceSet></CreateFleetResponse>"

static void instances_count_whatever_errors_stand_beside_them(void **state)
{
        static const char xml[] =
                FLEET(GROUP("m7a.large", "subnet-0a", ID("i-0000000c") ID("i-0000000a"))
                                GROUP("m7i.large", "subnet-0b", ID("i-0000000b")),
                        ERROR("InsufficientInstanceCapacity", "m7i.large", "subnet-0a")
                                ERROR("VcpuLimitExceeded", "", ""));
        _cleanup_(http_call_freep) struct http_call *call = fleet_call(*state, true, "x");
        _cleanup_(ec2_launched_release) struct ec2_launched launched = {0};
        struct aws_error error;
        struct err err;

        answer(call, 200, xml);
        assert_int_equal(ec2_create_fleet_answer(call, &launched, &error, &err), 0);
        assert_int_equal(launched.instances.count, 3);
        for (unsigned i = 0; i < 3; i++) {
                static const char *const ids[] = {"i-0000000a", "i-0000000b", "i-0000000c"};
                const struct ec2_instance *instance = &launched.instances.items[i];

                assert_string_equal(instance->id, ids[i]);
                assert_int_equal(instance->launch_index, i);
                assert_string_equal(instance->type, i == 1 ? "m7i.large" : "m7a.large");
                assert_string_equal(instance->subnet, i == 1 ? "subnet-0b" : "subnet-0a");
                assert_string_equal(instance->zone, "eu-central-1a");
                assert_true(instance->spot);
                assert_true(ec2_instance_lives(instance));
        }
        assert_int_equal(launched.n_errors, 2);
        assert_string_equal(launched.errors[0].code, "InsufficientInstanceCapacity");
        assert_string_equal(launched.errors[0].message, "no & no");
        assert_string_equal(launched.errors[0].instance_type, "m7i.large");
        assert_string_equal(launched.errors[0].subnet, "subnet-0a");
        assert_string_equal(launched.errors[1].code, "VcpuLimitExceeded");
        assert_string_equal(launched.errors[1].subnet, "");
}

static void an_answer_may_hold_no_instance(void **state)
{
        static const char *const answers[] = {
                FLEET("", ERROR("InsufficientInstanceCapacity", "m7i.large", "subnet-0a")),
                FLEET("", ""),
                FLEET(GROUP("m7i.large", "subnet-0a", ""), ""),
                "<CreateFleetResponse><fleetId>fleet-1</fleetId></CreateFleetResponse>",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                _cleanup_(ec2_launched_release) struct ec2_launched launched = {.n_errors = 77};

                assert_int_equal(
                        ec2_parse_fleet(answers[i], strlen(answers[i]), &launched, NULL), 0);
                assert_int_equal(launched.instances.count, 0);
                assert_int_equal(launched.n_errors, i == 0 ? 1 : 0);
        }
}

static void an_answer_that_cannot_be_trusted_is_refused(void **state)
{
        static const char *const answers[] = {
                "",
                "<CreateFleetResponse><fleetId>fleet-1</fleet",
                "<RunInstancesResponse><instancesSet/></RunInstancesResponse>",
                FLEET(GROUP("m7i.large", "subnet-0a", ID("i-0000000a") ID("../x")), ""),
                FLEET(GROUP("m7i.large", "subnet-0a",
                              ID("i-0000000a0000000a0000000a0000000a0000000a")),
                        ""),
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                struct ec2_launched launched = {.n_errors = 77};
                struct err err = {0};

                assert_int_equal(
                        ec2_parse_fleet(answers[i], strlen(answers[i]), &launched, &err), -EBADMSG);
                assert_int_equal(launched.n_errors, 77);
                assert_true(err.text[0] != '\0');
        }
}

static void the_number_of_instances_and_errors_is_bounded(void **state)
{
        (void)state;
        for (unsigned n = 1000; n <= 1001; n++) {
                _cleanup_buf_ struct buf xml = BUF_INIT(1024UL * 1024);
                _cleanup_(ec2_launched_release) struct ec2_launched launched = {0};

                buf_add_string(&xml, "<CreateFleetResponse><errorSet>");
                for (unsigned i = 0; i <= EC2_FLEET_ERRORS_MAX; i++)
                        buf_add_string(&xml, "<item><errorCode>x</errorCode></item>");
                buf_add_string(&xml, "</errorSet><fleetInstanceSet><item><instanceIds>");
                for (unsigned i = 0; i < n; i++)
                        buf_add_format(&xml, "<item>i-%08x</item>", i);
                buf_add_string(&xml, "</instanceIds></item></fleetInstanceSet>"
                                     "</CreateFleetResponse>");
                assert_int_equal(ec2_parse_fleet(buf_string(&xml), xml.size, &launched, NULL),
                        n > 1000 ? -EBADMSG : 0);
                if (n == 1000)
                        assert_int_equal(launched.n_errors, EC2_FLEET_ERRORS_MAX);
        }
}

static void a_refused_fleet_says_its_code(void **state)
{
        static const struct {
                int status;
                const char *code;
                unsigned tries;
        } rows[] = {
                {400, "IdempotentParameterMismatch", 1},
                {500, "InsufficientInstanceCapacity", 1},
                {503, "RequestLimitExceeded", 3},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(http_call_freep) struct http_call *call = fleet_call(*state, true, "x");
                _cleanup_free_ char *xml = mem_format(
                        "<Response><Errors><Error><Code>%s</Code></Error></Errors></Response>",
                        rows[i].code);
                struct ec2_launched launched = {0};
                struct aws_error error = {0};
                struct err err;

                script_assert_tries(call, ENDPOINT, rows[i].status, xml, rows[i].tries);
                assert_int_equal(
                        ec2_create_fleet_answer(call, &launched, &error, &err), AWS_REFUSED);
                assert_string_equal(error.code, rows[i].code);
        }
}

#define TEST(function) \
        cmocka_unit_test_setup_teardown(function, fake_aws_set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_fleet_of_spot_instances_on_the_wire),
                TEST(a_fleet_on_demand_on_the_wire),
                TEST(instances_count_whatever_errors_stand_beside_them),
                TEST(an_answer_may_hold_no_instance),
                TEST(an_answer_that_cannot_be_trusted_is_refused),
                TEST(the_number_of_instances_and_errors_is_bounded),
                TEST(a_refused_fleet_says_its_code),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
