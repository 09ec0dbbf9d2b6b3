/* SPDX-License-Identifier: MIT */

/*
 * Parses the instances in EC2's XML. Elements are recognized by their paths: RunInstances answers
 * with one reservation of instances, DescribeInstances with a list of reservations.
 */

#include "aws/ec2_instances.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "xml.h"

#define INSTANCES_MAX 1000
#define TAGS_MAX 64

void ec2_instances_release(struct ec2_instances *instances)
{
        for (size_t i = 0; i < instances->count; i++)
                free(instances->items[i].tags);
        free(instances->items);
        free(instances->next_page);
        *instances = (struct ec2_instances){0};
}

void ec2_instances_add(struct ec2_instances *all, struct ec2_instances *page)
{
        all->items = mem_resize(all->items, all->count + page->count, sizeof(*all->items));
        for (size_t i = 0; i < page->count; i++)
                all->items[all->count++] = page->items[i];
        page->count = 0;
        free(all->next_page);
        all->next_page = MEM_STEAL(page->next_page);
}

const char *ec2_instance_tag(const struct ec2_instance *instance, const char *key)
{
        for (size_t i = 0; i < instance->n_tags; i++)
                if (strcmp(instance->tags[i].key, key) == 0)
                        return instance->tags[i].value;
        return NULL;
}

bool ec2_instance_lives(const struct ec2_instance *instance)
{
        return instance->state[0] == '\0' || strcmp(instance->state, "pending") == 0 ||
               strcmp(instance->state, "running") == 0;
}

bool ec2_instance_fades(const struct ec2_instance *instance)
{
        return !ec2_instance_lives(instance) && instance->n_tags == 0;
}

bool ec2_is_instance_id(const char *text)
{
        return text && strncmp(text, "i-", 2) == 0 &&
               strspn(text + 2, "0123456789abcdef") == strlen(text + 2) && strlen(text) > 9 &&
               strlen(text) < EC2_ID_SIZE;
}

/* -- parsing -- */

/* What follows PREFIX in TEXT; NULL when it does not begin with it. */
static const char *after(const char *text, const char *prefix)
{
        size_t size = strlen(prefix);

        return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

#define IN_INSTANCE "/instancesSet/item"
#define IN_TAG "/tagSet/item"

struct instances_reader {
        struct ec2_instances found;
        size_t first; /* of the present reservation, in `found` */
        char account[sizeof(((struct ec2_instance *)NULL)->account)];
        bool has_list; /* even an empty one */
};

/* The fields of an instance by their path within it. */
static const struct {
        const char *path;
        size_t offset;
        size_t size;
} instance_fields[] = {
#define FIELD(path_, member)                                          \
        {                                                             \
                path_, offsetof(struct ec2_instance, member),         \
                        sizeof(((struct ec2_instance *)NULL)->member) \
        }
        FIELD("/instanceId", id),
        FIELD("/instanceType", type),
        FIELD("/placement/availabilityZone", zone),
        FIELD("/subnetId", subnet),
        FIELD("/instanceState/name", state),
        FIELD("/stateReason/code", state_reason),
#undef FIELD
};

/* The path relative to the reservation that the element is in ("/instancesSet/item/…", "/ownerId");
 * NULL outside of reservations. */
static const char *in_reservation(const struct xml_walker *walker)
{
        const char *inner = after(walker->path, "/DescribeInstancesResponse/reservationSet/item");

        return inner ? inner : after(walker->path, "/RunInstancesResponse");
}

static struct ec2_instance *last_instance(const struct instances_reader *reader)
{
        return reader->found.count > 0 ? &reader->found.items[reader->found.count - 1] : NULL;
}

static void add_instance(struct xml_walker *walker, struct instances_reader *reader)
{
        struct ec2_instances *found = &reader->found;

        if (found->count == INSTANCES_MAX) {
                xml_refuse(walker, "there are too many instances");
                return;
        }
        found->items = mem_resize(found->items, found->count + 1, sizeof(*found->items));
        found->items[found->count++] = (struct ec2_instance){0};
}

static void add_tag(struct xml_walker *walker, struct ec2_instance *instance)
{
        if (instance->n_tags == TAGS_MAX) {
                xml_refuse(walker, "there are too many tags");
                return;
        }
        instance->tags = mem_resize(instance->tags, instance->n_tags + 1, sizeof(*instance->tags));
        memset(&instance->tags[instance->n_tags++], 0, sizeof(*instance->tags));
}

static void open_instances(struct xml_walker *walker)
{
        struct instances_reader *reader = walker->userdata;
        struct ec2_instance *instance = last_instance(reader);
        const char *path = in_reservation(walker);
        const char *inner;

        if (strcmp(walker->path, "/DescribeInstancesResponse/reservationSet") == 0)
                reader->has_list = true;
        if (!path)
                return;
        if (*path == '\0') {
                reader->first = reader->found.count;
                reader->account[0] = '\0';
        } else if (strcmp(path, "/instancesSet") == 0) {
                reader->has_list = true;
        }
        inner = after(path, IN_INSTANCE);
        if (inner && *inner == '\0')
                add_instance(walker, reader);
        else if (inner && instance && strcmp(inner, IN_TAG) == 0)
                add_tag(walker, instance);
}

/* For text that must not be cut. */
static void take_whole(struct xml_walker *walker, char *to, size_t size)
{
        if (walker->text_size >= size)
                xml_refuse(walker, "a value is too long");
        else
                utf8_copy(to, size, walker->text, walker->text_size);
}

static void take_launch_index(struct xml_walker *walker, struct ec2_instance *instance)
{
        char digits[8] = "";

        take_whole(walker, digits, sizeof(digits));
        if (strspn(digits, "0123456789") != strlen(digits) || !digits[0])
                xml_refuse(walker, "amiLaunchIndex is not a number");
        else
                instance->launch_index = (unsigned)strtoul(digits, NULL, 10);
}

static void take_launch_time(struct xml_walker *walker, struct ec2_instance *instance)
{
        char time[CLOCK_TEXT_SIZE + 16] = "";

        take_whole(walker, time, sizeof(time));
        if (clock_parse(time, &instance->launched_ms) < 0)
                xml_refuse(walker, "launchTime is not a time");
}

static bool text_is(const struct xml_walker *walker, const char *text)
{
        return walker->text_size == strlen(text) &&
               memcmp(walker->text, text, walker->text_size) == 0;
}

static void close_in_tag(struct xml_walker *walker, struct ec2_instance *instance, const char *path)
{
        __typeof__(*instance->tags) *tag;

        if (instance->n_tags == 0)
                return;
        tag = &instance->tags[instance->n_tags - 1];
        if (strcmp(path, "/key") == 0)
                utf8_copy(tag->key, sizeof(tag->key), walker->text, walker->text_size);
        else if (strcmp(path, "/value") == 0)
                utf8_copy(tag->value, sizeof(tag->value), walker->text, walker->text_size);
}

static void close_in_instance(
        struct xml_walker *walker, struct ec2_instance *instance, const char *path)
{
        const char *in_tag = after(path, IN_TAG);

        if (*path == '\0' && !ec2_is_instance_id(instance->id))
                xml_refuse(walker, "an instance has no usable id");
        else if (in_tag)
                close_in_tag(walker, instance, in_tag);
        else if (strcmp(path, "/instanceLifecycle") == 0)
                instance->spot = text_is(walker, "spot");
        else if (strcmp(path, "/amiLaunchIndex") == 0)
                take_launch_index(walker, instance);
        else if (strcmp(path, "/launchTime") == 0)
                take_launch_time(walker, instance);
        for (size_t i = 0; i < ARRAY_SIZE(instance_fields); i++)
                if (strcmp(path, instance_fields[i].path) == 0)
                        take_whole(walker, (char *)instance + instance_fields[i].offset,
                                instance_fields[i].size);
}

/* A reservation names its owner once, before or after its instances. */
static void close_reservation(struct instances_reader *reader)
{
        for (size_t i = reader->first; i < reader->found.count; i++)
                memcpy(reader->found.items[i].account, reader->account, sizeof(reader->account));
}

/* EC2 ends some lists with an empty token. */
static void take_next_page(struct xml_walker *walker, struct ec2_instances *found)
{
        if (walker->text_size == XML_TEXT_MAX)
                xml_refuse(walker, "a value is too long");
        else if (walker->text_size > 0 && !found->next_page)
                found->next_page = mem_format("%.*s", (int)walker->text_size, walker->text);
}

static void close_instances(struct xml_walker *walker)
{
        struct instances_reader *reader = walker->userdata;
        const char *path = in_reservation(walker);
        const char *inner = path ? after(path, IN_INSTANCE) : NULL;
        struct ec2_instance *instance = last_instance(reader);

        if (inner && instance && (*inner == '\0' || *inner == '/'))
                close_in_instance(walker, instance, inner);
        else if (path && strcmp(path, "/ownerId") == 0)
                take_whole(walker, reader->account, sizeof(reader->account));
        else if (path && *path == '\0')
                close_reservation(reader);
        else if (strcmp(walker->path, "/DescribeInstancesResponse/nextToken") == 0)
                take_next_page(walker, &reader->found);
}

int ec2_parse_instances(const char *xml, size_t size, struct ec2_instances *ret, struct err *err)
{
        struct instances_reader reader = {0};
        struct xml_walker walker = {
                .open = open_instances,
                .close = close_instances,
                .userdata = &reader,
        };
        int r;

        r = xml_walk(&walker, xml, size, err);
        if (r == 0 && !reader.has_list)
                r = err_set(err, -EBADMSG, "EC2's answer holds no list of instances");
        if (r < 0) {
                ec2_instances_release(&reader.found);
                return r;
        }
        *ret = reader.found;
        return 0;
}
