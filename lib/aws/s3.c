/* SPDX-License-Identifier: MIT */

/*
 * Reads, stores, deletes and lists S3 objects. What a call is called is the action that IAM knows
 * it by.
 */

#include "aws/s3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "base/mem.h"
#include "xml.h"

/* Room for a key, or for the token of the next page. S3 limits keys to 1,024 bytes. */
#define TEXT_MAX 1025
/* A page has 1,000 keys, each of which may be escaped. */
#define LIST_MAX (8UL * 1024 * 1024)

static bool is_code(const struct aws_error *error, const char *code)
{
        return strcmp(error->code, code) == 0;
}

/* -- one object -- */

struct http_call *s3_get_object(struct aws *aws, const char *bucket, const char *key)
{
        struct http_call *call = aws_s3_call(aws, "GetObject", "GET", bucket, key, "");

        aws_s3_body(call, "", 0);
        return call;
}

int s3_get_object_answer(const struct http_call *call, struct buf *ret, struct err *err)
{
        struct aws_error error = {0};
        int r = aws_outcome(call, &error, err);

        buf_clear(ret);
        if (r == AWS_REFUSED)
                return is_code(&error, "NoSuchKey") ? S3_NOT_FOUND : aws_refused(call, &error, err);
        if (r < 0)
                return r;
        r = buf_add(ret, buf_string(&call->answer), call->answer.size);
        return r < 0 ? err_set(err, -EFBIG, "GetObject: the object is larger than %zu bytes",
                               ret->limit)
                     : 0;
}

struct http_call *s3_put_object(
        struct aws *aws, const char *bucket, const char *key, const char *content)
{
        struct http_call *call = aws_s3_call(aws, "PutObject", "PUT", bucket, key, "");

        aws_s3_body(call, content, strlen(content));
        return call;
}

int s3_put_object_answer(const struct http_call *call, struct err *err)
{
        return aws_accepted(call, err);
}

struct http_call *s3_new_object(
        struct aws *aws, const char *bucket, const char *key, const char *content)
{
        struct http_call *call = s3_put_object(aws, bucket, key, content);

        http_call_header(call, "If-None-Match", "*");
        return call;
}

int s3_new_object_answer(const struct http_call *call, struct err *err)
{
        struct aws_error error = {0};
        int r = aws_outcome(call, &error, err);

        if (r != AWS_REFUSED)
                return r;
        return is_code(&error, "PreconditionFailed") ? S3_EXISTS : aws_refused(call, &error, err);
}

struct http_call *s3_delete_object(struct aws *aws, const char *bucket, const char *key)
{
        struct http_call *call = aws_s3_call(aws, "DeleteObject", "DELETE", bucket, key, "");

        aws_s3_body(call, "", 0);
        return call;
}

int s3_delete_object_answer(const struct http_call *call, struct err *err)
{
        return aws_accepted(call, err);
}

/* -- a list -- */

struct http_call *s3_list_objects(
        struct aws *aws, const char *bucket, const char *prefix, const char *page)
{
        _cleanup_buf_ struct buf query = BUF_INIT(4UL * TEXT_MAX);
        struct http_call *call;

        if (page) {
                buf_add_string(&query, "continuation-token=");
                buf_add_form(&query, page);
                buf_add_string(&query, "&");
        }
        buf_add_string(&query, "list-type=2&prefix=");
        buf_add_form(&query, prefix);
        call = aws_s3_call(aws, "ListBucket", "GET", bucket, "", buf_string(&query));
        aws_s3_body(call, "", 0);
        call->answer_limit = LIST_MAX;
        return call;
}

void s3_list_release(struct s3_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i].key);
        free(list->items);
        free(list->next_page);
        *list = (struct s3_list){0};
}

struct reader {
        struct s3_list found;
        bool is_list;
};

#define RESULT "/ListBucketResult"

/* The text of the element that ends; the caller frees. */
static char *text_of(const struct xml_walker *walker)
{
        return mem_format("%.*s", (int)walker->text_size, walker->text);
}

static void read_object(struct xml_walker *walker, struct s3_object *object)
{
        const char *name = strrchr(walker->path, '/');

        if (strcmp(name, "/Key") == 0 && !object->key && walker->text_size < TEXT_MAX) {
                object->key = text_of(walker);
        } else if (strcmp(name, "/LastModified") == 0) {
                _cleanup_free_ char *time = text_of(walker);

                if (clock_parse(time, &object->modified_ms) < 0)
                        xml_refuse(walker, "an object without a time");
        } else if (strcmp(name, "/Contents") == 0 && (!object->key || object->modified_ms == 0)) {
                xml_refuse(walker, "an object without a key or a time");
        }
}

static void open_element(struct xml_walker *walker)
{
        struct reader *reader = walker->userdata;
        struct s3_list *found = &reader->found;

        reader->is_list = reader->is_list || strcmp(walker->path, RESULT) == 0;
        if (strcmp(walker->path, RESULT "/Contents") != 0)
                return;
        found->items = mem_resize(found->items, found->count + 1, sizeof(*found->items));
        found->items[found->count++] = (struct s3_object){0};
}

static void close_element(struct xml_walker *walker)
{
        struct reader *reader = walker->userdata;
        struct s3_list *found = &reader->found;

        if (strcmp(walker->path, RESULT "/NextContinuationToken") == 0 && !found->next_page)
                found->next_page = text_of(walker);
        else if (strncmp(walker->path, RESULT "/Contents", strlen(RESULT "/Contents")) == 0 &&
                 found->count > 0)
                read_object(walker, &found->items[found->count - 1]);
}

/* Moves what is in PAGE to the end of LIST. */
static void add_page(struct s3_list *list, struct s3_list *page)
{
        list->items = mem_resize(list->items, list->count + page->count, sizeof(*list->items));
        for (size_t i = 0; i < page->count; i++)
                list->items[list->count++] = page->items[i];
        page->count = 0;
        free(list->next_page);
        list->next_page = MEM_STEAL(page->next_page);
}

int s3_list_objects_answer(const struct http_call *call, struct s3_list *list, struct err *err)
{
        struct reader reader = {0};
        struct xml_walker walker = {
                .open = open_element, .close = close_element, .userdata = &reader};
        int r = aws_accepted(call, err);

        if (r < 0)
                return r;
        r = xml_walk(&walker, buf_string(&call->answer), call->answer.size, err);
        if (r == 0 && !reader.is_list)
                r = err_set(err, -EBADMSG, "the answer has no %s", RESULT + 1);
        if (r == 0)
                add_page(list, &reader.found);
        s3_list_release(&reader.found);
        return http_call_prefix(call, r, err);
}
