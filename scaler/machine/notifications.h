/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What people are told about machines: that an agent failed, and that a machine was lost with its
 * job. 0, or negative when they could not be told.
 */

#include "aws/ec2.h"
#include "exchange/report.h"
#include "scaler.h"

/* GIVEN: the job was given back, so another machine comes for it. */
int tell_agent_failed(
        struct scaler *scaler, const struct report *report, bool given, struct err *err);

/* No job came to a runner: once per spec for a while, since cancelled jobs do that. */
int tell_no_job_came(struct scaler *scaler, const struct report *report, struct err *err);

/* A machine ended, and its hand-over was never read. */
int tell_handover_unread(struct scaler *scaler, const char *instance,
        const struct handover *handover, bool given, struct err *err);

/* HOW ends the sentence "Job lost: …". One of the two events that can bring this is enough. */
int tell_job_lost(struct scaler *scaler, const struct ec2_instance *instance, const char *how,
        struct err *err);
