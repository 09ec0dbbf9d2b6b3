/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What people are told about machines. Each function returns 0, or negative when the notification
 * could not be queued.
 */

#include <stdbool.h>

#include "aws/ec2.h"
#include "exchange/report.h"
#include "scaler.h"

/* The agent failed. GIVEN_BACK: its job was queued again, so another machine will come. */
int tell_agent_failed(
        struct scaler *scaler, const struct report *report, bool given_back, struct err *err);

/* A runner got no job. At most once a quarter of an hour per spec: a cancelled job is cause
 * enough. */
int tell_no_job_came(struct scaler *scaler, const struct report *report, struct err *err);

/* A machine ended before a job started on it. GIVEN_BACK: as above. */
int tell_machine_ended_early(struct scaler *scaler, const char *instance,
        const struct handover *handover, bool given_back, struct err *err);

/* A machine ends in the middle of its job. HOW completes "Job lost: …". FOLLOWED: people are told
 * again once the job's run has ended, and it may be run again by then. The spot warning and the end
 * of the machine both cause this; people see it once. */
int tell_job_lost(struct scaler *scaler, const struct ec2_instance *instance, const char *how,
        bool followed, struct err *err);
