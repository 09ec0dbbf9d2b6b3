/* SPDX-License-Identifier: MIT */

/*
 * The formats of config_formats.h.
 */

#include "config_formats.h"

#include <string.h>
#include <strings.h>

#include "aws/instance_type.h"
#include "base/mem.h"
#include "config.h"
#include "exchange/handover.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"
#define NAME LETTERS DIGITS "_.-"

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

/* The part of TEXT after OWNER/, or NULL. */
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

bool config_is_subnet(const char *text)
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

static bool is_rerun(const char *text)
{
        return strcmp(text, CONFIG_RERUN_DEFAULT) == 0 ||
               strcmp(text, CONFIG_RERUN_ON_DEMAND) == 0 || strcmp(text, CONFIG_RERUN_NEVER) == 0;
}

bool config_is_allocation(const char *text)
{
        return strcmp(text, CONFIG_ALLOCATION_LADDER) == 0 ||
               strcmp(text, CONFIG_ALLOCATION_PRICE) == 0 ||
               strcmp(text, CONFIG_ALLOCATION_PRIORITIES) == 0;
}

static bool is_forks(const char *text)
{
        return strcmp(text, CONFIG_FORKS_REFUSE) == 0 || strcmp(text, CONFIG_FORKS_ALLOW) == 0;
}

static bool is_hand_over(const char *text)
{
        return strcmp(text, CONFIG_HAND_OVER_SSM) == 0 || strcmp(text, CONFIG_HAND_OVER_S3) == 0;
}

static bool is_without_control_characters(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        return false;
        return true;
}

/* A label that begins with run- is a job's own: see config.h. */
static bool is_label(const char *text)
{
        return is_without_control_characters(text) && !config_is_run_label(text);
}

/* The machine can read tags in its metadata, so EC2 allows only these characters. The scaler sets
 * the tag Name itself. */
static bool is_tag_key(const char *text)
{
        static const char *const refused[] = {".", "..", "_index", "Name"};

        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                if (strcmp(text, refused[i]) == 0)
                        return false;
        return strncasecmp(text, "aws:", 4) != 0 && strncmp(text, "scale-agent:", 12) != 0 &&
               *text && strlen(text) <= 128 && is_made_of(text, LETTERS DIGITS "+-=.,_:@");
}

/* -- the formats -- */

const struct config_format config_format_name = {
        .is_valid = is_name,
        .pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$",
};

const struct config_format config_format_owner = {
        .is_valid = is_owner,
        .pattern = "^[A-Za-z0-9_-]+$",
};

const struct config_format config_format_repositories = {
        .is_valid = is_repository_or_all,
        .pattern = "^[A-Za-z0-9_-]+/(\\*|(?!\\.{1,2}$)[A-Za-z0-9_.-]+)$",
        .example = "octo-org/*",
};

const struct config_format config_format_prefix = {
        .is_valid = handover_is_prefix,
        .pattern = "^(?!/([aA][wW][sS]|[sS][sS][mM]))(/[A-Za-z0-9_.-]+){1,13}$",
};

const struct config_format config_format_instance_type = {
        .is_valid = instance_type_is_plausible,
        .pattern = "^[a-z][a-z0-9-]+\\.(nano|micro|small|medium|large|xlarge|metal|"
                   "[0-9]{1,4}xlarge|metal-[0-9]{1,4}xl)$",
        .example = "m7i.large",
};

const struct config_format config_format_launch_template = {
        .is_valid = is_launch_template,
        .pattern = "^(lt-[0-9a-f]+|(?!lt-)[A-Za-z0-9_.()/-]+)$",
};

const struct config_format config_format_launch_template_version = {
        .is_valid = is_launch_template_version,
        .pattern = "^(\\$Default|\\$Latest|[1-9][0-9]{0,15})$",
};

const struct config_format config_format_subnet = {
        .is_valid = config_is_subnet,
        .pattern = "^subnet-[0-9a-f]+$",
        .example = "subnet-0123456789abcdef0",
};

const struct config_format config_format_rerun = {
        .is_valid = is_rerun,
        .pattern = "^(default|on-demand|never)$",
};

const struct config_format config_format_allocation = {
        .is_valid = config_is_allocation,
        .pattern = "^(ladder|price-capacity-optimized|capacity-optimized-prioritized)$",
};

const struct config_format config_format_forks = {
        .is_valid = is_forks,
        .pattern = "^(refuse|allow)$",
};

const struct config_format config_format_hand_over = {
        .is_valid = is_hand_over,
        .pattern = "^(ssm|s3)$",
};

const struct config_format config_format_line = {
        .is_valid = is_without_control_characters,
        .pattern = "^[^\\u0000-\\u001f\\u007f]*$",
};

const struct config_format config_format_label = {
        .is_valid = is_label,
        .pattern = "^(?![rR][uU][nN]-)[^\\u0000-\\u001f\\u007f]*$",
};

const struct config_format config_format_tag_key = {
        .is_valid = is_tag_key,
        .pattern = "^(?!(Name|\\.|\\.\\.|_index)$)(?![aA][wW][sS]:)(?!scale-agent:)"
                   "[A-Za-z0-9+=.,_:@-]+$",
};
