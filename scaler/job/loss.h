/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Losses: jobs that ran on a spot instance which EC2 took back. The evidence is EC2's alone: its
 * interruption warning, which `instance` keeps as a tag of the machine, or the reason that it gives
 * for the machine's end. A lost job is followed by a delayed message in the watch queue until its
 * run has ended and may be run again (rerun.h).
 */

#include <stdbool.h>

#include "aws/ec2.h"
#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* Tags INSTANCE, of which EC2 has warned: 0 or negative. */
int loss_note_warning(struct scaler *scaler, struct aws *aws, const struct ec2_instance *instance,
        struct err *err);

/* Whether EC2 took INSTANCE back. It forgets an instance an hour after its end. */
bool loss_is_evident(const struct ec2_instance *instance);

/* Whether jobs of the spec of INSTANCE may be run again. */
bool loss_may_rerun(const struct config *config, const struct ec2_instance *instance);

/* The job that ran on INSTANCE, from its tags: false if they name none. RET is the caller's to
 * release. Pure. */
bool loss_job_of(const struct ec2_instance *instance, struct job *ret);

/* Follows JOB, which was lost with machine INSTANCE: 0 or negative. One without a run to look at is
 * passed over. */
int loss_follow(struct scaler *scaler, struct job *job, const char *instance, struct err *err);

/* Sends the message of a lost job again; it comes later each time, after a quarter of an hour at
 * most. */
int loss_follow_again(struct scaler *scaler, struct job *job, struct err *err);

/* The machines of the run that were lost, as job->machines holds them. An instance is added once,
 * and none beyond a few hundred. */
bool loss_has_machine(const struct job *job, const char *instance);
void loss_add_machine(struct job *job, const char *instance);
