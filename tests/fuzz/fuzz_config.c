/* SPDX-License-Identifier: MIT */

/*
 * The configuration: a document is either read as a whole, or has faults that can be printed. A job
 * that names all labels of a spec matches that spec or an earlier one.
 */

#include "base/mem.h"
#include "config/config.h"
#include "fuzz.h"

static void check_config(const struct config *config)
{
        CHECK(config->prefix && config->n_repositories > 0 && config->n_specs > 0);
        for (size_t i = 0; i < config->n_specs; i++) {
                const struct config_spec *spec = &config->specs[i];
                const struct config_spec *match;
                const char *type = NULL;

                CHECK(config_spec_by_name(config, spec->name) == spec);
                CHECK(spec->launch_template && spec->n_subnets > 0 && spec->subnets[0]);
                CHECK(spec->idle_limit_seconds >= 30 && spec->job_limit_seconds >= 60);
                match = config_match(
                        config, (const char *const *)spec->labels, spec->n_labels, &type);
                CHECK(!match || (match <= spec && type));
        }
}

static void check_faults(const struct config_faults *faults)
{
        CHECK(faults->count > 0 && faults->count <= CONFIG_FAULTS_MAX);
        for (size_t i = 0; i < faults->count; i++)
                CHECK(faults->items[i].path && faults->items[i].text[0] &&
                        !strpbrk(faults->items[i].text, "\n\033"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(config_faults_release) struct config_faults faults = {0};
        _cleanup_(config_freep) struct config *config = NULL;
        struct err err = {0};

        if (config_parse((const char *)data, size, &config, &faults, &err) == 0) {
                CHECK(config && faults.count == 0);
                check_config(config);
        } else {
                CHECK(!config && err.text[0]);
                check_faults(&faults);
        }
        return 0;
}
