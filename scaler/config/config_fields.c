/* SPDX-License-Identifier: MIT */

/*
 * The fields of a configuration document, as tables: what each is called, what it may be, what it
 * is when it is not given, and where in struct config it goes. scaler/config/config.schema.json
 * says the same for editors; tests/flow/test_config_schema.py holds the two against each other.
 */

#include "config_fields.h"

#include <string.h>
#include <strings.h>

#include "aws/instance_type.h"
#include "base/json.h"
#include "exchange/handover.h"
#include "github/github.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"
#define NAME LETTERS DIGITS "_.-"

/* -- formats; none of them is asked about an empty text, unless the field allows one -- */

static bool is_made_of(const char *text, const char *characters)
{
        return text[strspn(text, characters)] == '\0';
}

static bool is_name(const char *text)
{
        return !strchr("_.-", text[0]) && is_made_of(text, NAME);
}

static bool is_owner(const char *text)
{
        return is_made_of(text, LETTERS DIGITS "_-");
}

/* The part after OWNER/ in TEXT, or NULL when there is none. */
static const char *after_owner(const char *text)
{
        size_t length = strspn(text, LETTERS DIGITS "_-");

        return length > 0 && text[length] == '/' ? text + length + 1 : NULL;
}

bool config_is_repository(const char *text)
{
        const char *name = after_owner(text);

        return name && *name && is_made_of(name, NAME) && strcmp(name, ".") != 0 &&
               strcmp(name, "..") != 0;
}

static bool is_repository_or_all(const char *text)
{
        const char *name = after_owner(text);

        return (name && strcmp(name, "*") == 0) || config_is_repository(text);
}

static bool is_subnet(const char *text)
{
        return strncmp(text, "subnet-", 7) == 0 && text[7] && is_made_of(text + 7, HEX);
}

static bool is_launch_template(const char *text)
{
        if (strncmp(text, "lt-", 3) == 0)
                return text[3] && is_made_of(text + 3, HEX);
        return is_made_of(text, NAME "()/");
}

static bool is_launch_template_version(const char *text)
{
        if (strcmp(text, "$Default") == 0 || strcmp(text, "$Latest") == 0)
                return true;
        return text[0] != '0' && strlen(text) <= 16 && is_made_of(text, DIGITS);
}

static bool is_without_control_characters(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        return false;
        return true;
}

/* Tags can be read on the machine, from its metadata, and so EC2 takes these characters only. The
 * scaler sets the tag Name itself. */
static bool is_tag_key(const char *text)
{
        static const char *const refused[] = {".", "..", "_index", "Name"};

        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                if (strcmp(text, refused[i]) == 0)
                        return false;
        return strncasecmp(text, "aws:", 4) != 0 && strncmp(text, "scale-agent:", 12) != 0 &&
               *text && strlen(text) <= 128 && is_made_of(text, LETTERS DIGITS "+-=.,_:@");
}

/* -- the tables -- */

#define AT(member) .offset = offsetof(struct config_spec, member)
#define LIST_AT(member)                                 \
        .offset = offsetof(struct config_spec, member), \
        .count_offset = offsetof(struct config_spec, n_##member)

static const struct config_field spec_fields[] = {
        {
                .name = "name",
                .kind = CONFIG_TEXT,
                .required = true,
                .allowed = "a name (letters, digits, _ . -, at most 64, a letter or digit first)",
                .min = 1,
                .max = 64,
                .is_valid = is_name,
                AT(name),
        },
        {
                .name = "labels",
                .kind = CONFIG_TEXTS,
                .required = true,
                .item = "label",
                .items = "labels",
                .allowed = "a label (1 to 256 characters, no control characters)",
                .min = 1,
                .max = 256,
                .count_min = 1,
                .count_max = GITHUB_LABELS_MAX,
                .ignore_case = true,
                .is_valid = is_without_control_characters,
                LIST_AT(labels),
        },
        {
                .name = "organization",
                .kind = CONFIG_TEXT,
                .allowed = "an organization's login (letters, digits, - _, at most 100)",
                .min = 1,
                .max = 100,
                .is_valid = is_owner,
                AT(organization),
        },
        {
                .name = "runner_group_id",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = JSON_INTEGER_MAX,
                .default_number = 1,
                AT(runner_group_id),
        },
        {
                .name = "instance_type",
                .kind = CONFIG_TEXT,
                .required = true,
                .allowed = "an instance type such as m7i.large",
                .min = 1,
                .max = INSTANCE_TYPE_SIZE - 1,
                .is_valid = instance_type_is_plausible,
                AT(instance_type),
        },
        {
                .name = "instance_types",
                .kind = CONFIG_TEXTS,
                .item = "instance type",
                .items = "instance types",
                .allowed = "an instance type such as m7i.large",
                .min = 1,
                .max = INSTANCE_TYPE_SIZE - 1,
                .count_max = 100,
                .is_valid = instance_type_is_plausible,
                LIST_AT(instance_types),
        },
        {
                .name = "launch_template",
                .kind = CONFIG_TEXT,
                .required = true,
                .allowed = "a launch template's name (3 to 128 letters, digits, _ . - ( ) /) or "
                           "its id (lt- and hexadecimal digits)",
                .min = 3,
                .max = 128,
                .is_valid = is_launch_template,
                AT(launch_template),
        },
        {
                .name = "launch_template_version",
                .kind = CONFIG_TEXT_OR_NUMBER,
                .allowed = "\"$Default\", \"$Latest\" or a version's number",
                .min = 1,
                .max = 16,
                .is_valid = is_launch_template_version,
                .default_text = "$Default",
                AT(launch_template_version),
        },
        {
                .name = "subnets",
                .kind = CONFIG_TEXTS,
                .required = true,
                .item = "subnet",
                .items = "subnets",
                .allowed = "a subnet's id (subnet- and hexadecimal digits)",
                .min = 8,
                .max = 64,
                .count_min = 1,
                .count_max = 100,
                .is_valid = is_subnet,
                LIST_AT(subnets),
        },
        {
                .name = "on_demand_fallback",
                .kind = CONFIG_BOOLEAN,
                AT(on_demand_fallback),
        },
        {
                .name = "terminate_on_completed",
                .kind = CONFIG_BOOLEAN,
                AT(terminate_on_completed),
        },
        {
                .name = "idle_limit_seconds",
                .kind = CONFIG_NUMBER,
                .min = 30,
                .max = 3600,
                .default_number = 300,
                AT(idle_limit_seconds),
        },
        {
                .name = "job_limit_seconds",
                .kind = CONFIG_NUMBER,
                .min = 60,
                .max = INT64_C(5) * 24 *
                       3600, /* GitHub ends a job on a self-hosted runner after 5 days */
                .default_number = INT64_C(6) * 3600,
                AT(job_limit_seconds),
        },
        {
                .name = "tags",
                .kind = CONFIG_TAGS,
                .item = "tag",
                .items = "tags",
                .allowed = "a string (at most 256 characters, no control characters)",
                .max = 256,
                .count_max = 40, /* EC2 takes 50, the scaler sets some of its own */
                .is_valid = is_without_control_characters,
                .allowed_key = "1 to 128 letters, digits, + - = . , _ : @, not Name, and not begin "
                               "with aws: or scale-agent:",
                .is_valid_key = is_tag_key,
                LIST_AT(tags),
        },
};

static const struct config_object spec = {
        spec_fields,
        ARRAY_SIZE(spec_fields),
        sizeof(struct config_spec),
};

#undef AT
#undef LIST_AT
#define AT(member) .offset = offsetof(struct config, member)
#define LIST_AT(member)                            \
        .offset = offsetof(struct config, member), \
        .count_offset = offsetof(struct config, n_##member)

static const struct config_field github_fields[] = {
        {
                .name = "app_id",
                .kind = CONFIG_TEXT_OR_NUMBER,
                .allowed = "a GitHub App's id or client id",
                .min = 1,
                .max = 64,
                .is_valid = is_name,
                AT(app_id),
        },
        {
                .name = "installations",
                .kind = CONFIG_NUMBERS,
                .item = "installation",
                .items = "installations",
                .min = 1,
                .max = JSON_INTEGER_MAX,
                .count_max = 1000,
                LIST_AT(installations),
        },
        {
                .name = "repositories",
                .kind = CONFIG_TEXTS,
                .required = true,
                .item = "repository",
                .items = "repositories",
                .allowed = "OWNER/REPOSITORY or OWNER/*",
                .min = 3,
                .max = 201,
                .count_min = 1,
                .count_max = 1000,
                .ignore_case = true,
                .is_valid = is_repository_or_all,
                LIST_AT(repositories),
        },
};

static const struct config_object github = {
        github_fields,
        ARRAY_SIZE(github_fields),
        sizeof(struct config),
};

static const struct config_field document_fields[] = {
        {
                .name = "$schema",
                .kind = CONFIG_PASSED_OVER, /* tells an editor where the schema is */
        },
        {
                .name = "prefix",
                .kind = CONFIG_TEXT,
                .allowed = HANDOVER_PREFIX_NEEDED,
                .min = 2,
                .max = HANDOVER_PREFIX_MAX,
                .is_valid = handover_is_prefix,
                .default_text = "/scale-agent",
                AT(prefix),
        },
        {
                .name = "github",
                .kind = CONFIG_OBJECT,
                .required = true,
                .object = &github,
        },
        {
                .name = "specs",
                .kind = CONFIG_OBJECTS,
                .required = true,
                .item = "spec",
                .items = "specs",
                .count_min = 1,
                .count_max = 100,
                .object = &spec,
                LIST_AT(specs),
        },
};

const struct config_object config_document = {
        document_fields,
        ARRAY_SIZE(document_fields),
        sizeof(struct config),
};
