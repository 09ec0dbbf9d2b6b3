/* SPDX-License-Identifier: MIT */

/*
 * Checks that jobs do not take the machines of other specs. GitHub gives a job to any runner that
 * has all of its labels, so a spec whose runners have all labels of another one serves the other's
 * jobs, too: a small job gets the large machine, and the large job waits for another.
 */

#include <string.h>

#include "config_fields.h"

#define REMEDY                                                              \
        ": GitHub gives a job to any runner that has all of its labels. "   \
        "Give each a label that the other lacks, or set \"shared_labels\" " \
        "to true if this is meant"

/* A spec with faults has members that are missing. */
static bool is_whole(const struct config_spec *spec)
{
        if (!spec->name || !spec->instance_type || spec->n_labels == 0)
                return false;
        for (size_t i = 0; i < spec->n_labels; i++)
                if (!spec->labels[i])
                        return false;
        for (size_t i = 0; i < spec->n_instance_types; i++)
                if (!spec->instance_types[i])
                        return false;
        return true;
}

/* Whether a machine of SPEC can take a job that has all labels of OTHER. */
static bool takes_jobs_of(const struct config_spec *spec, const struct config_spec *other)
{
        const char *type;

        return config_spec_takes(spec, (const char *const *)other->labels, other->n_labels, &type);
}

/* SPEC, at INDEX and PLACE, and OTHER, at an earlier index. */
static void check_pair(const struct config_spec *spec, size_t index,
        const struct config_spec *other, size_t other_index, const struct config_place *place,
        struct config_faults *faults)
{
        const struct config_place at = {.parent = place, .name = "labels"};
        bool gives = takes_jobs_of(other, spec);
        bool takes = takes_jobs_of(spec, other);

        if (gives && takes)
                config_fault_add(faults, &at,
                        "jobs for %s (specs[%zu]) and %s (specs[%zu]) would take each other's "
                        "machines" REMEDY,
                        other->name, other_index, spec->name, index);
        else if (takes)
                config_fault_add(faults, &at,
                        "jobs for %s (specs[%zu]) would take machines of %s (specs[%zu])" REMEDY,
                        other->name, other_index, spec->name, index);
        else if (gives)
                config_fault_add(faults, &at,
                        "jobs for %s (specs[%zu]) would take machines of %s (specs[%zu])" REMEDY,
                        spec->name, index, other->name, other_index);
}

/* A job that names a type has all labels of the spec, and one more. */
static void add_types_fault(const struct config_place *place, struct config_faults *faults)
{
        const struct config_place at = {.parent = place, .name = "instance_types"};

        config_fault_add(faults, &at,
                "jobs that name no type would take the machines of those that do: "
                "GitHub gives a job to any runner that has all of its labels. "
                "Make a spec for each type, with a label that the others lack, "
                "or set \"shared_labels\" to true if this is meant");
}

/* Whether jobs can name another type than the one that all others get. */
static bool has_further_types(const struct config_spec *spec)
{
        for (size_t i = 0; i < spec->n_instance_types; i++)
                if (strcmp(spec->instance_types[i], spec->instance_type) != 0)
                        return true;
        return false;
}

void config_check_labels(const struct config *config, size_t index,
        const struct config_place *place, struct config_faults *faults)
{
        const struct config_spec *spec = &config->specs[index];

        if (!is_whole(spec) || spec->shared_labels)
                return;
        if (has_further_types(spec))
                add_types_fault(place, faults);
        for (size_t i = 0; i < index; i++)
                if (is_whole(&config->specs[i]) && !config->specs[i].shared_labels)
                        check_pair(spec, index, &config->specs[i], i, place, faults);
}
