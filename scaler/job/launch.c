/* SPDX-License-Identifier: MIT */

/*
 * Second stage of a job's life, first half: takes an instance for each job. launch_ladder.c asks
 * for one offer after the other, and launch_fleet.c has EC2 choose.
 */

#include "launch.h"

#include <string.h>

#include "launch_name.h"

static size_t launch_mark_size(const struct config_spec *spec)
{
        return config_spec_uses_fleet(spec) ? LAUNCH_MARK_SIZE : 0;
}

bool launch_has_room(const struct launch *launch, const struct job *job)
{
        _cleanup_free_ char *names = launch_names_print(launch->jobs, launch->n_jobs);
        char name[LAUNCH_NAME_SIZE];

        launch_name(job, name);
        return launch_mark_size(launch->spec) + strlen(names) + strlen(name) + 1 <=
               LAUNCH_NAMES_MAX;
}

void launch_start(struct launch *launch)
{
        offers_init(&launch->offers, launch->spec, launch->instance_type);
        launch->outcome = LAUNCH_UNDER_WAY;
        if (config_spec_uses_fleet(launch->spec))
                launch_fleet(launch);
        else
                launch_ladder(launch);
}
