/* SPDX-License-Identifier: MIT */

/*
 * Hand-overs as objects in S3. The policy of the machines' role names objects by the ARN of the
 * instance that asks, and lets it list that one key, so that S3 says of it whether it exists.
 */

#include <stdio.h>
#include <stdlib.h>

#include "aws/s3.h"
#include "base/mem.h"
#include "store_kind.h"

static char *key_of(const struct store *store, const char *instance)
{
        return mem_format("%s/%s", store->arns, instance);
}

static char *name(const struct store *store, const char *instance)
{
        return mem_format("s3://%s/%s/%s", store->place, store->arns, instance);
}

/* A bucket's name is free once its stack is gone: nobody else's may stand in for it. */
static struct http_call *of_our_account(const struct store *store, struct http_call *call)
{
        char account[16];

        if (sscanf(store->arns, "arn:%*[^:]:ec2:%*[^:]:%15[^:]", account) == 1)
                http_call_header(call, "X-Amz-Expected-Bucket-Owner", account);
        return call;
}

static struct http_call *get(const struct store *store, const char *instance)
{
        _cleanup_free_ char *key = key_of(store, instance);

        return of_our_account(store, s3_get_object(store->aws, store->place, key));
}

static int read_get(const struct http_call *call, struct buf *ret, struct err *err)
{
        int r = s3_get_object_answer(call, ret, err);

        return r == S3_NOT_FOUND ? STORE_ABSENT : r;
}

static struct http_call *put(const struct store *store, const char *instance, const char *value)
{
        _cleanup_free_ char *key = key_of(store, instance);

        return of_our_account(store, s3_new_object(store->aws, store->place, key, value));
}

static int read_put(const struct http_call *call, struct err *err)
{
        int r = s3_new_object_answer(call, err);

        return r == S3_EXISTS ? STORE_EXISTS : r;
}

static struct http_call *replace(const struct store *store, const char *instance, const char *value)
{
        _cleanup_free_ char *key = key_of(store, instance);

        return of_our_account(store, s3_put_object(store->aws, store->place, key, value));
}

static struct http_call *delete (const struct store *store, const char *instance)
{
        _cleanup_free_ char *key = key_of(store, instance);

        return of_our_account(store, s3_delete_object(store->aws, store->place, key));
}

static struct http_call *list(const struct store *store, const char *page)
{
        return of_our_account(store, s3_list_objects(store->aws, store->place, store->arns, page));
}

static int read_list(const struct http_call *call, struct store_list *list, struct err *err)
{
        _cleanup_(s3_list_release) struct s3_list page = {0};
        int r = s3_list_objects_answer(call, &page, err);

        for (size_t i = 0; r == 0 && i < page.count; i++)
                store_list_add(list, page.items[i].key, page.items[i].modified_ms);
        free(list->next_page);
        list->next_page = MEM_STEAL(page.next_page);
        return r;
}

const struct store_kind store_kind_s3 = {
        .hides_absence = false,
        .name = name,
        .get = get,
        .read_get = read_get,
        .put = put,
        .read_put = read_put,
        .replace = replace,
        .read_replace = s3_put_object_answer,
        .delete = delete,
        .read_delete = s3_delete_object_answer,
        .list = list,
        .read_list = read_list,
};
