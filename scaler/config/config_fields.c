/* SPDX-License-Identifier: MIT */

/*
 * The fields of a configuration document, as tables: name, description, what is allowed, default,
 * and place in struct config. The checker and config.schema.json both follow from them (`make
 * schema`).
 */

#include "config_fields.h"

#include "aws/instance_type.h"
#include "base/json.h"
#include "base/mem.h"
#include "config_formats.h"
#include "exchange/handover.h"
#include "github/github.h"

/* What follows the range. */
#define LIMIT_ALLOWED " (none: leave it out)"

#define AT(member) .offset = offsetof(struct config_spec, member)
#define LIST_AT(member)                                 \
        .offset = offsetof(struct config_spec, member), \
        .count_offset = offsetof(struct config_spec, n_##member)

static const struct config_field spec_fields[] = {
        {
                .name = "name",
                .description = "The name of the spec in logs, metrics and tags.",
                .kind = CONFIG_TEXT,
                .required = true,
                .allowed = "a name (letters, digits, _ . -, at most 64, a letter or digit first)",
                .min = 1,
                .max = 64,
                .format = &config_format_name,
                AT(name),
        },
        {
                .name = "labels",
                .description = "What the runner offers; case does not count. "
                               "GitHub adds no labels of its own: list self-hosted too. "
                               "Labels that begin with run- are the jobs' own.",
                .kind = CONFIG_TEXTS,
                .required = true,
                .item = "label",
                .items = "labels",
                .allowed = "a label (1 to 256 characters, no control characters, "
                           "not beginning with run-)",
                .min = 1,
                .max = 256,
                .count_min = 1,
                .count_max = GITHUB_LABELS_MAX - CONFIG_LABELS_FREE,
                .ignore_case = true,
                .format = &config_format_label,
                LIST_AT(labels),
        },
        {
                .name = "shared_labels",
                .description =
                        "Jobs may take the machines of another spec or type whose runners have all "
                        "of their labels. Without it, such specs are refused, "
                        "and so are instance_types.",
                .kind = CONFIG_BOOLEAN,
                AT(shared_labels),
        },
        {
                .name = "organization",
                .description = "Runners belong to this organization, "
                               "which must own one of the repositories. "
                               "Without it, they belong to the repository of the job.",
                .kind = CONFIG_TEXT,
                .allowed = "an organization's login (letters, digits, - _, at most 100)",
                .min = 1,
                .max = 100,
                .format = &config_format_owner,
                AT(organization),
        },
        {
                .name = "enterprise",
                .description = "Runners belong to the enterprise of this slug, in place of an "
                               "organization. GitHub allows that with a classic personal token of "
                               "scope manage_runners:enterprise, which GITHUB_ENTERPRISE_TOKEN "
                               "refers to, and with nothing else.",
                .kind = CONFIG_TEXT,
                .allowed = "an enterprise's slug (letters, digits, - _, at most 100)",
                .min = 1,
                .max = 100,
                .format = &config_format_owner,
                AT(enterprise),
        },
        {
                .name = "runner_group_id",
                .description = "The runner group of the organization or enterprise. A repository "
                               "has only group 1.",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = JSON_INTEGER_MAX,
                .default_number = 1,
                .needs = {"organization", "enterprise"},
                AT(runner_group_id),
        },
        {
                .name = "unlabelled",
                .description = "Jobs without labels get these runners, too: "
                               "those whose runs-on names only a runner group.",
                .kind = CONFIG_BOOLEAN,
                AT(unlabelled),
        },
        {
                .name = "instance_type",
                .description =
                        "The instance type that is tried first. "
                        "`scaler ladder TYPE` prints which types follow when there is no capacity.",
                .kind = CONFIG_TEXT,
                .required = true,
                .allowed = "an instance type such as m7i.large",
                .min = 1,
                .max = INSTANCE_TYPE_SIZE - 1,
                .format = &config_format_instance_type,
                AT(instance_type),
        },
        {
                .name = "instance_types",
                .description = "Further instance types that a job may name as a label, "
                               "of the same architecture. "
                               "They need shared_labels: a job that names none takes any of them.",
                .kind = CONFIG_TEXTS,
                .item = "instance type",
                .items = "instance types",
                .allowed = "an instance type such as m7i.large",
                .min = 1,
                .max = INSTANCE_TYPE_SIZE - 1,
                .count_max = 100,
                .format = &config_format_instance_type,
                LIST_AT(instance_types),
        },
        {
                .name = "launch_template",
                .description = "Name or id of the launch template, "
                               "which has the image, the security groups and the instance profile.",
                .kind = CONFIG_TEXT,
                .required = true,
                .allowed = "a launch template's name (3 to 128 letters, digits, _ . - ( ) /), "
                           "or its id (lt- and hexadecimal digits)",
                .min = 3,
                .max = 128,
                .format = &config_format_launch_template,
                AT(launch_template),
        },
        {
                .name = "launch_template_version",
                .description = "$Default, $Latest, or the number of a version.",
                .kind = CONFIG_TEXT_OR_NUMBER,
                .allowed = "\"$Default\", \"$Latest\" or a version's number",
                .min = 1,
                .max = 16,
                .format = &config_format_launch_template_version,
                .default_text = "$Default",
                AT(launch_template_version),
        },
        {
                .name = "subnets",
                .description = "The subnets to launch into. "
                               "Each type is tried in all of them before the next type.",
                .kind = CONFIG_TEXTS,
                .required = true,
                .item = "subnet",
                .items = "subnets",
                .allowed = "a subnet's id (subnet- and hexadecimal digits)",
                .min = 8,
                .max = 64,
                .count_min = 1,
                .count_max = 100,
                .format = &config_format_subnet,
                LIST_AT(subnets),
        },
        {
                .name = "allocation",
                .description =
                        "Who chooses among the types of the ladder and the subnets. ladder: they "
                        "are tried in their order. price-capacity-optimized: EC2 chooses by price "
                        "and by how likely it is to take the machine back. "
                        "capacity-optimized-prioritized: EC2 chooses by the latter, and follows "
                        "the ladder where it can. EC2 uses one subnet of each zone. "
                        "`scaler ladder TYPE --allocation ... --subnets ...` prints what is asked "
                        "for.",
                .kind = CONFIG_TEXT,
                .allowed = "\"ladder\", \"price-capacity-optimized\" or "
                           "\"capacity-optimized-prioritized\"",
                .min = 1,
                .max = 32,
                .format = &config_format_allocation,
                .default_text = CONFIG_ALLOCATION_LADDER,
                AT(allocation),
        },
        {
                .name = "on_demand_fallback",
                .description = "Launch on demand when there is no spot capacity.",
                .kind = CONFIG_BOOLEAN,
                AT(on_demand_fallback),
        },
        {
                .name = "rerun",
                .description =
                        "What becomes of a job that was lost because EC2 took its spot instance "
                        "back. default: it is run again once its run has ended. on-demand: the "
                        "same, and further attempts of a run are launched on demand, "
                        "which needs on_demand_fallback. never: people decide, as deployments may "
                        "need.",
                .kind = CONFIG_TEXT,
                .allowed = "\"default\", \"on-demand\" or \"never\"",
                .min = 1,
                .max = 16,
                .format = &config_format_rerun,
                .default_text = CONFIG_RERUN_DEFAULT,
                AT(rerun),
        },
        {
                .name = "max_reruns",
                .description =
                        "How many attempts of a run may be followed by another for jobs that were "
                        "lost so. GitHub allows 50.",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = 50,
                .default_number = 1,
                AT(max_reruns),
        },
        {
                .name = "fork_pull_requests",
                .description =
                        "Whether jobs of public repositories are launched when their run comes "
                        "from a fork, whose code anybody may have written: refuse or allow. "
                        "Private repositories do not ask.",
                .kind = CONFIG_TEXT,
                .allowed = "\"refuse\" or \"allow\"",
                .min = 1,
                .max = 16,
                .format = &config_format_forks,
                .default_text = CONFIG_FORKS_REFUSE,
                AT(fork_pull_requests),
        },
        {
                .name = "terminate_on_completed",
                .description = "Terminate the instance when GitHub reports its job as completed: "
                               "for images whose runners do not shut down the machine.",
                .kind = CONFIG_BOOLEAN,
                AT(terminate_on_completed),
        },
        {
                .name = "job_metadata",
                .description = "Jobs reach the metadata service of their machine, and with it the "
                               "machine's role, from containers as well: for images that were "
                               "built with JOB_METADATA=allow.",
                .kind = CONFIG_BOOLEAN,
                AT(job_metadata),
        },
        {
                .name = "idle_limit_seconds",
                .description = "A runner that gets no job for this long is deregistered, "
                               "and its machine ends soon afterwards.",
                .kind = CONFIG_NUMBER,
                .min = 30,
                .max = 3600,
                .default_number = 300,
                AT(idle_limit_seconds),
        },
        {
                .name = "job_limit_seconds",
                .description =
                        "A job that takes longer is stopped. Machines are powered off after 7 "
                        "hours: for more, build an image with LIFE_HOURS=...",
                .kind = CONFIG_NUMBER,
                .min = 60,
                .max = INT64_C(5) * 24 * 3600, /* GitHub's limit on a self-hosted runner */
                .default_number = INT64_C(6) * 3600,
                AT(job_limit_seconds),
        },
        {
                .name = "max_relaunches",
                .description = "After so many machines that ended without having run the job that "
                               "they were launched for, people are told, and one an hour is tried.",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = 100,
                .default_number = 5,
                AT(max_relaunches),
        },
        {
                .name = "max_machines",
                .description = "So many machines of this spec live at the same time at most. "
                               "Jobs beyond that wait. Without it, there is no limit.",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = CONFIG_MACHINES_MAX,
                .allowed = LIMIT_ALLOWED,
                AT(max_machines),
        },
        {
                .name = "spot_losses_max",
                .description = "When EC2 takes so many machines back within spot_window_seconds, "
                               "launches are on demand for half an hour. "
                               "Needs on_demand_fallback.",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = 20,
                .default_number = 3,
                AT(spot_losses_max),
        },
        {
                .name = "spot_window_seconds",
                .description = "See spot_losses_max.",
                .kind = CONFIG_NUMBER,
                .min = 60,
                .max = 3600,
                .default_number = 900,
                AT(spot_window_seconds),
        },
        {
                .name = "tags",
                .description =
                        "Tags of the instance and its volumes, in addition to those of the scaler: "
                        "Name and scale-agent:*. The machine can read tags in its metadata, "
                        "so EC2 allows few characters in keys.",
                .kind = CONFIG_TAGS,
                .item = "tag",
                .items = "tags",
                .allowed = "a string (at most 256 characters, no control characters)",
                .max = 256,
                .count_max = 37, /* EC2 allows 50, and the scaler sets up to 13 */
                .format = &config_format_line,
                .allowed_key = "1 to 128 letters, digits, + - = . , _ : @, not Name, "
                               "and not begin with aws: or scale-agent:",
                .key_format = &config_format_tag_key,
                .key_max = 128,
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
                .allowed = LIMIT_ALLOWED,
                AT(max_machines),
        },
        {
                .name = "max_machines_per_repository",
                .description = "So many of them, at most, for the jobs of one repository.",
                .kind = CONFIG_NUMBER,
                .min = 1,
                .max = CONFIG_MACHINES_MAX,
                .allowed = LIMIT_ALLOWED,
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
                .object = &spec,
                LIST_AT(specs),
        },
};

const struct config_object config_document = {
        document_fields,
        ARRAY_SIZE(document_fields),
        sizeof(struct config),
};
