/* SPDX-License-Identifier: MIT */

/*
 * What `scaler doctor` asks EC2 and Service Quotas: what exists is read, what is missing is told
 * apart from a failure, and a truncated answer is refused as a whole.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "aws/describe.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "unit.h"

static const char templates[] =
        "<DescribeLaunchTemplateVersionsResponse><requestId>1</requestId><launchTemplateVersionSet>"
        "<item><launchTemplateId>lt-1</launchTemplateId><versionNumber>3</versionNumber>"
        "<launchTemplateData><imageId>ami-1</imageId><iamInstanceProfile><arn>arn:p</arn>"
        "</iamInstanceProfile><metadataOptions><httpTokens>required</httpTokens>"
        "<instanceMetadataTags>enabled</instanceMetadataTags><httpPutResponseHopLimit>1"
        "</httpPutResponseHopLimit></metadataOptions><instanceInitiatedShutdownBehavior>terminate"
        "</instanceInitiatedShutdownBehavior>"
        "<blockDeviceMappingSet><item><imageId>no</imageId><ebs><encrypted>true</encrypted>"
        "<kmsKeyId>arn:k</kmsKeyId></ebs></item></blockDeviceMappingSet>"
        "</launchTemplateData></item></launchTemplateVersionSet>"
        "</DescribeLaunchTemplateVersionsResponse>";

static const char subnets[] =
        "<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-1</subnetId><state>available"
        "</state><availableIpAddressCount>251</availableIpAddressCount><availabilityZone>eu-central"
        "-1a</availabilityZone><tagSet><item><key>subnetId</key></item></tagSet></item>"
        "<item><subnetId>subnet-2</subnetId></item></subnetSet></DescribeSubnetsResponse>";

static const char images[] =
        "<DescribeImagesResponse><imagesSet><item><imageId>ami-1</imageId><imageState>available"
        "</imageState><architecture>arm64</architecture><blockDeviceMapping><item><ebs><snapshotId>"
        "snap-1</snapshotId><encrypted>true</encrypted></ebs></item></blockDeviceMapping><tagSet>"
        "<item><key>a</key><value>1</value></item><item><key>scale-agent:runner-version</key>"
        "<value>2.338.0</value></item><item><key>scale-agent:job-metadata</key><value>deny</"
        "value></item></tagSet></item>"
        "<item><imageId>ami-2</imageId></item></imagesSet>"
        "</DescribeImagesResponse>";

static const char snapshots[] =
        "<DescribeSnapshotsResponse><snapshotSet><item><snapshotId>snap-1</snapshotId><encrypted>"
        "true</encrypted><kmsKeyId>arn:k</kmsKeyId></item></snapshotSet>"
        "</DescribeSnapshotsResponse>";

static const char offerings[] =
        "<DescribeInstanceTypeOfferingsResponse><instanceTypeOfferingSet><item><instanceType>"
        "m7i.large</instanceType><locationType>availability-zone</locationType><location>"
        "eu-central-1a</location></item></instanceTypeOfferingSet>"
        "</DescribeInstanceTypeOfferingsResponse>";

static void a_launch_template_is_read(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                ec2_describe_template(*state, "lt-1", "$Default");
        struct ec2_template template = {0};
        struct err err;

        assert_contains(buf_string(&call->body),
                "&LaunchTemplateId=lt-1&LaunchTemplateVersion.1=%24Default");
        answer(call, 200, templates);
        assert_int_equal(ec2_describe_template_answer(call, &template, &err), 0);
        assert_string_equal(template.id, "lt-1");
        assert_string_equal(template.version, "3");
        assert_string_equal(template.image, "ami-1");
        assert_string_equal(template.encrypted, "true");
        assert_string_equal(template.key, "arn:k");
        assert_string_equal(template.profile, "arn:p");
        assert_string_equal(template.http_tokens, "required");
        assert_string_equal(template.tags_shown, "enabled");
        assert_string_equal(template.hop_limit, "1");
        assert_string_equal(template.shutdown, "terminate");
}

static void a_template_that_is_missing_is_no_failure(void **state)
{
        static const char *const codes[] = {"InvalidLaunchTemplateName.NotFoundException",
                "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound"};
        _cleanup_(http_call_freep) struct http_call *call =
                ec2_describe_template(*state, "x&y", "1");
        struct ec2_template template = {0};
        struct err err;

        assert_contains(buf_string(&call->body), "&LaunchTemplateName=x%26y&");
        for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
                _cleanup_free_ char *xml = mem_format(
                        "<Response><Errors><Error><Code>%s</Code></Error></Errors></Response>",
                        codes[i]);

                answer(call, 400, xml);
                assert_int_equal(
                        ec2_describe_template_answer(call, &template, &err), EC2_NO_TEMPLATE);
        }
        answer(call, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors>"
                "</Response>");
        assert_int_equal(ec2_describe_template_answer(call, &template, &err), -EACCES);
        assert_contains(err.text, "allow ec2:DescribeLaunchTemplateVersions");
}

static void lists_are_read_and_items_within_items_are_not(void **state)
{
        _cleanup_(ec2_subnets_release) struct ec2_subnets found = {0};
        _cleanup_(ec2_images_release) struct ec2_images image = {0};
        _cleanup_(ec2_snapshots_release) struct ec2_snapshots snapshot = {0};
        _cleanup_(ec2_offerings_release) struct ec2_offerings offering = {0};

        (void)state;
        assert_int_equal(ec2_parse_subnets(subnets, strlen(subnets), &found, NULL), 0);
        assert_int_equal(found.count, 2);
        assert_string_equal(found.items[0].id, "subnet-1");
        assert_string_equal(found.items[0].zone, "eu-central-1a");
        assert_string_equal(found.items[0].free_addresses, "251");
        assert_string_equal(found.items[1].zone, "");
        assert_int_equal(ec2_parse_images(images, strlen(images), &image, NULL), 0);
        assert_string_equal(image.items[0].architecture, "arm64");
        assert_string_equal(image.items[0].snapshot, "snap-1");
        assert_string_equal(image.items[0].encrypted, "true");
        assert_string_equal(image.items[0].runner_version, "2.338.0");
        assert_string_equal(image.items[0].job_metadata, "deny");
        assert_string_equal(image.items[1].runner_version, "");
        assert_int_equal(ec2_parse_snapshots(snapshots, strlen(snapshots), &snapshot, NULL), 0);
        assert_string_equal(snapshot.items[0].encrypted, "true");
        assert_string_equal(snapshot.items[0].key, "arn:k");
        assert_int_equal(ec2_parse_offerings(offerings, strlen(offerings), &offering, NULL), 0);
        assert_string_equal(offering.items[0].zone, "eu-central-1a");
}

static void cut_lists_are_refused(void **state)
{
        struct ec2_subnets untouched = {.count = 77};
        struct err err;

        (void)state;
        for (size_t size = 0; size < strlen(subnets); size++)
                assert_int_equal(ec2_parse_subnets(subnets, size, &untouched, &err), -EBADMSG);
        assert_int_equal(ec2_parse_subnets(images, strlen(images), &untouched, &err), -EBADMSG);
        assert_int_equal(untouched.count, 77);
        assert_string_equal(err.text, "EC2's answer has no subnetSet");
}

static void what_is_asked_for_is_encoded(void **state)
{
        static const char *const types[] = {"m7i.large", "a b"};
        static const char *const zones[] = {"eu-central-1a"};
        _cleanup_(http_call_freep) struct http_call *call =
                ec2_describe_offerings(*state, types, 2, zones, 1);

        assert_contains(buf_string(&call->body),
                "&Filter.1.Name=location&Filter.1.Value.1=eu-central-1a&Filter.2.Name=instance-type"
                "&Filter.2.Value.1=m7i.large&Filter.2.Value.2=a+b");
}

static void a_quota_has_a_value(void **state)
{
        static const char *const garbage[] = {"", "{}", "[]", "{\"Quota\":{\"Value\":\"1\"}}"};
        _cleanup_(http_call_freep) struct http_call *call = quotas_get(*state, "ec2", "L-34B43A08");
        struct err err;
        double value = 7;

        assert_string_equal(
                buf_string(&call->url), "https://servicequotas.eu-central-1.amazonaws.com/");
        assert_string_equal(
                buf_string(&call->body), "{\"ServiceCode\":\"ec2\",\"QuotaCode\":\"L-34B43A08\"}");
        assert_contains(buf_string(&call->headers),
                "X-Amz-Target: ServiceQuotasV20190624.GetServiceQuota\n");
        for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
                answer(call, 200, garbage[i]);
                assert_int_equal(quotas_get_answer(call, &value, &err), -EBADMSG);
        }
        answer(call, 400, "{\"__type\":\"NoSuchResourceException\"}");
        assert_int_equal(quotas_get_answer(call, &value, &err), QUOTAS_NOT_FOUND);
        assert_true(value == 7);
        answer(call, 200, "{\"Quota\":{\"Value\":640.0}}");
        assert_int_equal(quotas_get_answer(call, &value, &err), 0);
        assert_true(value == 640);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_launch_template_is_read),
                cmocka_unit_test(a_template_that_is_missing_is_no_failure),
                cmocka_unit_test(lists_are_read_and_items_within_items_are_not),
                cmocka_unit_test(cut_lists_are_refused),
                cmocka_unit_test(what_is_asked_for_is_encoded),
                cmocka_unit_test(a_quota_has_a_value),
        };

        return cmocka_run_group_tests(tests, fake_aws_set_up, fake_aws_tear_down);
}
