/* SPDX-License-Identifier: MIT */

/*
 * Reads and checks the single values of a configuration document: texts, numbers, booleans.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/utf8.h"
#include "config_fields.h"

static bool text_is_valid(const struct config_field *field, const char *text)
{
        int64_t length = (int64_t)utf8_count(text);

        return length >= field->min && length <= field->max &&
               (!field->format || field->format->is_valid(text));
}

static bool is_whole(const cJSON *value, int64_t min, int64_t max)
{
        return cJSON_IsNumber(value) && value->valuedouble >= (double)min &&
               value->valuedouble <= (double)max &&
               value->valuedouble == (double)(int64_t)value->valuedouble;
}

static void read_text(const struct config_field *field, const cJSON *value, void *slot,
        const struct config_place *place, struct config_faults *faults)
{
        if (!cJSON_IsString(value) || !text_is_valid(field, value->valuestring))
                config_fault_add_needed(faults, place, field->allowed, value);
        else
                *(char **)slot = mem_string(value->valuestring);
}

static void read_text_or_number(const struct config_field *field, const cJSON *value, void *slot,
        const struct config_place *place, struct config_faults *faults)
{
        _cleanup_free_ char *text = NULL;

        if (is_whole(value, 1, JSON_INTEGER_MAX))
                text = mem_format("%.0f", value->valuedouble);
        else if (cJSON_IsString(value))
                text = mem_string(value->valuestring);
        if (!text || !text_is_valid(field, text))
                config_fault_add_needed(faults, place, field->allowed, value);
        else
                *(char **)slot = MEM_STEAL(text);
}

static void read_number(const struct config_field *field, const cJSON *value, void *slot,
        const struct config_place *place, struct config_faults *faults)
{
        char allowed[96];

        if (is_whole(value, field->min, field->max)) {
                *(int64_t *)slot = (int64_t)value->valuedouble;
                return;
        }
        (void)snprintf(allowed, sizeof(allowed), "a whole number from %" PRId64 " to %" PRId64 "%s",
                field->min, field->max, field->allowed ? field->allowed : "");
        config_fault_add_needed(faults, place, allowed, value);
}

static void read_boolean(const struct config_field *field, const cJSON *value, void *slot,
        const struct config_place *place, struct config_faults *faults)
{
        (void)field;
        if (cJSON_IsBool(value))
                *(bool *)slot = cJSON_IsTrue(value);
        else
                config_fault_add_needed(faults, place, "true or false", value);
}

static void read_ignored(const struct config_field *field, const cJSON *value, void *slot,
        const struct config_place *place, struct config_faults *faults)
{
        (void)field;
        (void)slot;
        if (!cJSON_IsString(value))
                config_fault_add_needed(faults, place, "a string", value);
}

void config_read_value(const struct config_field *field, const cJSON *value, void *slot,
        const struct config_place *place, struct config_faults *faults)
{
        static void (*const readers[])(const struct config_field *field, const cJSON *value,
                void *slot, const struct config_place *place, struct config_faults *faults) = {
                [CONFIG_TEXT] = read_text,
                [CONFIG_TEXT_OR_NUMBER] = read_text_or_number,
                [CONFIG_NUMBER] = read_number,
                [CONFIG_BOOLEAN] = read_boolean,
                [CONFIG_TEXTS] = read_text,
                [CONFIG_NUMBERS] = read_number,
                [CONFIG_TAGS] = read_text,
                [CONFIG_IGNORED] = read_ignored,
        };

        readers[field->kind](field, value, slot, place, faults);
}
