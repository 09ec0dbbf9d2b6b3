/* SPDX-License-Identifier: MIT */

/*
 * Passes each call on to the kind of the store.
 */

#include "exchange/store.h"

#include <stdlib.h>
#include <string.h>

#include "aws/ec2.h"
#include "base/mem.h"
#include "store_kind.h"

static void init(struct store *store, const struct store_kind *kind, struct aws *aws,
        const char *place, const char *arns)
{
        *store = (struct store){
                .kind = kind,
                .aws = aws,
                .place = mem_string(place),
                .arns = mem_string(arns),
        };
}

void store_init_ssm(struct store *store, struct aws *aws, const char *prefix, const char *arns)
{
        init(store, &store_kind_ssm, aws, prefix, arns);
}

void store_init_s3(struct store *store, struct aws *aws, const char *bucket, const char *arns)
{
        init(store, &store_kind_s3, aws, bucket, arns);
}

void store_release(struct store *store)
{
        free(store->place);
        free(store->arns);
        *store = (struct store){0};
}

bool store_is_s3(const struct store *store)
{
        return store->kind == &store_kind_s3;
}

char *store_name(const struct store *store, const char *instance)
{
        return store->kind->name(store, instance);
}

bool store_hides_absence(const struct store *store)
{
        return store->kind->hides_absence;
}

struct http_call *store_get(const struct store *store, const char *instance)
{
        return store->kind->get(store, instance);
}

int store_get_answer(
        const struct store *store, const struct http_call *call, struct buf *ret, struct err *err)
{
        return store->kind->read_get(call, ret, err);
}

struct http_call *store_put(const struct store *store, const char *instance, const char *value)
{
        return store->kind->put(store, instance, value);
}

int store_put_answer(const struct store *store, const struct http_call *call, struct err *err)
{
        return store->kind->read_put(call, err);
}

struct http_call *store_replace(const struct store *store, const char *instance, const char *value)
{
        return store->kind->replace(store, instance, value);
}

int store_replace_answer(const struct store *store, const struct http_call *call, struct err *err)
{
        return store->kind->read_replace(call, err);
}

struct http_call *store_delete(const struct store *store, const char *instance)
{
        return store->kind->delete (store, instance);
}

int store_delete_answer(const struct store *store, const struct http_call *call, struct err *err)
{
        return store->kind->read_delete(call, err);
}

/* -- the list -- */

struct http_call *store_list(const struct store *store, const char *page)
{
        return store->kind->list(store, page);
}

int store_list_answer(const struct store *store, const struct http_call *call,
        struct store_list *list, struct err *err)
{
        size_t before = list->count;
        int r = store->kind->read_list(call, list, err);

        for (size_t i = before; i < list->count; i++)
                list->items[i].is_in_s3 = store_is_s3(store);
        return r;
}

void store_list_add(struct store_list *list, const char *name, int64_t modified_ms)
{
        const char *slash = strrchr(name, '/');

        if (!slash || !ec2_is_instance_id(slash + 1))
                return;
        list->items = mem_resize(list->items, list->count + 1, sizeof(*list->items));
        list->items[list->count++] = (struct store_listed){
                .instance = mem_string(slash + 1),
                .modified_ms = modified_ms,
        };
}

void store_list_release(struct store_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i].instance);
        free(list->items);
        free(list->next_page);
        *list = (struct store_list){0};
}
