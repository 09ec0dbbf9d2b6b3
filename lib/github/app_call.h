/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/github: calls about the App itself.
 */

#include "base/err.h"
#include "base/json.h"
#include "github/github.h"
#include "http/http_call.h"

/* A call as the App, to PATH of the API: 0, or negative when its JWT cannot be made. */
int github_app_call(struct github *github, const char *what, const char *method, const char *path,
        struct http_call **ret_call, struct err *err);

/* The object in the answer, for the caller to free: 0 or negative. */
int github_app_answer(const struct http_call *call, cJSON **ret, struct err *err);

/* Like the call above, for a list: READ fills an item of ITEM_SIZE bytes for each element. The
 * caller frees *ret_items. */
int github_app_list_answer(const struct http_call *call, size_t item_size,
        void (*read)(const cJSON *object, void *item), void **ret_items, size_t *ret_count,
        struct err *err);

/* Whether GitHub did what CALL asked for, where its answer has nothing to read: 0 or negative. */
int github_app_done(const struct http_call *call, struct err *err);
