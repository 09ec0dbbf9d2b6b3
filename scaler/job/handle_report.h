/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Part of `instance`: the report of an agent (exchange/report.h).
 */

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "aws/ec2.h"
#include "base/err.h"
#include "scaler.h"

/* The machine of the report idles: see idle_machines.h. */
#define REPORT_OF_IDLE 1

/* Handles EVENT, EventBridge's, with a report in it: 0, REPORT_OF_IDLE with the machine that its
 * ticket names in IDLE, or negative. A report that is not to be believed is dropped. */
int handle_report(
        struct scaler *scaler, const cJSON *event, char idle[static EC2_ID_SIZE], struct err *err);

/* Whether the machine ID has reported lately, to this process, that its job has succeeded and that
 * it has deleted its hand-over: there is nothing to look for when it ends. Who forges that on a
 * machine of his keeps only what is his from being looked after at once; `recover` sees to it. */
bool report_was_clean(const struct scaler *scaler, const char *id);
