/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The name of a launch: JOB-ATTEMPT-N, where N counts the launches for that job. The instances of
 * one RunInstances carry the names of all its jobs in a tag, and the k-th name owns the instance
 * with launch index k. In a fleet EC2 counts its instances anew in each pool, so there the k-th
 * name owns the k-th instance in the order of ids. So whoever handles a message that may have been
 * handled before finds what was launched for it, however the batch was made up then.
 */

#include <stdbool.h>
#include <stddef.h>

#include "aws/ec2_instances.h"
#include "job.h"

#define LAUNCH_NAME_SIZE 64
#define LAUNCH_NAMES_TAG "scale-agent:launches"
/* The longest value of a tag that EC2 takes. */
#define LAUNCH_NAMES_MAX 256

/* What stands before the names of a fleet and tells it from any other: the beginning of its client
 * token. RunInstances has none. */
#define LAUNCH_MARK_SIZE 16

void launch_name(const struct job *job, char name[static LAUNCH_NAME_SIZE]);

/* The value of the tag, "/NAME/NAME/"; the caller frees. */
char *launch_names_print(const struct job *const *jobs, size_t n_jobs);
/* The pattern with which EC2's filter finds NAME in such a value; the caller frees. */
char *launch_name_pattern(const char *name);

/* Whether the stack of CONFIG launched INSTANCE. Another stack in the account may serve the same
 * jobs, and then its launches have the same names. */
bool launch_is_ours(const struct config *config, const struct ec2_instance *instance);

/* Numbers the instances of each fleet in FOUND, which has all that EC2 knows of one. */
void launch_number_fleets(struct ec2_instances *found);

/* Whether INSTANCE was launched for NAME. */
bool launch_name_owns(const char *name, const struct ec2_instance *instance);
/* Whether it was for one that begins so: "JOB-ATTEMPT-" are all launches of a job. */
bool launch_name_begins(const char *beginning, const struct ec2_instance *instance);
