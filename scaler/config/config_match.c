/* SPDX-License-Identifier: MIT */

/*
 * What is asked about each job: whether its repository is configured, and which spec it gets.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "config_formats.h"

#define RUN_LABEL_CHARACTERS                                             \
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
        "_.-"

bool config_spec_reruns(const struct config_spec *spec)
{
        return strcmp(spec->rerun, CONFIG_RERUN_NEVER) != 0;
}

bool config_spec_reruns_on_demand(const struct config_spec *spec)
{
        return strcmp(spec->rerun, CONFIG_RERUN_ON_DEMAND) == 0 && spec->on_demand_fallback;
}

bool config_spec_uses_fleet(const struct config_spec *spec)
{
        return strcmp(spec->allocation, CONFIG_ALLOCATION_LADDER) != 0;
}

bool config_spec_allows_forks(const struct config_spec *spec)
{
        return strcmp(spec->fork_pull_requests, CONFIG_FORKS_ALLOW) == 0;
}

bool config_allows_repository(const struct config *config, const char *repository)
{
        if (!config_is_repository(repository))
                return false;
        for (size_t i = 0; i < config->n_repositories; i++) {
                const char *allowed = config->repositories[i];
                size_t length = strlen(allowed);

                if (allowed[length - 1] == '*' ? strncasecmp(repository, allowed, length - 1) == 0
                                               : strcasecmp(repository, allowed) == 0)
                        return true;
        }
        return false;
}

bool config_allows_installation(const struct config *config, int64_t installation)
{
        for (size_t i = 0; i < config->n_installations; i++)
                if (config->installations[i] == installation)
                        return true;
        return config->n_installations == 0;
}

bool config_has_additional_app(const struct config *config, const char *text)
{
        for (size_t i = 0; i < config->n_additional_apps; i++) {
                char app[24];

                (void)snprintf(app, sizeof(app), "%" PRId64, config->additional_apps[i]);
                if (strcmp(app, text) == 0)
                        return true;
        }
        return false;
}

bool config_names_other_app(const struct config *config, const char *text)
{
        const char *first = config->app_id;

        if (config_has_additional_app(config, text))
                return true;
        return first && first[strspn(first, "0123456789")] == '\0' && strcmp(first, text) != 0;
}

bool config_has_enterprise(const struct config *config)
{
        for (size_t i = 0; i < config->n_specs; i++)
                if (config->specs[i].enterprise)
                        return true;
        return false;
}

const struct config_spec *config_spec_by_name(const struct config *config, const char *name)
{
        for (size_t i = 0; i < config->n_specs; i++)
                if (strcmp(config->specs[i].name, name) == 0)
                        return &config->specs[i];
        return NULL;
}

static bool spec_has_label(const struct config_spec *spec, const char *label)
{
        for (size_t i = 0; i < spec->n_labels; i++)
                if (strcasecmp(spec->labels[i], label) == 0)
                        return true;
        return false;
}

/* The instance type of SPEC that LABEL names, or NULL. */
static const char *spec_type(const struct config_spec *spec, const char *label)
{
        if (strcasecmp(spec->instance_type, label) == 0)
                return spec->instance_type;
        for (size_t i = 0; i < spec->n_instance_types; i++)
                if (strcasecmp(spec->instance_types[i], label) == 0)
                        return spec->instance_types[i];
        return NULL;
}

bool config_is_run_label(const char *label)
{
        return strncasecmp(label, CONFIG_RUN_LABEL, strlen(CONFIG_RUN_LABEL)) == 0;
}

bool config_spec_takes(const struct config_spec *spec, const char *const *labels, size_t n_labels,
        const char **ret_type)
{
        const char *named = NULL;
        bool labelled = false;

        for (size_t i = 0; i < n_labels; i++) {
                const char *type = spec_type(spec, labels[i]);

                if (config_is_run_label(labels[i]))
                        continue;
                labelled = true;
                if (!type && !spec_has_label(spec, labels[i]))
                        return false;
                if (type && named && strcasecmp(type, named) != 0)
                        return false;
                named = type ? type : named;
        }
        if (!labelled && !spec->unlabelled)
                return false;
        *ret_type = named;
        return true;
}

const struct config_spec *config_match(const struct config *config, const char *const *labels,
        size_t n_labels, const char **ret_instance_type)
{
        for (size_t i = 0; i < config->n_specs; i++) {
                const struct config_spec *spec = &config->specs[i];
                const char *type;

                if (!config_spec_takes(spec, labels, n_labels, &type))
                        continue;
                *ret_instance_type = type ? type : spec->instance_type;
                return spec;
        }
        return NULL;
}

const struct config_spec *config_rematch(const struct config *config, const char *name,
        const char *const *labels, size_t n_labels, const char **instance_type)
{
        const struct config_spec *spec = name ? config_spec_by_name(config, name) : NULL;

        if (!spec)
                return config_match(config, labels, n_labels, instance_type);
        if (!*instance_type)
                *instance_type = spec->instance_type;
        return spec;
}

int config_run_label(
        const char *const *labels, size_t n_labels, const char **ret_label, struct err *err)
{
        const char *found = NULL;

        for (size_t i = 0; i < n_labels; i++) {
                size_t length = strlen(labels[i]);

                if (!config_is_run_label(labels[i]))
                        continue;
                if (found && strcasecmp(found, labels[i]) != 0)
                        return err_set(err, -EINVAL,
                                "the job has more than one label that begins with "
                                "\"" CONFIG_RUN_LABEL "\"; a runner can be for one only");
                if (length == strlen(CONFIG_RUN_LABEL) || length > CONFIG_RUN_LABEL_MAX ||
                        strspn(labels[i], RUN_LABEL_CHARACTERS) != length)
                        return err_set(err, -EINVAL,
                                "the job's label \"%.40s\" must be \"" CONFIG_RUN_LABEL
                                "\" and letters, digits, _ . -, at most %d characters in all",
                                labels[i], CONFIG_RUN_LABEL_MAX);
                found = labels[i];
        }
        *ret_label = found;
        return 0;
}
