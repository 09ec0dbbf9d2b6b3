/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to scaler/config: what texts of a configuration document may look like. Each format is
 * written twice: as code, for the checker, and as a pattern, for the schema.
 * tests/flow/test_config_schema.py compares the two.
 */

#include <stdbool.h>

struct config_format {
        bool (*is_valid)(const char *text); /* asked about an empty text only if it is allowed */
        const char *pattern;                /* a regular expression as in ECMA-262 */
        const char *example;                /* or NULL */
};

extern const struct config_format config_format_name;
extern const struct config_format config_format_owner;
extern const struct config_format config_format_repositories;
extern const struct config_format config_format_prefix;
extern const struct config_format config_format_instance_type;
extern const struct config_format config_format_launch_template;
extern const struct config_format config_format_launch_template_version;
extern const struct config_format config_format_subnet;
extern const struct config_format config_format_rerun;
extern const struct config_format config_format_allocation;
extern const struct config_format config_format_forks;
extern const struct config_format config_format_hand_over;
extern const struct config_format config_format_line; /* no control characters */
extern const struct config_format config_format_label;
extern const struct config_format config_format_tag_key;

/* Whether TEXT is OWNER/REPOSITORY. */
bool config_is_repository(const char *text);
