/* SPDX-License-Identifier: MIT */

/*
 * EC2's XML: read as a whole or refused. An instance that is missed here is one that nobody ends;
 * an instance that is misread is somebody else's.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ec2.h"
#include "base/mem.h"
#include "unit.h"

#define XMLNS " xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\""

#define INSTANCE(id, lifecycle)                                                                    \
        "<item><instanceId>" id "</instanceId><imageId>ami-1</imageId><instanceState>"             \
        "<code>0</code><name>pending</name></instanceState><instanceType>m7i.large</instanceType>" \
        "<placement><availabilityZone>eu-central-1a</availabilityZone><tenancy>default</tenancy>"  \
        "</placement>" lifecycle "<tagSet><item><key>Name</key><value>ci &amp; co</value></item>"  \
        "<item><key>scale-agent:spec</key><value>linux-x64</value></item></tagSet>"                \
        "<networkInterfaceSet><item><ownerId>999999999999</ownerId><tagSet><item><key>Name</key>"  \
        "<value>eni</value></item></tagSet></item></networkInterfaceSet></item>"
#define SCHEDULED "<instanceLifecycle>scheduled</instanceLifecycle>"
#define SPOT "<instanceLifecycle>spot</instanceLifecycle>"

#define TWO                                                \
        "<instancesSet>" INSTANCE("i-0000000a", SCHEDULED) \
                INSTANCE("i-0000000b", SPOT) "</instancesSet>"
#define THIRD "<instancesSet>" INSTANCE("i-0000000c", SPOT) "</instancesSet>"
#define FOURTH "<instancesSet>" INSTANCE("i-0000000d", "") "</instancesSet>"

static const char run_answer[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<RunInstancesResponse" XMLNS ">\n"
        "    <requestId>59dbff89</requestId><reservationId>r-1</reservationId>"
        "<ownerId>123456789012</ownerId><groupSet/>\n" TWO "\n</RunInstancesResponse>\n";

static const char describe_answer[] =
        "<DescribeInstancesResponse" XMLNS "><requestId>1</requestId><reservationSet>"
        "<item>" TWO "<ownerId>111111111111</ownerId></item>"
        "<item><ownerId>222222222222</ownerId>" THIRD "</item>"
        "<item>" FOURTH "</item></reservationSet></DescribeInstancesResponse>";

static int parse(const char *xml, struct ec2_instances *ret, struct err *err)
{
        return ec2_parse_instances(xml, strlen(xml), ret, err);
}

static void a_launch_names_its_instances(void **state)
{
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};

        (void)state;
        assert_int_equal(parse(run_answer, &instances, NULL), 0);
        assert_int_equal(instances.count, 2);
        assert_string_equal(instances.items[0].id, "i-0000000a");
        assert_string_equal(instances.items[0].type, "m7i.large");
        assert_string_equal(instances.items[0].zone, "eu-central-1a");
        assert_string_equal(instances.items[0].state, "pending");
        assert_string_equal(instances.items[0].account, "123456789012");
        assert_false(instances.items[0].spot);
        assert_int_equal(instances.items[0].n_tags, 2);
        assert_string_equal(ec2_instance_tag(&instances.items[0], "Name"), "ci & co");
        assert_string_equal(ec2_instance_tag(&instances.items[0], "scale-agent:spec"), "linux-x64");
        assert_null(ec2_instance_tag(&instances.items[0], "scale-agent"));
        assert_string_equal(instances.items[1].id, "i-0000000b");
        assert_string_equal(instances.items[1].account, "123456789012");
        assert_true(instances.items[1].spot);
}

static void owners_belong_to_their_reservation(void **state)
{
        static const char *const owners[] = {"111111111111", "111111111111", "222222222222", ""};
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};

        (void)state;
        assert_int_equal(parse(describe_answer, &instances, NULL), 0);
        assert_int_equal(instances.count, 4);
        for (size_t i = 0; i < 4; i++)
                assert_string_equal(instances.items[i].account, owners[i]);
        assert_string_equal(instances.items[3].id, "i-0000000d");
        assert_true(instances.items[2].spot);
        assert_false(instances.items[3].spot);
}

/* Wherever an answer is cut off, nothing of it is used. */
static void cut_answers_are_refused_as_a_whole(void **state)
{
        static const char *const whole[] = {run_answer, describe_answer};
        struct ec2_instances untouched = {.count = 77};
        struct err err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
                size_t end = strrchr(whole[i], '>') - whole[i];

                for (size_t size = 0; size <= end; size++) {
                        assert_int_equal(
                                ec2_parse_instances(whole[i], size, &untouched, &err), -EBADMSG);
                        assert_int_equal(untouched.count, 77);
                }
                assert_contains(err.text, " at byte ");
        }
}

static void other_documents_are_not_an_empty_list(void **state)
{
        static const char *const texts[] = {"", "no XML", "<html></html>",
                "<DescribeInstancesResponse/>",
                "<RunInstancesResponse><instanceset/>"
                "</RunInstancesResponse>",
                "<Response><Errors/></Response>",
                "<RunInstancesResponse><instancesSet/></RunInstancesResponse>x", "\xff\xfe<\0R"};
        struct ec2_instances untouched = {.count = 77};
        struct err err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                assert_int_equal(parse(texts[i], &untouched, &err), -EBADMSG);
                assert_int_equal(untouched.count, 77);
        }
}

/* BEFORE, N times PIECE, AFTER; the caller frees. */
static char *repeat(const char *before, const char *piece, size_t n, const char *after)
{
        _cleanup_buf_ struct buf text = BUF_INIT((size_t)4 * 1024 * 1024);

        buf_add_string(&text, before);
        for (size_t i = 0; i < n; i++)
                buf_add_string(&text, piece);
        buf_add_string(&text, after);
        return buf_steal(&text);
}

static void there_are_bounds(void **state)
{
        static const char list[] = "<RunInstancesResponse><instancesSet>";
        static const char list_end[] = "</instancesSet></RunInstancesResponse>";
        static const char item[] = "<item><instanceId>i-00000001</instanceId></item>";
        static const char tags[] =
                "<RunInstancesResponse><instancesSet><item><instanceId>i-00000001"
                "</instanceId><tagSet>";
        static const char tags_end[] = "</tagSet></item></instancesSet></RunInstancesResponse>";
        static const char tag[] = "<item><key>k</key><value>v</value></item>";
        _cleanup_free_ char *enough = repeat(list, item, 1000, list_end);
        _cleanup_free_ char *too_many = repeat(list, item, 1001, list_end);
        _cleanup_free_ char *many_tags = repeat(tags, tag, 64, tags_end);
        _cleanup_free_ char *too_many_tags = repeat(tags, tag, 65, tags_end);
        _cleanup_free_ char *deep = repeat(list, "<item>", 100000, "");
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        struct err err;

        (void)state;
        assert_int_equal(parse(enough, &instances, &err), 0);
        assert_int_equal(instances.count, 1000);
        ec2_instances_release(&instances);
        assert_int_equal(parse(too_many, &instances, &err), -EBADMSG);
        assert_contains(err.text, "too many instances at byte");
        assert_int_equal(parse(many_tags, &instances, &err), 0);
        assert_int_equal(instances.items[0].n_tags, 64);
        ec2_instances_release(&instances);
        assert_int_equal(parse(too_many_tags, &instances, &err), -EBADMSG);
        assert_contains(err.text, "too many tags");
        assert_int_equal(parse(deep, &instances, &err), -EBADMSG);
        assert_contains(err.text, "too deep");
}

/* A truncated id would name another instance; a truncated tag is only hard to read. */
static void long_texts_are_refused_or_cut(void **state)
{
        static const char begin[] = "<RunInstancesResponse><instancesSet><item><instanceId>i-";
        static const char end[] = "</item></instancesSet></RunInstancesResponse>";
        _cleanup_free_ char *id = repeat(begin, "0123456789", 3, "</instanceId>");
        _cleanup_free_ char *id_xml = repeat(id, end, 1, "");
        _cleanup_free_ char *value = repeat("<RunInstancesResponse><instancesSet><item><instanceId>"
                                            "i-00000001</instanceId><tagSet>"
                                            "<item><key>k</key><value>x",
                "\xc3\xa4", 5000, "</value></item></tagSet>");
        _cleanup_free_ char *value_xml = repeat(value, end, 1, "");
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        struct err err;

        (void)state;
        assert_int_equal(parse(id_xml, &instances, &err), -EBADMSG);
        assert_int_equal(parse(value_xml, &instances, &err), 0);
        assert_int_equal(strlen(ec2_instance_tag(&instances.items[0], "k")), 255);
}

/* The id becomes part of a parameter's name, and the runner's name. */
static void malformed_ids_are_refused(void **state)
{
        static const char *const ids[] = {
                "", "i-", "i-1", "x-00000001", "i-00000001/../2", "i-00000001 ", "i-00000001&#10;"};
        struct ec2_instances instances = {0};
        struct err err;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
                _cleanup_free_ char *xml = mem_format(
                        "<RunInstancesResponse><instancesSet><item><instanceId>%s</instanceId>"
                        "</item></instancesSet></RunInstancesResponse>",
                        ids[i]);

                assert_int_equal(parse(xml, &instances, &err), -EBADMSG);
                assert_contains(err.text, "no usable id");
        }
}

static void document_types_are_refused(void **state)
{
        static const char bomb[] =
                "<?xml version=\"1.0\"?><!DOCTYPE RunInstancesResponse [<!ENTITY a \"i-00000001\">"
                "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]><RunInstancesResponse>"
                "<instancesSet><item><instanceId>&a;</instanceId></item></instancesSet>"
                "</RunInstancesResponse>";
        static const char bomb_error[] =
                "<!DOCTYPE Response [<!ENTITY a \"Throttling\">]><Response><Errors><Error><Code>"
                "&a;</Code></Error></Errors></Response>";
        struct aws_error error = {.code = "untouched"};
        struct ec2_instances instances = {0};
        struct err err;

        (void)state;
        assert_int_equal(parse(bomb, &instances, &err), -EBADMSG);
        assert_contains(err.text, "document type at byte");
        assert_int_equal(aws_parse_xml_error(bomb_error, strlen(bomb_error), &error), -EBADMSG);
        assert_string_equal(error.code, "untouched");
}

static void errors_are_read_or_refused(void **state)
{
        static const char *const none[] = {"",
                "<Response><Errors><Error><Code></Code></Error>"
                "</Errors></Response>",
                "<Response><Code>Throttling</Code></Response>",
                "<Response><Errors><Error><Code>Thr"};
        static const char xml[] =
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>"
                "VcpuLimitExceeded</Code><Message>You have requested more vCPU capacity than your "
                "current vCPU limit of 5 allows.</Message></Error></Errors><RequestID>ea966190"
                "</RequestID></Response>";
        struct aws_error error = {.code = "untouched"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(none); i++)
                assert_int_equal(aws_parse_xml_error(none[i], strlen(none[i]), &error), -EBADMSG);
        assert_string_equal(error.code, "untouched");
        assert_int_equal(aws_parse_xml_error(xml, strlen(xml), &error), 0);
        assert_string_equal(error.code, "VcpuLimitExceeded");
        assert_string_equal(error.message,
                "You have requested more vCPU capacity than your current vCPU limit of 5 allows.");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_launch_names_its_instances),
                cmocka_unit_test(owners_belong_to_their_reservation),
                cmocka_unit_test(cut_answers_are_refused_as_a_whole),
                cmocka_unit_test(other_documents_are_not_an_empty_list),
                cmocka_unit_test(there_are_bounds),
                cmocka_unit_test(long_texts_are_refused_or_cut),
                cmocka_unit_test(malformed_ids_are_refused),
                cmocka_unit_test(document_types_are_refused),
                cmocka_unit_test(errors_are_read_or_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
