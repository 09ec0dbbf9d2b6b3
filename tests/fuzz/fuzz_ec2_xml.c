/* SPDX-License-Identifier: MIT */

/*
 * EC2's XML: it is either refused as a whole, or gives a bounded number of instances with usable
 * ids.
 */

#include "aws/ec2.h"
#include "aws/ec2_fleet.h"
#include "fuzz.h"

static void check_instances(const struct ec2_instances *instances)
{
        CHECK(instances->count <= 1000);
        for (size_t i = 0; i < instances->count; i++) {
                const struct ec2_instance *instance = &instances->items[i];

                CHECK(ec2_is_instance_id(instance->id));
                CHECK(!strpbrk(instance->id, "/.# \n"));
                CHECK(strlen(instance->type) < sizeof(instance->type));
                CHECK(strlen(instance->zone) < sizeof(instance->zone));
                CHECK(strlen(instance->account) < sizeof(instance->account));
                CHECK(strlen(instance->state) < sizeof(instance->state));
                CHECK(instance->n_tags <= 64);
                for (size_t j = 0; j < instance->n_tags; j++) {
                        CHECK(ec2_instance_tag(instance, instance->tags[j].key));
                        CHECK(strlen(instance->tags[j].value) < sizeof(instance->tags[j].value));
                }
        }
}

static void check_fleet(const char *xml, size_t size)
{
        struct ec2_launched launched = {.n_errors = 4711};
        struct err err = {0};

        if (ec2_parse_fleet(xml, size, &launched, &err) < 0) {
                CHECK(launched.n_errors == 4711 && err.text[0]);
                return;
        }
        check_instances(&launched.instances);
        CHECK(launched.n_errors <= EC2_FLEET_ERRORS_MAX);
        for (size_t i = 0; i < launched.n_errors; i++) {
                (void)ec2_classify(launched.errors[i].code);
                CHECK(strlen(launched.errors[i].message) < sizeof(launched.errors[i].message));
        }
        ec2_launched_release(&launched);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *xml = (const char *)data;
        struct ec2_instances instances = {.count = 4711};
        struct aws_error error = {.code = "untouched"};
        struct err err = {0};

        if (ec2_parse_instances(xml, size, &instances, &err) == 0) {
                check_instances(&instances);
                ec2_instances_release(&instances);
        } else {
                CHECK(instances.count == 4711 && err.text[0]);
        }
        check_fleet(xml, size);
        if (aws_parse_xml_error(xml, size, &error) == 0) {
                CHECK(error.code[0] && strlen(error.message) < sizeof(error.message));
                (void)ec2_classify(error.code);
        } else {
                CHECK(strcmp(error.code, "untouched") == 0);
        }
        return 0;
}
