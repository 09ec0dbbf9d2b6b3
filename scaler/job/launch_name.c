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

/* The value of the tag where INSTANCE is of a fleet, or NULL. */
static const char *fleet_of(const struct ec2_instance *instance)
{
        const char *names = ec2_instance_tag(instance, LAUNCH_NAMES_TAG);

        return names && names[0] != '/' ? names : NULL;
}

/* An instance that has ended loses its tags, and those after it move up by one. Whoever was given
 * one of them before holds it by the message in register.fifo; at worst two jobs hold one machine,
 * and the watch of the one that did not get it launches another. */
void launch_number_fleets(struct ec2_instances *found)
{
        for (size_t i = 0; i < found->count; i++) {
                struct ec2_instance *instance = &found->items[i];
                const char *fleet = fleet_of(instance);

                if (!fleet)
                        continue;
                instance->launch_index = 0;
                for (size_t j = 0; j < found->count; j++) {
                        const char *other = fleet_of(&found->items[j]);

                        if (other && strcmp(other, fleet) == 0 &&
                                strcmp(found->items[j].id, instance->id) < 0)
                                instance->launch_index++;
                }
        }
}

/* The name that INSTANCE was launched for, and what follows it; NULL: EC2 does not tell. */
static const char *name_of(const struct ec2_instance *instance)
{
        const char *names = ec2_instance_tag(instance, LAUNCH_NAMES_TAG);

        for (unsigned i = 0; names && i <= instance->launch_index; i++) {
                names = strchr(names, '/');
                if (names)
                        names++;
        }
        return names;
}

bool launch_name_owns(const char *name, const struct ec2_instance *instance)
{
        const char *own = name_of(instance);
        size_t size = strlen(name);

        return own && strncmp(own, name, size) == 0 && own[size] == '/';
}

bool launch_name_begins(const char *beginning, const struct ec2_instance *instance)
{
        const char *own = name_of(instance);

        return own && strncmp(own, beginning, strlen(beginning)) == 0;
}
