/* SPDX-License-Identifier: MIT */

/*
 * The fields of a spec, as the table in config_fields.c.
 */

#include "config_fields.h"

#include "aws/instance_type.h"
#include "base/json.h"
#include "base/mem.h"
#include "config_formats.h"
#include "github/github.h"

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
                .allowed = CONFIG_LIMIT_ALLOWED,
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
                .count_max = 35, /* EC2 allows 50, and the scaler sets up to 15 */
                .format = &config_format_line,
                .allowed_key = "1 to 128 letters, digits, + - = . , _ : @, not Name, "
                               "and not begin with aws: or scale-agent:",
                .key_format = &config_format_tag_key,
                .key_max = 128,
                LIST_AT(tags),
        },
};

const struct config_object config_spec_object = {
        spec_fields,
        ARRAY_SIZE(spec_fields),
        sizeof(struct config_spec),
};
