/* SPDX-License-Identifier: MIT */

/*
 * EC2's XML: it is either refused as a whole, or gives a bounded number of instances with usable
 * ids.
 */

#include "aws/ec2.h"
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
        if (aws_parse_xml_error(xml, size, &error) == 0) {
                CHECK(error.code[0] && strlen(error.message) < sizeof(error.message));
                (void)ec2_classify(error.code);
        } else {
                CHECK(strcmp(error.code, "untouched") == 0);
        }
        return 0;
}
