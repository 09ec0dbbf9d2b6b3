/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/github: what all calls to GitHub share.
 */

#include "base/err.h"
#include "base/json.h"
#include "github/github.h"
#include "http/http_call.h"

/* The kept token for INSTALLATION, even one that is about to expire, or NULL. Borrowed. */
const char *github_any_token(const struct github *github, int64_t installation);

/* The token for calls about SCOPE: INSTALLATION's, or that for enterprises. NULL: none is kept. */
const char *github_scope_token(
        const struct github *github, int64_t installation, const char *scope);

/* Whether SCOPE is one of github.h, and so may be a part of a URL. */
bool github_is_scope(const char *scope);

/* Adds GitHub's headers and rules for retries to CALL. BEARER is a token or a JWT; a call without
 * one (NULL) is answered with 401. */
void github_call_prepare(struct http_call *call, const char *bearer);

/* What a refusal with STATUS means for one kind of call, and what to do about it. */
struct github_advice {
        int status; /* 0 ends a table */
        int code;   /* the negative errno to return */
        const char *text;
};

/*
 * Turns an answer that the caller does not handle into text: what was refused (SUBJECT), GitHub's
 * own words (bounded), and the advice for its status; or how long the rate limit lasts (-EAGAIN).
 * Without an answer, or for a status without advice, the same as http_call_fail().
 */
int github_refused(const struct http_call *call, const char *subject,
        const struct github_advice *advice, struct err *err);

/* Reads the list at PATH of CALL's answer ("": the answer itself): 0, or negative. *ret_list is a
 * part of *ret_body, which the caller gives to cJSON_Delete(), also after a failure. */
int github_answer_list(const struct http_call *call, const char *path,
        const struct github_advice *advice, cJSON **ret_body, const cJSON **ret_list,
        struct err *err);

/* Reads an answer that is itself a list: READ fills an item of ITEM_SIZE bytes for each element.
 * The caller frees *ret_items. */
int github_answer_items(const struct http_call *call, const struct github_advice *advice,
        size_t item_size, void (*read)(const cJSON *object, void *item), void **ret_items,
        size_t *ret_count, struct err *err);

/* Reads the labels of OBJECT, a job; the caller frees each of them, and the list. */
void github_read_labels(const cJSON *object, char ***ret_labels, size_t *ret_count);

/* Copies the string at PATH of OBJECT, "" if there is none; cut between characters if it is too
 * long. */
void github_copy(char *to, size_t size, const cJSON *object, const char *path);
