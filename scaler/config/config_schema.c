/* SPDX-License-Identifier: MIT */

/*
 * Prints the tables of config_fields.c as a JSON Schema, for editors.
 * https://json-schema.org/draft/2020-12
 */

#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "config_fields.h"

#define SCHEMA_MAX ((size_t)64 * 1024)

static void add_members(cJSON *schema, const struct config_object *object);

/* -- what one value may be -- */

static void add_text_rules(cJSON *schema, const struct config_field *field)
{
        if (field->min > 0)
                json_add_integer(schema, "minLength", field->min);
        json_add_integer(schema, "maxLength", field->max);
        if (!field->format)
                return;
        json_add_string(schema, "pattern", field->format->pattern);
        if (field->format->example)
                cJSON_AddItemToArray(cJSON_AddArrayToObject(schema, "examples"),
                        cJSON_CreateString(field->format->example));
}

static void add_number_rules(cJSON *schema, int64_t min, int64_t max)
{
        json_add_integer(schema, "minimum", min);
        json_add_integer(schema, "maximum", max);
}

static void describe_text(cJSON *schema, const struct config_field *field)
{
        json_add_string(schema, "type", "string");
        add_text_rules(schema, field);
}

static void describe_text_or_number(cJSON *schema, const struct config_field *field)
{
        static const char *const types[] = {"string", "integer"};

        cJSON_AddItemToObject(schema, "type", cJSON_CreateStringArray(types, 2));
        add_text_rules(schema, field);
        add_number_rules(schema, 1, JSON_INTEGER_MAX);
}

static void describe_number(cJSON *schema, const struct config_field *field)
{
        json_add_string(schema, "type", "integer");
        add_number_rules(schema, field->min, field->max);
}

static void describe_boolean(cJSON *schema, const struct config_field *field)
{
        (void)field;
        json_add_string(schema, "type", "boolean");
}

static void describe_ignored(cJSON *schema, const struct config_field *field)
{
        (void)field;
        json_add_string(schema, "type", "string");
}

/* -- lists, tags and objects -- */

static cJSON *add_list(cJSON *schema, const struct config_field *field)
{
        json_add_string(schema, "type", "array");
        if (field->count_min > 0)
                json_add_integer(schema, "minItems", (int64_t)field->count_min);
        json_add_integer(schema, "maxItems", (int64_t)field->count_max);
        if (!field->object)
                json_add_boolean(schema, "uniqueItems", true);
        return json_add_object(schema, "items");
}

static void describe_texts(cJSON *schema, const struct config_field *field)
{
        describe_text(add_list(schema, field), field);
}

static void describe_numbers(cJSON *schema, const struct config_field *field)
{
        describe_number(add_list(schema, field), field);
}

static void describe_object(cJSON *schema, const struct config_field *field)
{
        add_members(schema, field->object);
}

static void describe_objects(cJSON *schema, const struct config_field *field)
{
        add_members(add_list(schema, field), field->object);
}

static void describe_tags(cJSON *schema, const struct config_field *field)
{
        cJSON *key;

        json_add_string(schema, "type", "object");
        json_add_integer(schema, "maxProperties", (int64_t)field->count_max);
        key = json_add_object(schema, "propertyNames");
        json_add_integer(key, "maxLength", field->key_max);
        json_add_string(key, "pattern", field->key_format->pattern);
        describe_text(json_add_object(schema, "additionalProperties"), field);
}

/* -- fields -- */

/* Adds the default of FIELD, if it has one, as member NAME. */
static void add_default(cJSON *schema, const char *name, const struct config_field *field)
{
        if (field->default_text)
                json_add_string(schema, name, field->default_text);
        else if (field->default_number != 0)
                json_add_integer(schema, name, field->default_number);
        else if (field->kind == CONFIG_BOOLEAN && !field->required)
                json_add_boolean(schema, name, false);
}

static void add_field(cJSON *properties, const struct config_field *field)
{
        static void (*const describers[])(cJSON * schema, const struct config_field *field) = {
                [CONFIG_TEXT] = describe_text,
                [CONFIG_TEXT_OR_NUMBER] = describe_text_or_number,
                [CONFIG_NUMBER] = describe_number,
                [CONFIG_BOOLEAN] = describe_boolean,
                [CONFIG_TEXTS] = describe_texts,
                [CONFIG_NUMBERS] = describe_numbers,
                [CONFIG_TAGS] = describe_tags,
                [CONFIG_OBJECT] = describe_object,
                [CONFIG_OBJECTS] = describe_objects,
                [CONFIG_IGNORED] = describe_ignored,
        };
        cJSON *schema = json_add_object(properties, field->name);

        json_add_string(schema, "description", field->description);
        describers[field->kind](schema, field);
        add_default(schema, "default", field);
}

/* Only the default of FIELD; of a list, the empty one. */
static void add_nothing_else(cJSON *schema, const struct config_field *field)
{
        if (field->count_max > 0)
                json_add_integer(schema, "maxItems", 0);
        else
                add_default(schema, "const", field);
}

/* Without a member that FIELD needs, only its default is allowed. */
static void add_need(cJSON *schema, const struct config_field *field)
{
        cJSON *rule = cJSON_CreateObject();
        cJSON *without = json_add_object(json_add_object(rule, "if"), "not");
        cJSON *properties = json_add_object(json_add_object(rule, "then"), "properties");
        cJSON *any = cJSON_AddArrayToObject(without, "anyOf");

        for (size_t i = 0; i < ARRAY_SIZE(field->needs) && field->needs[i]; i++) {
                cJSON *with = cJSON_CreateObject();

                cJSON_AddItemToObject(
                        with, "required", cJSON_CreateStringArray(&field->needs[i], 1));
                cJSON_AddItemToArray(any, with);
        }
        add_nothing_else(json_add_object(properties, field->name), field);
        if (!cJSON_HasObjectItem(schema, "allOf"))
                cJSON_AddArrayToObject(schema, "allOf");
        cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(schema, "allOf"), rule);
}

static void add_members(cJSON *schema, const struct config_object *object)
{
        cJSON *required;
        cJSON *properties;

        json_add_string(schema, "type", "object");
        required = cJSON_AddArrayToObject(schema, "required");
        json_add_boolean(schema, "additionalProperties", false);
        properties = json_add_object(schema, "properties");
        for (size_t i = 0; i < object->n_fields; i++) {
                const struct config_field *field = &object->fields[i];

                if (field->required)
                        cJSON_AddItemToArray(required, cJSON_CreateString(field->name));
                add_field(properties, field);
                if (field->needs[0])
                        add_need(schema, field);
        }
}

/* -- the whole -- */

/* cJSON indents with tabs, and escapes those in strings. */
static char *print_indented(const cJSON *value)
{
        _cleanup_buf_ struct buf text = BUF_INIT(SCHEMA_MAX);
        char *printed = cJSON_Print(value);

        if (!printed)
                abort(); /* no memory */
        for (const char *at = printed; *at; at++)
                if (*at != '\t')
                        buf_add(&text, at, 1);
                else
                        buf_add_string(&text, at[-1] == ':' ? " " : "  ");
        cJSON_free(printed);
        return buf_steal(&text);
}

char *config_schema(void)
{
        _cleanup_json_ cJSON *schema = cJSON_CreateObject();

        json_add_string(schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
        json_add_string(schema, "title", "scale-agent configuration");
        json_add_string(schema, "description",
                "What the scaler launches, and for whose jobs. "
                "`scaler check FILE` checks the same, and what a schema cannot say: "
                "each spec has a name and labels of its own, not both an organization and an "
                "enterprise, its organization owns one of the repositories, "
                "all its instance types are of one architecture, "
                "and no additional App is the first one.");
        add_members(schema, &config_document);
        return print_indented(schema);
}
