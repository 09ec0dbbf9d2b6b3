/* SPDX-License-Identifier: MIT */

/*
 * Reads a JSON value into a struct as a table of fields describes it, and frees such a struct. All
 * faults are collected, so that a person can fix them at once.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "config_fields.h"

#define GIVEN_TWICE "given twice; one of them must go"

/* -- lists, tags and objects -- */

/* Whether a list, or an object of tags, has as many elements as FIELD allows; adds a fault if not.
 */
static bool count_is_allowed(const struct config_field *field, const cJSON *value,
        const struct config_place *place, struct config_faults *faults)
{
        size_t count = (size_t)cJSON_GetArraySize(value);

        if (count < field->count_min) {
                config_fault_add(faults, place, "at least one %s is needed, found an empty list",
                        field->item);
                return false;
        }
        if (count > field->count_max) {
                config_fault_add(faults, place, "at most %zu %s are allowed, found %zu",
                        field->count_max, field->items, count);
                return false;
        }
        return true;
}

static bool is_same(const struct config_field *field, const cJSON *a, const cJSON *b)
{
        if (cJSON_IsString(a) && cJSON_IsString(b))
                return (field->ignore_case ? strcasecmp : strcmp)(a->valuestring, b->valuestring) ==
                       0;
        return cJSON_IsNumber(a) && cJSON_IsNumber(b) && a->valuedouble == b->valuedouble;
}

/* Adds a fault at PLACE, where ELEMENT is, if an earlier element is the same. */
static void check_is_first(const struct config_field *field, const cJSON *list,
        const cJSON *element, const struct config_place *place, struct config_faults *faults)
{
        size_t index = 0;

        for (const cJSON *other = list->child; other != element; other = other->next, index++) {
                if (is_same(field, element, other)) {
                        config_fault_add(faults, place, "the same %s is at [%zu] already",
                                field->item, index);
                        return;
                }
        }
}

/* The size of an element of a list; 0: FIELD is no list. */
static size_t element_size(const struct config_field *field)
{
        static const size_t sizes[] = {
                [CONFIG_TEXTS] = sizeof(char *),
                [CONFIG_NUMBERS] = sizeof(int64_t),
                [CONFIG_IGNORED] = 0,
        };

        return field->kind == CONFIG_OBJECTS ? field->object->size : sizes[field->kind];
}

static void read_list(const struct config_field *field, const cJSON *value, void *base,
        const struct config_place *place, struct config_faults *faults)
{
        struct config_place at = {.parent = place};
        size_t size = element_size(field);
        char *elements;
        char allowed[64];

        if (!value || !cJSON_IsArray(value)) {
                (void)snprintf(allowed, sizeof(allowed), "a list of %s", field->items);
                config_fault_add_needed(faults, place, allowed, value);
                return;
        }
        if (!count_is_allowed(field, value, place, faults) || !value->child)
                return;
        elements = mem_alloc((size_t)cJSON_GetArraySize(value) * size);
        *(void **)((char *)base + field->offset) = elements;
        for (const cJSON *element = value->child; element; element = element->next, at.index++) {
                void *slot = elements + at.index * size;

                if (field->object)
                        config_read_object(field->object, element, slot, &at, faults);
                else
                        config_read_value(field, element, slot, &at, faults);
                check_is_first(field, value, element, &at, faults);
        }
        *(size_t *)((char *)base + field->count_offset) = at.index;
}

static void read_tags(const struct config_field *field, const cJSON *value, void *base,
        const struct config_place *place, struct config_faults *faults)
{
        struct config_place at = {.parent = place};
        struct config_tag *tags;
        size_t count = 0;

        if (!value || !cJSON_IsObject(value)) {
                config_fault_add_needed(faults, place, "an object of tags", value);
                return;
        }
        if (!count_is_allowed(field, value, place, faults) || !value->child)
                return;
        tags = mem_alloc((size_t)cJSON_GetArraySize(value) * sizeof(*tags));
        for (const cJSON *tag = value->child; tag; tag = tag->next, count++) {
                at.name = tag->string;
                config_read_value(field, tag, &tags[count].value, &at, faults);
                if (field->key_format->is_valid(tag->string))
                        tags[count].key = mem_string(tag->string);
                else
                        config_fault_add(faults, &at, "the key must be %s", field->allowed_key);
                if (cJSON_GetObjectItemCaseSensitive(value, tag->string) != tag)
                        config_fault_add(faults, &at, GIVEN_TWICE);
        }
        *(struct config_tag **)((char *)base + field->offset) = tags;
        *(size_t *)((char *)base + field->count_offset) = count;
}

static void read_field(const struct config_field *field, const cJSON *value, void *base,
        const struct config_place *place, struct config_faults *faults)
{
        if (field->kind == CONFIG_TAGS)
                read_tags(field, value, base, place, faults);
        else if (element_size(field) > 0)
                read_list(field, value, base, place, faults);
        else if (field->object)
                config_read_object(field->object, value, base, place, faults);
        else
                config_read_value(field, value, (char *)base + field->offset, place, faults);
}

/* A field without a default stays zero. */
static void set_default(const struct config_field *field, void *base)
{
        void *slot = (char *)base + field->offset;

        if (field->default_text)
                *(char **)slot = mem_string(field->default_text);
        else if (field->default_number != 0)
                *(int64_t *)slot = field->default_number;
}

/* Reads the member of OBJECT that FIELD describes; adds a fault if it is given twice. */
static void read_member(const struct config_field *field, const cJSON *object, void *base,
        const struct config_place *parent, struct config_faults *faults)
{
        const struct config_place place = {.parent = parent, .name = field->name};
        const cJSON *first = cJSON_GetObjectItemCaseSensitive(object, field->name);

        if (first || field->required)
                read_field(field, first, base, &place, faults);
        else
                set_default(field, base);
        for (const cJSON *other = first ? first->next : NULL; other; other = other->next) {
                if (strcmp(other->string, field->name) == 0) {
                        config_fault_add(faults, &place, GIVEN_TWICE);
                        return;
                }
        }
}

static void add_unknown(const struct config_object *description, const struct config_place *place,
        struct config_faults *faults)
{
        _cleanup_buf_ struct buf known = BUF_INIT(400);
        const char *meant = config_suggest(description, place->name);

        if (meant) {
                config_fault_add(faults, place, "unknown; did you mean %s?", meant);
                return;
        }
        for (size_t i = 0; i < description->n_fields; i++)
                (void)buf_add_format(
                        &known, "%s%s", i > 0 ? ", " : "", description->fields[i].name);
        config_fault_add(faults, place, "unknown; known here are %s", buf_string(&known));
}

/* Adds a fault for each member of OBJECT that no field describes. */
static void check_unknown(const struct config_object *description, const cJSON *object,
        const struct config_place *parent, struct config_faults *faults)
{
        for (const cJSON *member = object->child; member; member = member->next) {
                const struct config_place place = {.parent = parent, .name = member->string};
                size_t i = 0;

                while (i < description->n_fields &&
                        strcmp(description->fields[i].name, member->string) != 0)
                        i++;
                if (i == description->n_fields)
                        add_unknown(description, &place, faults);
        }
}

void config_read_object(const struct config_object *object, const cJSON *value, void *base,
        const struct config_place *place, struct config_faults *faults)
{
        if (!cJSON_IsObject(value)) {
                config_fault_add_needed(faults, place, "an object", value);
                return;
        }
        for (size_t i = 0; i < object->n_fields; i++)
                read_member(&object->fields[i], value, base, place, faults);
        check_unknown(object, value, place, faults);
}

/* -- releasing -- */

static void release_elements(const struct config_field *field, void *elements, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                if (field->kind == CONFIG_TEXTS)
                        free(((char **)elements)[i]);
                if (field->kind == CONFIG_TAGS) {
                        free(((struct config_tag *)elements)[i].key);
                        free(((struct config_tag *)elements)[i].value);
                }
                if (field->kind == CONFIG_OBJECTS)
                        config_release_object(
                                field->object, (char *)elements + i * field->object->size);
        }
        free(elements);
}

void config_release_object(const struct config_object *object, void *base)
{
        for (size_t i = 0; i < object->n_fields; i++) {
                const struct config_field *field = &object->fields[i];
                void *slot = (char *)base + field->offset;

                if (field->kind == CONFIG_TEXT || field->kind == CONFIG_TEXT_OR_NUMBER)
                        free(*(char **)slot);
                else if (field->kind == CONFIG_OBJECT)
                        config_release_object(field->object, base);
                else if (field->kind == CONFIG_TAGS || element_size(field) > 0)
                        release_elements(field, *(void **)slot,
                                *(size_t *)((char *)base + field->count_offset));
        }
}
