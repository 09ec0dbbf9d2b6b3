/* SPDX-License-Identifier: MIT */

/*
 * EC2: the exact form of our calls, what each error code leads to, and that no answer is taken for
 * more than it says.
 */

#include <errno.h>
#include <stdlib.h>

#include "answer.h"
#include "aws/ec2.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "script.h"
#include "unit.h"

#define ENDPOINT "https://ec2.eu-central-1.amazonaws.com/"
#define XMLNS " xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\""

/* -- error classes -- */

static const struct {
        const char *code;
        enum ec2_error_class class;
} classes[] = {
        {"InsufficientInstanceCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientReservedInstanceCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientHostCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientCapacityOnHost", EC2_ERROR_CAPACITY},
        {"UnfulfillableCapacity", EC2_ERROR_CAPACITY},
        {"SpotMaxPriceTooLow", EC2_ERROR_CAPACITY},
        {"Unsupported", EC2_ERROR_CAPACITY},
        {"InvalidFleetConfiguration", EC2_ERROR_CAPACITY},
        {"ReservationCapacityExceeded", EC2_ERROR_CAPACITY},
        {"InsufficientFreeAddressesInSubnet", EC2_ERROR_SUBNET},
        {"MaxSpotInstanceCountExceeded", EC2_ERROR_QUOTA},
        {"VcpuLimitExceeded", EC2_ERROR_QUOTA},
        {"InstanceLimitExceeded", EC2_ERROR_QUOTA},
        {"MaxFleetCountExceeded", EC2_ERROR_QUOTA},
        {"ResourceLimitExceeded", EC2_ERROR_QUOTA},
        {"PendingVerification", EC2_ERROR_QUOTA},
        {"RequestLimitExceeded", EC2_ERROR_THROTTLED},
        {"Throttling", EC2_ERROR_THROTTLED},
        {"ThrottlingException", EC2_ERROR_THROTTLED},
        {"EC2ThrottledException", EC2_ERROR_THROTTLED},
        {"InternalError", EC2_ERROR_UNSURE},
        {"InternalFailure", EC2_ERROR_UNSURE},
        {"ServiceUnavailable", EC2_ERROR_UNSURE},
        {"Unavailable", EC2_ERROR_UNSURE},
        {"RequestTimeout", EC2_ERROR_UNSURE},
        {"RequestTimeoutException", EC2_ERROR_UNSURE},
        {"IdempotentParameterMismatch", EC2_ERROR_TOKEN_OTHER},
        {"IdempotentInstanceTerminated", EC2_ERROR_TOKEN_ENDED},
        {"AuthFailure", EC2_ERROR_FATAL},
        {"AuthFailure.ServiceLinkedRoleCreationNotPermitted", EC2_ERROR_FATAL},
        {"UnauthorizedOperation", EC2_ERROR_FATAL},
        {"OptInRequired", EC2_ERROR_FATAL},
        {"Blocked", EC2_ERROR_FATAL},
        {"InvalidParameterValue", EC2_ERROR_FATAL},
        {"InvalidLaunchTemplateName.NotFoundException", EC2_ERROR_FATAL},
        {"InvalidSubnetID.NotFound", EC2_ERROR_NO_SUBNET},
        {"InvalidSubnetID.Malformed", EC2_ERROR_FATAL},
        {"InsufficientVolumeCapacity", EC2_ERROR_CAPACITY},
        {"InsufficientAddressCapacity", EC2_ERROR_CAPACITY},
        {"VolumeLimitExceeded", EC2_ERROR_QUOTA},
        {"MaxIOPSLimitExceeded", EC2_ERROR_QUOTA},
        {"NetworkInterfaceLimitExceeded", EC2_ERROR_QUOTA},
        {"AttachmentLimitExceeded", EC2_ERROR_QUOTA},
        {"UnsupportedOperation", EC2_ERROR_TYPE},
        {"MissingParameter", EC2_ERROR_FATAL},
        {"SignatureDoesNotMatch", EC2_ERROR_FATAL},
        /* Similar to codes of the table, but not in it. */
        {"InsufficientInstanceCapacityX", EC2_ERROR_UNKNOWN},
        {"insufficientinstancecapacity", EC2_ERROR_UNKNOWN},
        {"SomethingNew", EC2_ERROR_UNKNOWN},
        {"", EC2_ERROR_UNKNOWN},
};

static char *error_xml(const char *code)
{
        return mem_format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>"
                          "<Code>%s</Code><Message>We currently do not have sufficient m7i.large "
                          "capacity.</Message></Error></Errors><RequestID>ea966190-f9aa"
                          "</RequestID></Response>",
                code);
}

static void each_code_has_its_class(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
                if (ec2_classify(classes[i].code) != classes[i].class)
                        fail_msg("%s is of another class", classes[i].code);
}

static struct http_call *launch_call(struct aws *aws)
{
        return ec2_run_instances(aws, &(const struct ec2_launch){
                                              .launch_template = "scale-agent",
                                              .launch_template_version = "$Default",
                                              .instance_type = "m7i.large",
                                              .subnet = "subnet-1",
                                              .spot = true,
                                              .count = 1,
                                              .client_token = "token",
                                      });
}

/* EC2 reports missing capacity as HTTP 500: a retry would only delay the next offer. */
static void only_transient_errors_are_tried_again(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
                _cleanup_(http_call_freep) struct http_call *call = launch_call(*state);
                _cleanup_free_ char *xml = error_xml(classes[i].code);
                struct ec2_instances instances = {0};
                struct aws_error error = {0};
                struct err err;
                int status = classes[i].class == EC2_ERROR_CAPACITY ? 500 : 400;
                bool passes = classes[i].class == EC2_ERROR_THROTTLED ||
                              classes[i].class == EC2_ERROR_UNSURE;

                script_assert_tries(call, ENDPOINT, status, xml, passes ? 3 : 1);
                if (!*classes[i].code)
                        continue;
                assert_int_equal(
                        ec2_run_instances_answer(call, &instances, &error, &err), AWS_REFUSED);
                assert_string_equal(error.code, classes[i].code);
                assert_int_equal(instances.count, 0);
        }
}

static void unreadable_server_errors_are_tried_again(void **state)
{
        static const struct {
                int status;
                const char *body;
                unsigned tries;
        } cases[] = {
                {503, "<html>Service Unavailable</html>", 3},
                {500, "", 3},
                {500,
                        "<Response><Errors><Error><Code>SomethingNew</Code></Error></Errors>"
                        "</Response>",
                        3},
                {400, "<html>Bad Request</html>", 1},
                {200, "<RunInstancesResponse/>", 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(http_call_freep) struct http_call *call = launch_call(*state);

                script_assert_tries(call, ENDPOINT, cases[i].status, cases[i].body, cases[i].tries);
        }
}

/* -- forms -- */

static void a_spot_launch_on_the_wire(void **state)
{
        static const struct ec2_tag tags[] = {
                {"scale-agent:spec", "linux x64"}, {"Name", "a&b=c+d/\xc3\xa4"}};
        _cleanup_(http_call_freep) struct http_call *call =
                ec2_run_instances(*state, &(const struct ec2_launch){
                                                  .launch_template = "scale-agent",
                                                  .launch_template_version = "$Default",
                                                  .instance_type = "m7i.large",
                                                  .subnet = "subnet-0a1",
                                                  .spot = true,
                                                  .count = 7,
                                                  .client_token = "job-1-m7i.large",
                                                  .tags = tags,
                                                  .n_tags = ARRAY_SIZE(tags),
                                          });

        assert_string_equal(buf_string(&call->url), ENDPOINT);
        assert_string_equal(buf_string(&call->body),
                "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=7"
                "&LaunchTemplate.LaunchTemplateName=scale-agent"
                "&LaunchTemplate.Version=%24Default"
                "&InstanceType=m7i.large&SubnetId=subnet-0a1&ClientToken=job-1-m7i.large"
                "&InstanceInitiatedShutdownBehavior=terminate"
                "&MetadataOptions.HttpTokens=required"
                "&MetadataOptions.InstanceMetadataTags=enabled"
                "&MetadataOptions.HttpPutResponseHopLimit=1"
                "&InstanceMarketOptions.MarketType=spot"
                "&InstanceMarketOptions.SpotOptions.SpotInstanceType=one-time"
                "&InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior=terminate"
                "&TagSpecification.1.ResourceType=instance"
                "&TagSpecification.1.Tag.1.Key=scale-agent%3Aspec"
                "&TagSpecification.1.Tag.1.Value=linux+x64"
                "&TagSpecification.1.Tag.2.Key=Name"
                "&TagSpecification.1.Tag.2.Value=a%26b%3Dc%2Bd%2F%C3%A4"
                "&TagSpecification.2.ResourceType=volume"
                "&TagSpecification.2.Tag.1.Key=scale-agent%3Aspec"
                "&TagSpecification.2.Tag.1.Value=linux+x64"
                "&TagSpecification.2.Tag.2.Key=Name"
                "&TagSpecification.2.Tag.2.Value=a%26b%3Dc%2Bd%2F%C3%A4");
}

static void an_on_demand_launch_on_the_wire(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                ec2_run_instances(*state, &(const struct ec2_launch){
                                                  .launch_template = "lt-0abc",
                                                  .launch_template_version = "12",
                                                  .instance_type = "c7g.xlarge",
                                                  .subnet = "subnet-0a1",
                                                  .count = 1,
                                                  .client_token = "t",
                                          });

        assert_string_equal(buf_string(&call->body),
                "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1"
                "&LaunchTemplate.LaunchTemplateId=lt-0abc&LaunchTemplate.Version=12"
                "&InstanceType=c7g.xlarge&SubnetId=subnet-0a1&ClientToken=t"
                "&InstanceInitiatedShutdownBehavior=terminate"
                "&MetadataOptions.HttpTokens=required"
                "&MetadataOptions.InstanceMetadataTags=enabled"
                "&MetadataOptions.HttpPutResponseHopLimit=1");
}

static void the_other_calls_on_the_wire(void **state)
{
        static const char *const ids[] = {"i-1", "i-2"};
        static const struct ec2_tag tag = {"scale-agent:job-url", "https://x/y?a=b"};
        _cleanup_(http_call_freep) struct http_call *terminate =
                ec2_terminate_instances(*state, ids, 2);
        _cleanup_(http_call_freep) struct http_call *describe =
                ec2_describe_instances(*state, ids, 2);
        _cleanup_(http_call_freep) struct http_call *create_tags =
                ec2_create_tags(*state, "i-1", &tag, 1);

        assert_string_equal(buf_string(&terminate->body),
                "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2");
        assert_string_equal(buf_string(&describe->body),
                "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-id"
                "&Filter.1.Value.1=i-1&Filter.1.Value.2=i-2");
        assert_string_equal(buf_string(&create_tags->body),
                "Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1"
                "&Tag.1.Key=scale-agent%3Ajob-url&Tag.1.Value=https%3A%2F%2Fx%2Fy%3Fa%3Db");
}

/* -- answers -- */

static void a_launch_names_its_instances(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = launch_call(*state);
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        struct aws_error error;
        struct err err;

        answer(call, 200,
                "<RunInstancesResponse" XMLNS "><ownerId>123456789012</ownerId><instancesSet><item>"
                "<instanceId>i-0123456789abcdef0</instanceId></item></instancesSet>"
                "</RunInstancesResponse>");
        assert_int_equal(ec2_run_instances_answer(call, &instances, &error, &err), 0);
        assert_int_equal(instances.count, 1);
        assert_string_equal(instances.items[0].id, "i-0123456789abcdef0");
        answer(call, 200, "<RunInstancesResponse" XMLNS "><ownerId>123456789012</own");
        assert_int_equal(ec2_run_instances_answer(call, &instances, &error, &err), -EBADMSG);
        assert_contains(err.text, "RunInstances: ");
        assert_int_equal(instances.count, 1);
        answer_nothing(call, -ETIMEDOUT);
        assert_int_equal(ec2_run_instances_answer(call, &instances, &error, &err), -ETIMEDOUT);
}

static void an_empty_list_is_an_answer_only_when_describing(void **state)
{
        static const char *const ids[] = {"i-1"};
        _cleanup_(http_call_freep) struct http_call *launch = launch_call(*state);
        _cleanup_(http_call_freep) struct http_call *describe =
                ec2_describe_instances(*state, ids, 1);
        struct ec2_instances instances = {.count = 77};
        struct aws_error error;
        struct err err;

        answer(launch, 200,
                "<RunInstancesResponse" XMLNS "><instancesSet/></RunInstancesResponse>");
        assert_int_equal(ec2_run_instances_answer(launch, &instances, &error, &err), -EBADMSG);
        assert_contains(err.text, "RunInstances");
        assert_int_equal(instances.count, 77);

        answer(describe, 200,
                "<DescribeInstancesResponse" XMLNS
                "><reservationSet/></DescribeInstancesResponse>");
        assert_int_equal(ec2_describe_instances_answer(describe, &instances, &err), 0);
        assert_int_equal(instances.count, 0);
}

/* EC2 is eventually consistent: an instance launched a moment ago may not be found yet. */
static void an_instance_that_is_gone_counts_as_terminated(void **state)
{
        static const char *const ids[] = {"i-1", "i-2"};
        _cleanup_free_ char *unknown = error_xml("InvalidInstanceID.NotFound");
        _cleanup_free_ char *forbidden = error_xml("UnauthorizedOperation");
        _cleanup_free_ char *protected = error_xml("OperationNotPermitted");
        _cleanup_free_ char *throttled = error_xml("RequestLimitExceeded");
        _cleanup_(http_call_freep) struct http_call *one = ec2_terminate_instances(*state, ids, 1);
        _cleanup_(http_call_freep) struct http_call *two = ec2_terminate_instances(*state, ids, 2);
        struct err err;

        script_assert_tries(one, ENDPOINT, 400, unknown, 3);
        assert_int_equal(ec2_terminate_instances_answer(one, &err), 0);
        script_assert_tries(two, ENDPOINT, 400, unknown, 3);
        assert_int_equal(ec2_terminate_instances_answer(two, &err), -ENOENT);
        answer(two, 400, protected);
        assert_int_equal(ec2_terminate_instances_answer(two, &err), -ENOENT);
        answer(two, 403, forbidden);
        assert_int_equal(ec2_terminate_instances_answer(two, &err), -ENOENT);
        assert_contains(err.text, "UnauthorizedOperation");
        answer(two, 503, throttled);
        assert_int_equal(ec2_terminate_instances_answer(two, &err), -EREMOTEIO);
        answer(one, 400, protected);
        assert_int_equal(ec2_terminate_instances_answer(one, &err), -EREMOTEIO);
        answer(one, 400, forbidden);
        assert_int_equal(ec2_terminate_instances_answer(one, &err), -EACCES);
        answer(one, 200, "<TerminateInstancesResponse/>");
        assert_int_equal(ec2_terminate_instances_answer(one, &err), 0);
        answer_nothing(one, -ETIMEDOUT);
        assert_int_equal(ec2_terminate_instances_answer(one, &err), -ETIMEDOUT);
}

static void tags_need_an_instance(void **state)
{
        static const struct ec2_tag tag = {"k", "v"};
        _cleanup_free_ char *unknown = error_xml("InvalidInstanceID.NotFound");
        _cleanup_free_ char *busy = error_xml("TagLimitExceeded");
        _cleanup_(http_call_freep) struct http_call *call = ec2_create_tags(*state, "i-1", &tag, 1);
        struct err err;

        answer(call, 400, unknown);
        assert_int_equal(ec2_create_tags_answer(call, &err), EC2_NO_INSTANCE);
        answer(call, 400, busy);
        assert_int_equal(ec2_create_tags_answer(call, &err), -EREMOTEIO);
        assert_contains(err.text, "CreateTags with TagLimitExceeded");
        answer(call, 200, "<CreateTagsResponse><return>true</return></CreateTagsResponse>");
        assert_int_equal(ec2_create_tags_answer(call, &err), 0);
}

static void a_refused_description_is_an_error(void **state)
{
        static const char *const ids[] = {"i-1"};
        _cleanup_free_ char *throttled = error_xml("RequestLimitExceeded");
        _cleanup_(http_call_freep) struct http_call *call = ec2_describe_instances(*state, ids, 1);
        struct ec2_instances instances = {.count = 77};
        struct err err;

        answer(call, 503, throttled);
        assert_int_equal(ec2_describe_instances_answer(call, &instances, &err), -EREMOTEIO);
        answer(call, 200, "<html/>");
        assert_int_equal(ec2_describe_instances_answer(call, &instances, &err), -EBADMSG);
        assert_contains(err.text, "DescribeInstances: ");
        assert_int_equal(instances.count, 77);
}

#define TEST(function) \
        cmocka_unit_test_setup_teardown(function, fake_aws_set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_code_has_its_class),
                TEST(only_transient_errors_are_tried_again),
                TEST(unreadable_server_errors_are_tried_again),
                TEST(a_spot_launch_on_the_wire),
                TEST(an_on_demand_launch_on_the_wire),
                TEST(the_other_calls_on_the_wire),
                TEST(an_empty_list_is_an_answer_only_when_describing),
                TEST(a_launch_names_its_instances),
                TEST(an_instance_that_is_gone_counts_as_terminated),
                TEST(tags_need_an_instance),
                TEST(a_refused_description_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
