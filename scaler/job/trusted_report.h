/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reads an agent's report as far as it can be trusted. Whoever may put events on EventBridge in the
 * account can send one, and so can root on a machine, with that machine's ticket. So what was
 * launched comes from the ticket alone (ticket.h), and every other number is bounded by it.
 */

#include <cjson/cJSON.h>

#include "base/err.h"
#include "exchange/report.h"
#include "scaler.h"

/* Positive result: the report is not to be believed. It was counted and logged, and is dropped. */
#define REPORT_REFUSED 1

/* Reads EVENT, EventBridge's, with a report in it: 0, REPORT_REFUSED, or negative where the keys of
 * tickets cannot be read. *ret_expires_ms is when its ticket ends. */
int trusted_report_read(struct scaler *scaler, const cJSON *event, struct report *ret,
        int64_t *ret_expires_ms, struct err *err);
