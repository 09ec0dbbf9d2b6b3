/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The metrics of an agent's report: how long each stage of its machine's life took.
 */

#include "exchange/report.h"
#include "scaler.h"

void report_metrics_emit(struct scaler *scaler, const struct report *report);
