/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Part of `instance`: the report of an agent (include/report.h).
 */

#include <cjson/cJSON.h>

#include "container.h"
#include "err.h"

/* Handles the detail of a report's event: 0 or negative. */
int agent_report_handle(struct scaler *scaler, const cJSON *detail, struct err *err);
