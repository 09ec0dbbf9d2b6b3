/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The metrics that follow from an agent's report: how long each stage of a machine's life took.
 */

#include "exchange/report.h"
#include "scaler.h"

void report_metrics_emit(struct scaler *scaler, const struct report *report);
