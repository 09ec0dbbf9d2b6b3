/* SPDX-License-Identifier: MIT */

/*
 * The faults of a configuration document: where each one is, and what was found there. A document
 * comes from outside, so what is shown of it is cut when long, and has no control characters.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "config_fields.h"

/* How much of a text from the document is shown. */
#define SHOWN_MAX 60
#define SHOWN_SIZE (SHOWN_MAX + sizeof("\"\xe2\x80\xa6\""))

/* TEXT in quotes, cut between two characters when long, and safe to print. */
static const char *show_text(const char *text, char ret[static SHOWN_SIZE])
{
        size_t length = strnlen(text, SHOWN_MAX + 1);
        bool cut = length > SHOWN_MAX;
        size_t size = 0;

        if (cut)
                length = utf8_fit(text, SHOWN_MAX);
        ret[size++] = '"';
        for (size_t i = 0; i < length; i++)
                if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
                        ret[size++] = '?';
                else
                        ret[size++] = text[i];
        (void)snprintf(ret + size, SHOWN_SIZE - size, "%s\"", cut ? "\xe2\x80\xa6" : "");
        return ret;
}

/* What VALUE (may be NULL) is. */
static const char *show(const cJSON *value, char ret[static SHOWN_SIZE])
{
        if (cJSON_IsString(value))
                return show_text(value->valuestring, ret);
        if (cJSON_IsBool(value))
                return cJSON_IsTrue(value) ? "true" : "false";
        if (cJSON_IsArray(value) && !value->child)
                return "an empty list";
        if (!cJSON_IsNumber(value))
                return json_type_name(value);
        (void)snprintf(ret, SHOWN_SIZE, "%.16g", value->valuedouble);
        return ret;
}

static void write_place(const struct config_place *place, struct buf *path)
{
        char shown[SHOWN_SIZE];

        if (!place)
                return;
        write_place(place->parent, path);
        if (!place->name)
                (void)buf_add_format(path, "[%zu]", place->index);
        else if (place->name[0] == '\0' ||
                 place->name[strspn(place->name, "$_-abcdefghijklmnopqrstuvwxyz"
                                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] ||
                 strlen(place->name) > SHOWN_MAX)
                (void)buf_add_format(path, "[%s]", show_text(place->name, shown));
        else
                (void)buf_add_format(path, "%s%s", path->size > 0 ? "." : "", place->name);
}

void config_fault_add(
        struct config_faults *faults, const struct config_place *place, const char *format, ...)
{
        _cleanup_buf_ struct buf path = BUF_INIT(1024);
        struct config_fault *fault;
        va_list arguments;
        char text[512];

        if (faults->count == CONFIG_FAULTS_MAX)
                return;
        write_place(place, &path);
        va_start(arguments, format);
        (void)vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        faults->items = mem_resize(faults->items, faults->count + 1, sizeof(*faults->items));
        fault = &faults->items[faults->count++];
        fault->path = buf_steal(&path);
        fault->text = mem_string(text);
}

void config_fault_add_needed(struct config_faults *faults, const struct config_place *place,
        const char *allowed, const cJSON *value)
{
        char shown[SHOWN_SIZE];

        config_fault_add(faults, place, "%s is needed, found %s", allowed, show(value, shown));
}

void config_faults_release(struct config_faults *faults)
{
        for (size_t i = 0; i < faults->count; i++) {
                free(faults->items[i].path);
                free(faults->items[i].text);
        }
        free(faults->items);
        *faults = (struct config_faults){0};
}
