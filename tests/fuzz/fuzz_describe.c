/* SPDX-License-Identifier: MIT */

/*
 * What EC2 describes: XML is either refused as a whole, or gives lists within bounds whose texts
 * are terminated.
 */

#include "aws/describe.h"
#include "fuzz.h"

static void read_templates(const char *xml, size_t size)
{
        struct ec2_template template = {.id = "untouched"};
        size_t count = 0;

        if (ec2_parse_templates(xml, size, &template, &count, NULL) < 0 || count == 0)
                CHECK(strcmp(template.id, "untouched") == 0);
        CHECK(count <= EC2_DESCRIBED_MAX);
        CHECK(memchr(template.image, '\0', sizeof(template.image)));
        CHECK(memchr(template.profile, '\0', sizeof(template.profile)));
}

static void read_lists(const char *xml, size_t size)
{
        struct ec2_subnets subnets = {.count = 4711};
        struct ec2_images images = {.count = 4711};
        struct ec2_snapshots snapshots = {.count = 4711};
        struct ec2_offerings offerings = {.count = 4711};

        if (ec2_parse_subnets(xml, size, &subnets, NULL) == 0) {
                CHECK(subnets.count <= EC2_DESCRIBED_MAX);
                for (size_t i = 0; i < subnets.count; i++)
                        CHECK(memchr(subnets.items[i].zone, '\0', sizeof(subnets.items[i].zone)));
                ec2_subnets_release(&subnets);
        } else {
                CHECK(subnets.count == 4711);
        }
        if (ec2_parse_images(xml, size, &images, NULL) == 0)
                ec2_images_release(&images);
        if (ec2_parse_snapshots(xml, size, &snapshots, NULL) == 0)
                ec2_snapshots_release(&snapshots);
        if (ec2_parse_offerings(xml, size, &offerings, NULL) == 0)
                ec2_offerings_release(&offerings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        read_templates((const char *)data, size);
        read_lists((const char *)data, size);
        return 0;
}
