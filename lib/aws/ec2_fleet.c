/* SPDX-License-Identifier: MIT */

/*
 * Launches by a fleet of type instant, and reads what it launched and what it could not.
 */

#include "aws/ec2_fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "ec2_call.h"
#include "form.h"
#include "xml.h"

/* As many instances as one RunInstances may launch. */
#define INSTANCES_MAX 1000

/* -- the call -- */

static void add_pools(struct buf *form, const struct ec2_fleet *fleet)
{
        static const char name[] = "LaunchTemplateConfigs.1.Overrides";

        for (size_t i = 0; i < fleet->n_pools; i++) {
                const struct ec2_pool *pool = &fleet->pools[i];

                buf_add_format(form, "&%s.%zu.InstanceType=", name, i + 1);
                buf_add_form(form, pool->instance_type);
                buf_add_format(form, "&%s.%zu.SubnetId=", name, i + 1);
                buf_add_form(form, pool->subnet);
                buf_add_format(form, "&%s.%zu.Priority=%u", name, i + 1, pool->priority);
        }
}

static void add_market(struct buf *form, const struct ec2_fleet *fleet)
{
        buf_add_format(form, "&TargetCapacitySpecification.TotalTargetCapacity=%u", fleet->count);
        form_add(form, "TargetCapacitySpecification.DefaultTargetCapacityType",
                fleet->spot ? "spot" : "on-demand");
        if (!fleet->spot) {
                form_add(form, "OnDemandOptions.AllocationStrategy", fleet->strategy);
                return;
        }
        form_add(form, "SpotOptions.AllocationStrategy", fleet->strategy);
        form_add(form, "SpotOptions.InstanceInterruptionBehavior", "terminate");
}

struct http_call *ec2_create_fleet(struct aws *aws, const struct ec2_fleet *fleet)
{
        static const char *const tagged[] = {"fleet", "instance", "volume"};
        _cleanup_buf_ struct buf form = BUF_INIT(EC2_FORM_MAX);
        struct http_call *call;

        form_add(&form, "Type", "instant");
        form_add(&form, "ClientToken", fleet->client_token);
        form_add_template(&form, "LaunchTemplateConfigs.1.LaunchTemplateSpecification.",
                fleet->launch_template);
        form_add(&form, "LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version",
                fleet->launch_template_version);
        add_pools(&form, fleet);
        add_market(&form, fleet);
        ec2_add_launch_tags(&form, tagged, ARRAY_SIZE(tagged), fleet->tags, fleet->n_tags);
        call = ec2_call(aws, "CreateFleet", &form);
        call->try_timeout_ms = EC2_LAUNCH_TRY_MS;
        call->timeout_ms = EC2_LAUNCH_MS;
        return call;
}

/* -- its answer -- */

#define IN_SET "/CreateFleetResponse/fleetInstanceSet"
#define IN_GROUP IN_SET "/item"
#define IN_ERRORS "/CreateFleetResponse/errorSet"
#define IN_ERROR IN_ERRORS "/item"
#define IN_OVERRIDES "/launchTemplateAndOverrides/overrides"

struct fleet_reader {
        struct ec2_launched found;
        struct ec2_instance common; /* of the present group: all but the ids */
        size_t first;               /* of that group, in `found` */
        bool has_answer;
};

void ec2_launched_release(struct ec2_launched *launched)
{
        ec2_instances_release(&launched->instances);
        free(launched->errors);
        *launched = (struct ec2_launched){0};
}

static void open_fleet(struct xml_walker *walker)
{
        struct fleet_reader *reader = walker->userdata;
        struct ec2_launched *found = &reader->found;

        if (strcmp(walker->path, "/CreateFleetResponse") == 0) {
                reader->has_answer = true;
        } else if (strcmp(walker->path, IN_GROUP) == 0) {
                reader->common = (struct ec2_instance){0};
                reader->first = found->instances.count;
        } else if (strcmp(walker->path, IN_ERROR) == 0 && found->n_errors < EC2_FLEET_ERRORS_MAX) {
                found->errors =
                        mem_resize(found->errors, found->n_errors + 1, sizeof(*found->errors));
                found->errors[found->n_errors++] = (struct ec2_fleet_error){0};
        }
}

static void add_instance(struct xml_walker *walker, struct ec2_instances *instances)
{
        struct ec2_instance instance = {0};

        if (walker->text_size < sizeof(instance.id))
                utf8_copy(instance.id, sizeof(instance.id), walker->text, walker->text_size);
        if (!ec2_is_instance_id(instance.id)) {
                xml_refuse(walker, "an instance has no usable id");
        } else if (instances->count == INSTANCES_MAX) {
                xml_refuse(walker, "there are too many instances");
        } else {
                instances->items = mem_resize(
                        instances->items, instances->count + 1, sizeof(*instances->items));
                instances->items[instances->count++] = instance;
        }
}

/* Copies to all instances of a group what EC2 says once for them, before or after their ids. */
static void close_group(struct fleet_reader *reader)
{
        for (size_t i = reader->first; i < reader->found.instances.count; i++) {
                struct ec2_instance *instance = &reader->found.instances.items[i];
                struct ec2_instance whole = reader->common;

                memcpy(whole.id, instance->id, sizeof(whole.id));
                *instance = whole;
        }
}

/* Where the text of an element goes. */
struct place {
        const char *path; /* within the group, or the error */
        size_t offset;
        size_t size;
};

#define PLACE(path_, type, member)                                                       \
        {                                                                                \
                path_, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
        }

static const struct place group_places[] = {
        PLACE("/instanceType", ec2_instance, type),
        PLACE(IN_OVERRIDES "/availabilityZone", ec2_instance, zone),
        PLACE(IN_OVERRIDES "/subnetId", ec2_instance, subnet),
};

static const struct place error_places[] = {
        PLACE("/errorCode", ec2_fleet_error, code),
        PLACE("/errorMessage", ec2_fleet_error, message),
        PLACE(IN_OVERRIDES "/instanceType", ec2_fleet_error, instance_type),
        PLACE(IN_OVERRIDES "/subnetId", ec2_fleet_error, subnet),
};

static void take_text(const struct xml_walker *walker, const char *path, const struct place *places,
        size_t n_places, void *to)
{
        for (size_t i = 0; i < n_places; i++)
                if (strcmp(path, places[i].path) == 0)
                        utf8_copy((char *)to + places[i].offset, places[i].size, walker->text,
                                walker->text_size);
}

/* What follows PARENT in the path of the element that ends; NULL outside of it. */
static const char *within(const struct xml_walker *walker, const char *parent)
{
        size_t size = strlen(parent);
        bool inside = strncmp(walker->path, parent, size) == 0 &&
                      (walker->path[size] == '/' || walker->path[size] == '\0');

        return inside ? walker->path + size : NULL;
}

static void close_fleet(struct xml_walker *walker)
{
        struct fleet_reader *reader = walker->userdata;
        const char *in_group = within(walker, IN_GROUP);
        const char *in_error = within(walker, IN_ERROR);

        if (in_group && *in_group == '\0')
                close_group(reader);
        else if (in_group && strcmp(in_group, "/instanceIds/item") == 0)
                add_instance(walker, &reader->found.instances);
        else if (in_group && strcmp(in_group, "/lifecycle") == 0)
                reader->common.spot =
                        walker->text_size == 4 && memcmp(walker->text, "spot", 4) == 0;
        else if (in_group)
                take_text(
                        walker, in_group, group_places, ARRAY_SIZE(group_places), &reader->common);
        else if (in_error && reader->found.n_errors > 0)
                take_text(walker, in_error, error_places, ARRAY_SIZE(error_places),
                        &reader->found.errors[reader->found.n_errors - 1]);
}

static int compare_ids(const void *a, const void *b)
{
        return strcmp(((const struct ec2_instance *)a)->id, ((const struct ec2_instance *)b)->id);
}

void ec2_number_by_id(struct ec2_instance *instances, size_t n)
{
        if (n > 1)
                qsort(instances, n, sizeof(*instances), compare_ids);
        for (size_t i = 0; i < n; i++)
                instances[i].launch_index = (unsigned)i;
}

int ec2_parse_fleet(const char *xml, size_t size, struct ec2_launched *ret, struct err *err)
{
        struct fleet_reader reader = {0};
        struct xml_walker walker = {
                .open = open_fleet,
                .close = close_fleet,
                .userdata = &reader,
        };
        int r = xml_walk(&walker, xml, size, err);

        if (r == 0 && !reader.has_answer)
                r = err_set(err, -EBADMSG, "EC2's answer is not that of a fleet");
        if (r < 0) {
                ec2_launched_release(&reader.found);
                return r;
        }
        ec2_number_by_id(reader.found.instances.items, reader.found.instances.count);
        *ret = reader.found;
        return 0;
}

int ec2_create_fleet_answer(const struct http_call *call, struct ec2_launched *ret,
        struct aws_error *ret_error, struct err *err)
{
        int r = aws_outcome(call, ret_error, err);

        if (r != 0)
                return r;
        r = ec2_parse_fleet(buf_string(&call->answer), call->answer.size, ret, err);
        return http_call_prefix(call, r, err);
}
