/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/exchange: what a kind of store does. See exchange/store.h.
 */

#include "exchange/store.h"

struct store_kind {
        bool hides_absence;
        char *(*name)(const struct store *store, const char *instance);
        struct http_call *(*get)(const struct store *store, const char *instance);
        int (*read_get)(const struct http_call *call, struct buf *ret, struct err *err);
        struct http_call *(*put)(
                const struct store *store, const char *instance, const char *value);
        int (*read_put)(const struct http_call *call, struct err *err);
        struct http_call *(*replace)(
                const struct store *store, const char *instance, const char *value);
        int (*read_replace)(const struct http_call *call, struct err *err);
        struct http_call *(*delete)(const struct store *store, const char *instance);
        int (*read_delete)(const struct http_call *call, struct err *err);
        struct http_call *(*list)(const struct store *store, const char *page);
        int (*read_list)(const struct http_call *call, struct store_list *list, struct err *err);
};

extern const struct store_kind store_kind_ssm;
extern const struct store_kind store_kind_s3;

/* For read_list: adds the hand-over that is called NAME, which ends with "/INSTANCE". What ends
 * otherwise is not ours, and left out. */
void store_list_add(struct store_list *list, const char *name, int64_t modified_ms);
