/* SPDX-License-Identifier: MIT */

/*
 * The fields of a configuration document, as tables: name, description, what is allowed, default,
 * and place in struct config. The checker and config.schema.json both follow from them (`make
 * schema`). Those of a spec are in config_spec_fields.c.
 */

#include "config_fields.h"

#include "base/json.h"
#include "base/mem.h"
#include "config_formats.h"
#include "exchange/handover.h"

#define AT(member) .offset = offsetof(struct config, member)
#define LIST_AT(member)                            \
        .offset = offsetof(struct config, member), \
        .count_offset = offsetof(struct config, n_##member)

static const struct config_field github_fields[] = {
        {
                .name = "app_id",
                .description = "Id or client id of the GitHub App that registers runners. "
                               "Without it, the personal token in GITHUB_TOKEN is used.",
                .kind = CONFIG_TEXT_OR_NUMBER,
                .allowed = "a GitHub App's id or client id",
                .min = 1,
                .max = 64,
                .format = &config_format_name,
                AT(app_id),
        },
        {
                .name = "additional_apps",
                .description =
                        "Ids of further GitHub Apps, whose webhooks are inactive. They register "
                        "runners, too, so that the limits of GitHub are met later. The private key "
                        "of each is below PREFIX/github/apps/ID.",
                .kind = CONFIG_NUMBERS,
                .item = "App",
                .items = "additional Apps",
                .min = 1,
                .max = JSON_INTEGER_MAX,
                .count_max = 9,
                .needs = {"app_id"},
                LIST_AT(additional_apps),
        },
        {
                .name = "installations",
                .description = "Installations of the App whose deliveries are accepted. "
                               "Empty or absent: every correctly signed delivery is accepted.",
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
                .description = "Repositories whose jobs get runners: OWNER/REPOSITORY, "
                               "or OWNER/* for all of an owner's. Case does not count.",
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
                .format = &config_format_repositories,
                LIST_AT(repositories),
        },
};

static const struct config_object github = {
        github_fields,
        ARRAY_SIZE(github_fields),
        sizeof(struct config),
};

static const struct config_field document_fields[] = {
        {.name = "$schema",
                .description = "Where this schema is, for editors. The scaler ignores it.",
                .kind = CONFIG_IGNORED},
        {
                .name = "prefix",
                .description = "The SSM path below which the scaler puts the hand-overs: "
                               "PREFIX/runners/INSTANCE. "
                               "At most 13 parts; SSM reserves what begins with aws or ssm.",
                .kind = CONFIG_TEXT,
                .allowed = HANDOVER_PREFIX_NEEDED,
                .min = 2,
                .max = HANDOVER_PREFIX_MAX,
                .format = &config_format_prefix,
                .default_text = "/scale-agent",
                AT(prefix),
        },
        {
                .name = "hand_over",
                .description =
                        "Where hand-overs wait for their machines: ssm, or s3 for bursts of more "
                        "than three jobs a second. s3 needs a stack with HAND_OVER=s3.",
                .kind = CONFIG_TEXT,
                .allowed = "\"ssm\" or \"s3\"",
                .min = 1,
                .max = 16,
                .format = &config_format_hand_over,
                .default_text = CONFIG_HAND_OVER_SSM,
                AT(hand_over),
        },
        {
                .name = "max_machines",
                .description = "So many machines live at the same time at most. "
                               "Jobs beyond that wait. Without it, there is no limit.",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = CONFIG_MACHINES_MAX,
                .allowed = CONFIG_LIMIT_ALLOWED,
                AT(max_machines),
        },
        {
                .name = "max_machines_per_repository",
                .description = "So many of them, at most, for the jobs of one repository.",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = CONFIG_MACHINES_MAX,
                .allowed = CONFIG_LIMIT_ALLOWED,
                AT(max_machines_per_repository),
        },
        {
                .name = "github",
                .description = "Whose jobs get runners, and how to reach GitHub.",
                .kind = CONFIG_OBJECT,
                .required = true,
                .object = &github,
        },
        {
                .name = "specs",
                .description = "The kinds of runners. "
                               "A job gets the first one whose labels include all of its own.",
                .kind = CONFIG_OBJECTS,
                .required = true,
                .item = "spec",
                .items = "specs",
                .count_min = 1,
                .count_max = 100,
                .object = &config_spec_object,
                LIST_AT(specs),
        },
};

const struct config_object config_document = {
        document_fields,
        ARRAY_SIZE(document_fields),
        sizeof(struct config),
};
