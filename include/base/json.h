/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reads JSON that came from outside, on top of cJSON: bounded, checked to be UTF-8, and with
 * getters that say what is wrong and where. A path leads through objects: "workflow_job.id".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "err.h"
#include "mem.h"

#define _cleanup_json_ _cleanup_(json_freep)
#define _cleanup_json_secret_ _cleanup_(json_free_secret)

/* Integers beyond this are not exact as JSON numbers, and are refused (RFC 8259, section 6). */
#define JSON_INTEGER_MAX INT64_C(9007199254740991)

/*
 * Parses SIZE bytes, which must be one JSON value in UTF-8 and nothing after it, nested at most
 * 1,000 deep. WHAT names the document in errors ("the webhook's body").
 * Returns 0 and a value that the caller gives to cJSON_Delete(), or -EBADMSG.
 */
int json_parse(
        const char *bytes, size_t size, const char *what, cJSON **ret_value, struct err *err);

/* The member at PATH, or NULL. Borrowed. */
const cJSON *json_get(const cJSON *object, const char *path);

/* The string at PATH; NULL where it is absent, null, or not a string. Borrowed. */
const char *json_string(const cJSON *object, const char *path);

/* The integer at PATH, or FALLBACK where it is absent, null, not whole, or beyond
 * JSON_INTEGER_MAX. */
int64_t json_integer(const cJSON *object, const char *path, int64_t fallback);

/* The boolean at PATH, or FALLBACK. */
bool json_boolean(const cJSON *object, const char *path, bool fallback);

/* Read a member that must be there: 0, or -EBADMSG with a text that names the path, what is
 * expected, and what was found. Strings must not be empty. */
int json_need_string(
        const cJSON *object, const char *path, const char **ret_string, struct err *err);
int json_need_integer(const cJSON *object, const char *path, int64_t *ret_integer, struct err *err);

/* "a string", "a number", "null", "nothing": what VALUE (may be NULL) is, for errors. */
const char *json_type_name(const cJSON *value);

/* VALUE as compact text; the caller frees. */
char *json_print(const cJSON *value);

/* Each adds a member to an object; json_add_string() adds none for NULL. */
void json_add_string(cJSON *object, const char *name, const char *text);
void json_add_integer(cJSON *object, const char *name, int64_t integer);
void json_add_boolean(cJSON *object, const char *name, bool boolean);
cJSON *json_add_object(cJSON *object, const char *name);

/* For _cleanup_json_. */
void json_freep(cJSON **value);

/* For _cleanup_json_secret_: overwrites all strings of a value, and frees it. */
void json_free_secret(cJSON **value);
