/* SPDX-License-Identifier: MIT */

/*
 * Reads JSON from outside. cJSON parses; this adds the checks that cJSON leaves to its users:
 * UTF-8, nothing after the value, integers that a double holds exactly.
 */

#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_arena.h"
#include "base/utf8.h"

/* Whether a string holds the escape \u0000, at which cJSON would cut it off. */
static bool has_escaped_nul(const char *bytes, size_t size)
{
        static const char escape[] = "\\u0000";
        const char *end = bytes + size;
        const char *found = bytes;

        while ((found = memmem(found, (size_t)(end - found), escape, sizeof(escape) - 1))) {
                size_t backslashes = 0;

                while (found - backslashes > bytes && found[-1 - (ptrdiff_t)backslashes] == '\\')
                        backslashes++;
                if (backslashes % 2 == 0)
                        return true;
                found++;
        }
        return false;
}

int json_parse(const char *bytes, size_t size, const char *what, cJSON **ret_value, struct err *err)
{
        const char *end = NULL;
        cJSON *value;

        if (size == 0)
                return err_set(err, -EBADMSG, "%s is empty, JSON was expected", what);
        if (!utf8_is_valid(bytes, size))
                return err_set(err, -EBADMSG, "%s is not UTF-8", what);
        if (has_escaped_nul(bytes, size))
                return err_set(err, -EBADMSG, "%s has the character \\u0000 in a string", what);
        json_arena_open(true);
        value = cJSON_ParseWithLengthOpts(bytes, size, &end, false);
        json_arena_open(false);
        if (!value)
                return err_set(err, -EBADMSG,
                        "%s is not JSON, or nested deeper than %d: error near byte %zu of %zu",
                        what, CJSON_NESTING_LIMIT, end ? (size_t)(end - bytes) : 0, size);
        while (end < bytes + size && strchr(" \t\r\n", *end) && *end)
                end++;
        if (end < bytes + size) {
                cJSON_Delete(value);
                return err_set(err, -EBADMSG, "%s has something after its JSON value, at byte %zu",
                        what, (size_t)(end - bytes));
        }
        *ret_value = value;
        return 0;
}

const cJSON *json_get(const cJSON *object, const char *path)
{
        char name[128];

        while (object && *path) {
                size_t size = strcspn(path, ".");

                if (size >= sizeof(name))
                        return NULL;
                memcpy(name, path, size);
                name[size] = '\0';
                object = cJSON_GetObjectItemCaseSensitive(object, name);
                path += size + (path[size] == '.');
        }
        return object;
}

const char *json_string(const cJSON *object, const char *path)
{
        return cJSON_GetStringValue(json_get(object, path));
}

static bool is_integer(const cJSON *value)
{
        return cJSON_IsNumber(value) && value->valuedouble >= -(double)JSON_INTEGER_MAX &&
               value->valuedouble <= (double)JSON_INTEGER_MAX &&
               value->valuedouble == (double)(int64_t)value->valuedouble;
}

int64_t json_integer(const cJSON *object, const char *path, int64_t fallback)
{
        const cJSON *value = json_get(object, path);

        return is_integer(value) ? (int64_t)value->valuedouble : fallback;
}

bool json_boolean(const cJSON *object, const char *path, bool fallback)
{
        const cJSON *value = json_get(object, path);

        return cJSON_IsBool(value) ? cJSON_IsTrue(value) : fallback;
}

int json_need_string(
        const cJSON *object, const char *path, const char **ret_string, struct err *err)
{
        const cJSON *value = json_get(object, path);

        if (!cJSON_IsString(value))
                return err_set(err, -EBADMSG, "%s: a string is needed, found %s", path,
                        json_type_name(value));
        if (value->valuestring[0] == '\0')
                return err_set(err, -EBADMSG, "%s: a string is needed, found an empty one", path);
        *ret_string = value->valuestring;
        return 0;
}

int json_need_integer(const cJSON *object, const char *path, int64_t *ret_integer, struct err *err)
{
        const cJSON *value = json_get(object, path);

        if (!cJSON_IsNumber(value))
                return err_set(err, -EBADMSG, "%s: a number is needed, found %s", path,
                        json_type_name(value));
        if (!is_integer(value))
                return err_set(err, -EBADMSG, "%s: a whole number up to %lld is needed, found %g",
                        path, (long long)JSON_INTEGER_MAX, value->valuedouble);
        *ret_integer = (int64_t)value->valuedouble;
        return 0;
}

const char *json_type_name(const cJSON *value)
{
        static const struct {
                int type;
                const char *name;
        } names[] = {
                {cJSON_False, "false"},
                {cJSON_True, "true"},
                {cJSON_NULL, "null"},
                {cJSON_Number, "a number"},
                {cJSON_String, "a string"},
                {cJSON_Array, "a list"},
                {cJSON_Object, "an object"},
        };

        if (!value)
                return "nothing";
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if ((value->type & 0xff) == names[i].type)
                        return names[i].name;
        return "something invalid";
}

/* cJSON returns NULL when it gets no memory, and for no other reason here. */
static void *present(void *pointer)
{
        if (!pointer)
                abort();
        return pointer;
}

char *json_print(const cJSON *value)
{
        return present(cJSON_PrintUnformatted(value));
}

void json_add_string(cJSON *object, const char *name, const char *text)
{
        if (text)
                present(cJSON_AddStringToObject(object, name, text));
}

void json_add_integer(cJSON *object, const char *name, int64_t integer)
{
        char digits[24];

        /* Printed here, since cJSON gets the sixteenth digit of a number wrong. */
        snprintf(digits, sizeof(digits), "%lld", (long long)integer);
        present(cJSON_AddRawToObject(object, name, digits));
}

void json_add_boolean(cJSON *object, const char *name, bool boolean)
{
        present(cJSON_AddBoolToObject(object, name, boolean));
}

cJSON *json_add_object(cJSON *object, const char *name)
{
        return present(cJSON_AddObjectToObject(object, name));
}

void json_freep(cJSON **value)
{
        cJSON_Delete(*value);
}

static void wipe_strings(const cJSON *item)
{
        for (; item; item = item->next) {
                if (item->valuestring)
                        explicit_bzero(item->valuestring, strlen(item->valuestring));
                wipe_strings(item->child);
        }
}

void json_free_secret(cJSON **value)
{
        wipe_strings(*value);
        cJSON_Delete(*value);
}
