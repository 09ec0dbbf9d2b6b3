/* SPDX-License-Identifier: MIT */

/*
 * EC2's XML, read by expat. A walker keeps the path of the open element ("/RunInstancesResponse/
 * instancesSet/item/instanceId") and hands each element with its text to a reader, which knows by
 * the path what it is. Everything is bounded: depth, text, instances, tags; document types, which
 * could define entities, are refused.
 */

#include "aws/ec2.h"

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "mem.h"

#define PATH_MAX_SIZE 512
#define TEXT_MAX 2048
#define INSTANCES_MAX 1000
#define TAGS_MAX 64

struct walker {
        XML_Parser parser;
        char path[PATH_MAX_SIZE]; /* "/a/b/c" */
        size_t path_size;
        char text[TEXT_MAX]; /* of the element opened last; what is beyond is dropped */
        size_t text_size;
        const char *fault; /* why the document is refused; NULL: it is not */
        size_t fault_at;   /* byte */
        /* The reader. */
        void (*open)(struct walker *walker);
        void (*close)(struct walker *walker);
        void *userdata;
};

/* -- the walker ---------------------------------------------------------------------------------
 */

static void refuse(struct walker *walker, const char *fault)
{
        if (walker->fault)
                return;
        walker->fault = fault;
        walker->fault_at = (size_t)XML_GetCurrentByteIndex(walker->parser);
        XML_StopParser(walker->parser, XML_FALSE);
}

static void on_start(void *userdata, const XML_Char *name, const XML_Char **attributes)
{
        struct walker *walker = userdata;
        size_t size = strlen(name);

        (void)attributes;
        if (walker->fault)
                return;
        if (walker->path_size + size + 2 > sizeof(walker->path)) {
                refuse(walker, "elements are nested too deep");
                return;
        }
        walker->path[walker->path_size++] = '/';
        memcpy(walker->path + walker->path_size, name, size + 1);
        walker->path_size += size;
        walker->text_size = 0;
        if (walker->open)
                walker->open(walker);
}

static void on_text(void *userdata, const XML_Char *text, int size)
{
        struct walker *walker = userdata;
        size_t room = sizeof(walker->text) - walker->text_size;
        size_t n = (size_t)size < room ? (size_t)size : room;

        memcpy(walker->text + walker->text_size, text, n);
        walker->text_size += n;
}

static void on_end(void *userdata, const XML_Char *name)
{
        struct walker *walker = userdata;

        if (walker->fault)
                return;
        walker->close(walker);
        walker->path_size -= strlen(name) + 1;
        walker->path[walker->path_size] = '\0';
        walker->text_size = 0;
}

static void on_document_type(void *userdata, const XML_Char *name, const XML_Char *system_id,
        const XML_Char *public_id, int has_internal_subset)
{
        (void)name;
        (void)system_id;
        (void)public_id;
        (void)has_internal_subset;
        refuse(userdata, "it has a document type");
}

/* Reads the whole of XML: 0, or -EBADMSG with the byte where it went wrong. */
static int walk(struct walker *walker, const char *xml, size_t size, struct err *err)
{
        XML_Parser parser = XML_ParserCreate("UTF-8");
        int r = 0;

        if (!parser)
                abort(); /* no memory */
        walker->parser = parser;
        XML_SetUserData(parser, walker);
        XML_SetElementHandler(parser, on_start, on_end);
        XML_SetCharacterDataHandler(parser, on_text);
        XML_SetStartDoctypeDeclHandler(parser, on_document_type);
        if (size > INT_MAX)
                r = err_set(err, -EBADMSG, "EC2's answer is too large");
        else if (XML_Parse(parser, xml, (int)size, XML_TRUE) != XML_STATUS_OK)
                r = err_set(err, -EBADMSG, "EC2's answer cannot be read: %s at byte %zu of %zu",
                        walker->fault ? walker->fault : XML_ErrorString(XML_GetErrorCode(parser)),
                        walker->fault ? walker->fault_at : (size_t)XML_GetCurrentByteIndex(parser),
                        size);
        XML_ParserFree(parser);
        return r;
}

/* What follows PREFIX in TEXT; NULL when it does not begin with it. */
static const char *after(const char *text, const char *prefix)
{
        size_t size = strlen(prefix);

        return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

/* -- instances ----------------------------------------------------------------------------------
 */

#define IN_INSTANCE "/instancesSet/item"
#define IN_TAG "/tagSet/item"
#define ID_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

struct instances_reader {
        struct ec2_instances found;
        size_t first; /* of the present reservation, in `found` */
        char account[sizeof(((struct ec2_instance *)NULL)->account)];
        bool has_list;
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
        FIELD("/instanceState/name", state),
#undef FIELD
};

/* The path within a reservation ("/instancesSet/item/…", "/ownerId"); NULL outside of one.
 * RunInstances answers with one reservation, DescribeInstances with a list of them. */
static const char *in_reservation(const struct walker *walker)
{
        const char *inner = after(walker->path, "/DescribeInstancesResponse/reservationSet/item");

        return inner ? inner : after(walker->path, "/RunInstancesResponse");
}

static struct ec2_instance *last_instance(const struct instances_reader *reader)
{
        return reader->found.count > 0 ? &reader->found.items[reader->found.count - 1] : NULL;
}

static void add_instance(struct walker *walker, struct instances_reader *reader)
{
        struct ec2_instances *found = &reader->found;

        if (found->count == INSTANCES_MAX) {
                refuse(walker, "there are too many instances");
                return;
        }
        found->items = mem_resize(found->items, found->count + 1, sizeof(*found->items));
        found->items[found->count++] = (struct ec2_instance){0};
}

static void add_tag(struct walker *walker, struct ec2_instance *instance)
{
        if (instance->n_tags == TAGS_MAX) {
                refuse(walker, "there are too many tags");
                return;
        }
        instance->tags = mem_resize(instance->tags, instance->n_tags + 1, sizeof(*instance->tags));
        memset(&instance->tags[instance->n_tags++], 0, sizeof(*instance->tags));
}

static void open_instances(struct walker *walker)
{
        struct instances_reader *reader = walker->userdata;
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
        if (!inner)
                return;
        if (*inner == '\0')
                add_instance(walker, reader);
        else if (strcmp(inner, IN_TAG) == 0)
                add_tag(walker, last_instance(reader));
}

/* Text that is used as a whole or not at all. */
static void take_whole(struct walker *walker, char *to, size_t size)
{
        if (walker->text_size >= size)
                refuse(walker, "a value is too long");
        else
                aws_copy_text(to, size, walker->text, walker->text_size);
}

static bool text_is(const struct walker *walker, const char *text)
{
        return walker->text_size == strlen(text) &&
               memcmp(walker->text, text, walker->text_size) == 0;
}

static void close_in_tag(struct walker *walker, struct ec2_instance *instance, const char *path)
{
        __typeof__(*instance->tags) *tag = &instance->tags[instance->n_tags - 1];

        if (strcmp(path, "/key") == 0)
                aws_copy_text(tag->key, sizeof(tag->key), walker->text, walker->text_size);
        else if (strcmp(path, "/value") == 0)
                aws_copy_text(tag->value, sizeof(tag->value), walker->text, walker->text_size);
}

static bool is_instance_id(const char *id)
{
        return id[0] == 'i' && id[1] == '-' && id[2] != '\0' &&
               id[2 + strspn(id + 2, ID_CHARACTERS)] == '\0';
}

static void close_in_instance(
        struct walker *walker, struct ec2_instance *instance, const char *path)
{
        const char *in_tag = after(path, IN_TAG "/");

        if (*path == '\0' && !is_instance_id(instance->id))
                refuse(walker, "an instance has no usable id");
        else if (in_tag)
                close_in_tag(walker, instance, in_tag - 1);
        else if (strcmp(path, "/instanceLifecycle") == 0)
                instance->spot = text_is(walker, "spot");
        for (size_t i = 0; i < ARRAY_SIZE(instance_fields); i++)
                if (strcmp(path, instance_fields[i].path) == 0)
                        take_whole(walker, (char *)instance + instance_fields[i].offset,
                                instance_fields[i].size);
}

/* The owner is said once for a reservation, before or after its instances. */
static void close_reservation(struct instances_reader *reader)
{
        for (size_t i = reader->first; i < reader->found.count; i++)
                memcpy(reader->found.items[i].account, reader->account, sizeof(reader->account));
}

static void close_instances(struct walker *walker)
{
        struct instances_reader *reader = walker->userdata;
        const char *path = in_reservation(walker);
        const char *inner = path ? after(path, IN_INSTANCE) : NULL;

        if (inner && (*inner == '\0' || *inner == '/'))
                close_in_instance(walker, last_instance(reader), inner);
        else if (path && strcmp(path, "/ownerId") == 0)
                take_whole(walker, reader->account, sizeof(reader->account));
        else if (path && *path == '\0')
                close_reservation(reader);
}

int ec2_parse_instances(const char *xml, size_t size, struct ec2_instances *ret, struct err *err)
{
        struct instances_reader reader = {0};
        struct walker walker = {
                .open = open_instances,
                .close = close_instances,
                .userdata = &reader,
        };
        int r;

        r = walk(&walker, xml, size, err);
        if (r == 0 && !reader.has_list)
                r = err_set(err, -EBADMSG, "EC2's answer holds no list of instances");
        if (r < 0) {
                ec2_instances_release(&reader.found);
                return r;
        }
        *ret = reader.found;
        return 0;
}

/* -- errors -------------------------------------------------------------------------------------
 */

/* EC2 writes <Response><Errors><Error>, what stands before it <ErrorResponse><Error>. */
static void close_error(struct walker *walker)
{
        static const char *const places[] = {"/Response/Errors/Error", "/ErrorResponse/Error"};
        struct aws_error *error = walker->userdata;

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                const char *name = after(walker->path, places[i]);

                if (!name)
                        continue;
                if (strcmp(name, "/Code") == 0)
                        aws_copy_text(
                                error->code, sizeof(error->code), walker->text, walker->text_size);
                else if (strcmp(name, "/Message") == 0)
                        aws_copy_text(error->message, sizeof(error->message), walker->text,
                                walker->text_size);
        }
}

int ec2_parse_error(const char *xml, size_t size, struct aws_error *ret)
{
        struct aws_error error = {0};
        struct walker walker = {.close = close_error, .userdata = &error};
        int r = walk(&walker, xml, size, NULL);

        if (r < 0)
                return r;
        if (error.code[0] == '\0')
                return -EBADMSG;
        *ret = error;
        return 0;
}
