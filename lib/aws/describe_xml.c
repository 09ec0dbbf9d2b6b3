/* SPDX-License-Identifier: MIT */

/*
 * Parses the lists that EC2 describes things in. A table says where the items of a list are in the
 * XML, and to which member each element of an item goes.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/describe.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "xml.h"

struct field {
        const char *path; /* within an item */
        const char *tag;  /* the value of a tag: only of the one with this key; else NULL */
        size_t offset;
        size_t size;
};

struct list {
        const char *path; /* of the list: its items are below it */
        size_t item_size;
        const struct field *fields;
        size_t n_fields;
};

#define FIELD(type_, path_, member_)                            \
        {                                                       \
                path_, NULL, offsetof(struct type_, member_),   \
                        sizeof(((struct type_ *)NULL)->member_) \
        }

#define TAG_KEY "/tagSet/item/key"
#define TAG_VALUE "/tagSet/item/value"

static const struct field template_fields[] = {
        FIELD(ec2_template, "/launchTemplateId", id),
        FIELD(ec2_template, "/versionNumber", version),
        FIELD(ec2_template, "/launchTemplateData/imageId", image),
        FIELD(ec2_template, "/launchTemplateData/iamInstanceProfile/arn", profile),
        FIELD(ec2_template, "/launchTemplateData/iamInstanceProfile/name", profile),
        FIELD(ec2_template, "/launchTemplateData/metadataOptions/httpTokens", http_tokens),
        FIELD(ec2_template, "/launchTemplateData/metadataOptions/instanceMetadataTags", tags_shown),
        FIELD(ec2_template, "/launchTemplateData/metadataOptions/httpPutResponseHopLimit",
                hop_limit),
        FIELD(ec2_template, "/launchTemplateData/instanceInitiatedShutdownBehavior", shutdown),
        FIELD(ec2_template, "/launchTemplateData/blockDeviceMappingSet/item/ebs/encrypted",
                encrypted),
        FIELD(ec2_template, "/launchTemplateData/blockDeviceMappingSet/item/ebs/kmsKeyId", key),
};

static const struct field image_fields[] = {
        FIELD(ec2_image, "/imageId", id),
        FIELD(ec2_image, "/imageState", state),
        FIELD(ec2_image, "/architecture", architecture),
        FIELD(ec2_image, "/blockDeviceMapping/item/ebs/snapshotId", snapshot),
        FIELD(ec2_image, "/blockDeviceMapping/item/ebs/encrypted", encrypted),
        {TAG_VALUE, "scale-agent:runner-version", offsetof(struct ec2_image, runner_version),
                sizeof(((struct ec2_image *)NULL)->runner_version)},
        {TAG_VALUE, "scale-agent:job-metadata", offsetof(struct ec2_image, job_metadata),
                sizeof(((struct ec2_image *)NULL)->job_metadata)},
};

static const struct field snapshot_fields[] = {
        FIELD(ec2_snapshot, "/snapshotId", id),
        FIELD(ec2_snapshot, "/encrypted", encrypted),
        FIELD(ec2_snapshot, "/kmsKeyId", key),
};

static const struct field subnet_fields[] = {
        FIELD(ec2_subnet, "/subnetId", id),
        FIELD(ec2_subnet, "/state", state),
        FIELD(ec2_subnet, "/availabilityZone", zone),
        FIELD(ec2_subnet, "/availableIpAddressCount", free_addresses),
};

static const struct field offering_fields[] = {
        FIELD(ec2_offering, "/instanceType", type),
        FIELD(ec2_offering, "/location", zone),
};

static const struct list template_list = {
        "/DescribeLaunchTemplateVersionsResponse/launchTemplateVersionSet",
        sizeof(struct ec2_template), template_fields, ARRAY_SIZE(template_fields)};
static const struct list image_list = {"/DescribeImagesResponse/imagesSet",
        sizeof(struct ec2_image), image_fields, ARRAY_SIZE(image_fields)};
static const struct list snapshot_list = {"/DescribeSnapshotsResponse/snapshotSet",
        sizeof(struct ec2_snapshot), snapshot_fields, ARRAY_SIZE(snapshot_fields)};
static const struct list subnet_list = {"/DescribeSubnetsResponse/subnetSet",
        sizeof(struct ec2_subnet), subnet_fields, ARRAY_SIZE(subnet_fields)};
static const struct list offering_list = {
        "/DescribeInstanceTypeOfferingsResponse/instanceTypeOfferingSet",
        sizeof(struct ec2_offering), offering_fields, ARRAY_SIZE(offering_fields)};

struct reader {
        const struct list *list;
        char *items;
        size_t count;
        bool has_list; /* even an empty one */
        char tag[128]; /* the key of the tag whose value comes next */
};

/* PATH relative to the item that it is in, "" for the item itself; NULL outside of items. */
static const char *in_item(const struct reader *reader, const char *path)
{
        size_t size = strlen(reader->list->path);

        if (strncmp(path, reader->list->path, size) != 0 || strncmp(path + size, "/item", 5) != 0)
                return NULL;
        path += size + 5;
        return *path == '\0' || *path == '/' ? path : NULL;
}

static void open_element(struct xml_walker *walker)
{
        struct reader *reader = walker->userdata;
        const char *path = in_item(reader, walker->path);
        size_t size = reader->list->item_size;

        if (strcmp(walker->path, reader->list->path) == 0)
                reader->has_list = true;
        if (!path || *path != '\0')
                return;
        if (reader->count == EC2_DESCRIBED_MAX) {
                xml_refuse(walker, "the list is too long");
                return;
        }
        reader->items = mem_resize(reader->items, reader->count + 1, size);
        memset(reader->items + size * reader->count++, 0, size);
}

static void close_element(struct xml_walker *walker)
{
        struct reader *reader = walker->userdata;
        const char *path = in_item(reader, walker->path);
        char *item;

        if (!path || reader->count == 0)
                return;
        if (strcmp(path, TAG_KEY) == 0)
                utf8_copy(reader->tag, sizeof(reader->tag), walker->text, walker->text_size);
        item = reader->items + reader->list->item_size * (reader->count - 1);
        for (size_t i = 0; i < reader->list->n_fields; i++) {
                const struct field *field = &reader->list->fields[i];

                if (strcmp(path, field->path) == 0 &&
                        (!field->tag || strcmp(reader->tag, field->tag) == 0))
                        utf8_copy(
                                item + field->offset, field->size, walker->text, walker->text_size);
        }
}

static int read_list(const struct list *list, const char *xml, size_t size, void **ret_items,
        size_t *ret_count, struct err *err)
{
        struct reader reader = {.list = list};
        struct xml_walker walker = {
                .open = open_element, .close = close_element, .userdata = &reader};
        int r = xml_walk(&walker, xml, size, err);

        if (r == 0 && !reader.has_list)
                r = err_set(err, -EBADMSG, "EC2's answer has no %s", strrchr(list->path, '/') + 1);
        if (r < 0) {
                free(reader.items);
                return r;
        }
        *ret_items = reader.items;
        *ret_count = reader.count;
        return 0;
}

int ec2_parse_templates(
        const char *xml, size_t size, struct ec2_template *ret, size_t *ret_count, struct err *err)
{
        void *items;
        int r = read_list(&template_list, xml, size, &items, ret_count, err);

        if (r < 0)
                return r;
        if (*ret_count > 0)
                memcpy(ret, items, sizeof(*ret));
        free(items);
        return 0;
}

int ec2_parse_images(const char *xml, size_t size, struct ec2_images *ret, struct err *err)
{
        return read_list(&image_list, xml, size, (void **)&ret->items, &ret->count, err);
}

int ec2_parse_snapshots(const char *xml, size_t size, struct ec2_snapshots *ret, struct err *err)
{
        return read_list(&snapshot_list, xml, size, (void **)&ret->items, &ret->count, err);
}

int ec2_parse_subnets(const char *xml, size_t size, struct ec2_subnets *ret, struct err *err)
{
        return read_list(&subnet_list, xml, size, (void **)&ret->items, &ret->count, err);
}

int ec2_parse_offerings(const char *xml, size_t size, struct ec2_offerings *ret, struct err *err)
{
        return read_list(&offering_list, xml, size, (void **)&ret->items, &ret->count, err);
}

void ec2_images_release(struct ec2_images *images)
{
        free(images->items);
        *images = (struct ec2_images){0};
}

void ec2_snapshots_release(struct ec2_snapshots *snapshots)
{
        free(snapshots->items);
        *snapshots = (struct ec2_snapshots){0};
}

void ec2_subnets_release(struct ec2_subnets *subnets)
{
        free(subnets->items);
        *subnets = (struct ec2_subnets){0};
}

void ec2_offerings_release(struct ec2_offerings *offerings)
{
        free(offerings->items);
        *offerings = (struct ec2_offerings){0};
}
