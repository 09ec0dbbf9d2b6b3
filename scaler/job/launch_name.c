/* SPDX-License-Identifier: MIT */

/*
 * Names launches, and finds the instance that belongs to a name.
 */

#include "launch_name.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

void launch_name(const struct job *job, char name[static LAUNCH_NAME_SIZE])
{
        snprintf(name, LAUNCH_NAME_SIZE, "%lld-%lld-%lld", (long long)job->id,
                (long long)job->attempt, (long long)job->launch);
}

char *launch_names_print(const struct job *const *jobs, size_t n_jobs)
{
        struct buf names = BUF_INIT(LAUNCH_NAMES_MAX + LAUNCH_NAME_SIZE);
        char name[LAUNCH_NAME_SIZE];

        buf_add_string(&names, "/");
        for (size_t i = 0; i < n_jobs; i++) {
                launch_name(jobs[i], name);
                buf_add_format(&names, "%s/", name);
        }
        return buf_steal(&names);
}

char *launch_name_pattern(const char *name)
{
        return mem_format("*/%s/*", name);
}

bool launch_is_ours(const struct config *config, const struct ec2_instance *instance)
{
        const char *prefix = ec2_instance_tag(instance, "scale-agent:prefix");

        return prefix && strcmp(prefix, config->prefix) == 0;
}

bool launch_name_owns(const char *name, const struct ec2_instance *instance)
{
        const char *names = ec2_instance_tag(instance, LAUNCH_NAMES_TAG);
        size_t size = strlen(name);

        if (!names || names[0] != '/')
                return false;
        names++;
        for (unsigned i = 0; i < instance->launch_index; i++) {
                names = strchr(names, '/');
                if (!names)
                        return false;
                names++;
        }
        return strncmp(names, name, size) == 0 && names[size] == '/';
}
