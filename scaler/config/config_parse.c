/* SPDX-License-Identifier: MIT */

/*
 * Reads the configuration from its text. The tables of config_fields.c say what each field may be;
 * this file checks what concerns several fields.
 */

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/instance_type.h"
#include "base/json.h"
#include "base/utf8.h"
#include "config_fields.h"

/* -- checks of several fields -- */

static void check_name(const struct config *config, size_t index, const struct config_place *place,
        struct config_faults *faults)
{
        const struct config_place at = {.parent = place, .name = "name"};
        const char *name = config->specs[index].name;

        for (size_t i = 0; name && i < index; i++) {
                const char *other = config->specs[i].name;

                if (other && strcmp(name, other) == 0) {
                        config_fault_add(faults, &at,
                                "a name of its own is needed, specs[%zu] is called %s already", i,
                                name);
                        return;
                }
        }
}

/* Deliveries come from the configured repositories, so a spec whose organization owns none of them
 * would never get a job. */
static void check_organization(const struct config *config, const struct config_spec *spec,
        const struct config_place *place, struct config_faults *faults)
{
        const struct config_place at = {.parent = place, .name = "organization"};
        size_t length = spec->organization ? strlen(spec->organization) : 0;

        for (size_t i = 0; i < config->n_repositories; i++) {
                const char *repository = config->repositories[i];

                if (length == 0 || !repository)
                        return;
                if (strncasecmp(repository, spec->organization, length) == 0 &&
                        repository[length] == '/')
                        return;
        }
        if (length > 0 && config->n_repositories > 0)
                config_fault_add(faults, &at,
                        "an owner of one of github.repositories is needed, found \"%s\"",
                        spec->organization);
}

static void check_enterprise(const struct config_spec *spec, const struct config_place *place,
        struct config_faults *faults)
{
        const struct config_place at = {.parent = place, .name = "enterprise"};

        if (spec->enterprise && spec->organization)
                config_fault_add(faults, &at,
                        "runners belong to an organization or to an enterprise: "
                        "one of the two must go");
}

static void check_runner_group(const struct config_spec *spec, const struct config_place *place,
        struct config_faults *faults)
{
        const struct config_place at = {.parent = place, .name = "runner_group_id"};

        if (!spec->organization && !spec->enterprise && spec->runner_group_id > 1)
                config_fault_add(faults, &at,
                        "1 is needed without an organization or enterprise, "
                        "since a repository has no other group, found %" PRId64,
                        spec->runner_group_id);
}

/* All types of a spec boot one image, which has one architecture. */
static void check_architectures(const struct config_spec *spec, const struct config_place *place,
        struct config_faults *faults)
{
        const struct config_place types = {.parent = place, .name = "instance_types"};
        const struct instance_family *own, *other;

        own = spec->instance_type ? instance_family_find(spec->instance_type) : NULL;
        for (size_t i = 0; own && i < spec->n_instance_types; i++) {
                const struct config_place at = {.parent = &types, .index = i};
                const char *type = spec->instance_types[i];

                other = type ? instance_family_find(type) : NULL;
                if (other && other->architecture != own->architecture)
                        config_fault_add(faults, &at,
                                "a type of the same architecture as %s (%s) is needed, "
                                "found %s (%s)",
                                spec->instance_type, instance_architecture_name(own->architecture),
                                type, instance_architecture_name(other->architecture));
        }
}

/* Without the fallback a spec has no offers on demand. */
static void check_rerun(const struct config_spec *spec, const struct config_place *place,
        struct config_faults *faults)
{
        const struct config_place at = {.parent = place, .name = "rerun"};

        if (spec->rerun && strcmp(spec->rerun, CONFIG_RERUN_ON_DEMAND) == 0 &&
                !spec->on_demand_fallback)
                config_fault_add(faults, &at,
                        "\"on-demand\" needs \"on_demand_fallback\": true, "
                        "which allows launches on demand");
}

static void check_specs(const struct config *config, struct config_faults *faults)
{
        const struct config_place specs = {.name = "specs"};

        for (size_t i = 0; i < config->n_specs; i++) {
                const struct config_place place = {.parent = &specs, .index = i};
                const struct config_spec *spec = &config->specs[i];

                check_name(config, i, &place, faults);
                check_organization(config, spec, &place, faults);
                check_enterprise(spec, &place, faults);
                check_runner_group(spec, &place, faults);
                check_architectures(spec, &place, faults);
                check_rerun(spec, &place, faults);
                config_check_labels(config, i, &place, faults);
        }
}

/* The deliveries, and all that is not a registration, are the first App's. */
static void check_apps(const struct config *config, struct config_faults *faults)
{
        const struct config_place github = {.name = "github"};
        const struct config_place apps = {.parent = &github, .name = "additional_apps"};

        if (!config->app_id && config->n_additional_apps > 0)
                config_fault_add(faults, &apps, "app_id is needed, too: it is the first App");
        for (size_t i = 0; config->app_id && i < config->n_additional_apps; i++) {
                const struct config_place at = {.parent = &apps, .index = i};
                char app[24];

                (void)snprintf(app, sizeof(app), "%" PRId64, config->additional_apps[i]);
                if (strcmp(app, config->app_id) == 0)
                        config_fault_add(faults, &at, "another App than app_id is needed");
        }
}

/* -- from text to struct -- */

/* cJSON says at which byte a text ceases to be JSON; people count lines. */
static void add_syntax_fault(
        const char *text, size_t size, const struct err *err, struct config_faults *faults)
{
        size_t line = 1, column = 1;
        const char *end = NULL;

        if (!utf8_is_valid(text, size)) {
                config_fault_add(faults, NULL, "%s", err->text);
                return;
        }
        cJSON_Delete(cJSON_ParseWithLengthOpts(text, size, &end, false));
        for (const char *at = text; end && at < end; at++) {
                column = *at == '\n' ? 1 : column + 1;
                line += *at == '\n';
        }
        config_fault_add(faults, NULL, "%s (line %zu, column %zu)", err->text, line, column);
}

int config_parse(const char *text, size_t size, struct config **ret_config,
        struct config_faults *ret_faults, struct err *err)
{
        _cleanup_(config_faults_release) struct config_faults faults = {0};
        _cleanup_(config_freep) struct config *config = mem_alloc(sizeof(*config));
        _cleanup_json_ cJSON *document = NULL;
        struct err syntax = {0};

        if (json_parse(text, size, "the configuration", &document, &syntax) < 0) {
                add_syntax_fault(text, size, &syntax, &faults);
        } else {
                config_read_object(&config_document, document, config, NULL, &faults);
                check_specs(config, &faults);
                check_apps(config, &faults);
        }
        if (faults.count == 0) {
                *ret_config = MEM_STEAL(config);
                return 0;
        }
        (void)err_set(err, -EINVAL, "configuration: %s%s%s (`scaler check` lists all faults: %zu)",
                faults.items[0].path, *faults.items[0].path ? ": " : "", faults.items[0].text,
                faults.count);
        if (ret_faults) {
                *ret_faults = faults;
                faults = (struct config_faults){0};
        }
        return -EINVAL;
}

void config_free(struct config *config)
{
        if (!config)
                return;
        config_release_object(&config_document, config);
        free(config);
}

void config_freep(struct config **config)
{
        config_free(*config);
}
