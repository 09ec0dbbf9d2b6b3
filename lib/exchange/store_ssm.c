/* SPDX-License-Identifier: MIT */

/*
 * Hand-overs as SSM parameters. The policy of the machines' role compares the tag of a parameter
 * with the ARN of the instance that asks.
 */

#include <stdlib.h>

#include "aws/ssm.h"
#include "base/mem.h"
#include "exchange/handover.h"
#include "store_kind.h"

static char *name(const struct store *store, const char *instance)
{
        _cleanup_free_ char *parameter = handover_parameter(store->place, instance);

        return mem_format("SSM parameter %s", parameter);
}

static struct http_call *get(const struct store *store, const char *instance)
{
        _cleanup_free_ char *parameter = handover_parameter(store->place, instance);

        return ssm_get_parameter(store->aws, parameter);
}

static int read_get(const struct http_call *call, struct buf *ret, struct err *err)
{
        int r = ssm_get_parameter_answer(call, ret, err);

        return r == SSM_NOT_FOUND ? STORE_ABSENT : r;
}

static struct http_call *put(const struct store *store, const char *instance, const char *value)
{
        _cleanup_free_ char *parameter = handover_parameter(store->place, instance);
        _cleanup_free_ char *arn = mem_format("%s/%s", store->arns, instance);

        return ssm_put_parameter(store->aws, parameter, value, HANDOVER_TAG, arn);
}

static int read_put(const struct http_call *call, struct err *err)
{
        int r = ssm_put_parameter_answer(call, err);

        return r == SSM_EXISTS ? STORE_EXISTS : r;
}

static struct http_call *replace(const struct store *store, const char *instance, const char *value)
{
        _cleanup_free_ char *parameter = handover_parameter(store->place, instance);

        return ssm_replace_parameter(store->aws, parameter, value);
}

static struct http_call *delete (const struct store *store, const char *instance)
{
        _cleanup_free_ char *parameter = handover_parameter(store->place, instance);

        return ssm_delete_parameter(store->aws, parameter);
}

static struct http_call *list(const struct store *store, const char *page)
{
        _cleanup_free_ char *path = mem_format("%s/runners", store->place);

        return ssm_list_parameters(store->aws, path, page);
}

static int read_list(const struct http_call *call, struct store_list *list, struct err *err)
{
        _cleanup_(ssm_list_release) struct ssm_list page = {0};
        int r = ssm_list_parameters_answer(call, &page, err);

        for (size_t i = 0; r == 0 && i < page.count; i++)
                store_list_add(list, page.items[i].name, page.items[i].modified_ms);
        free(list->next_page);
        list->next_page = MEM_STEAL(page.next_page);
        return r;
}

const struct store_kind store_kind_ssm = {
        .hides_absence = true,
        .name = name,
        .get = get,
        .read_get = read_get,
        .put = put,
        .read_put = read_put,
        .replace = replace,
        .read_replace = ssm_put_parameter_answer,
        .delete = delete,
        .read_delete = ssm_delete_parameter_answer,
        .list = list,
        .read_list = read_list,
};
