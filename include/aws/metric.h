/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Metrics as CloudWatch's embedded metric format: one JSON line on the log, no call.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

enum metric_unit {
        METRIC_COUNT,
        METRIC_MILLISECONDS,
};

struct metric {
        const char *name; /* CamelCase: QueueTime, TimeToStart, SpotLost */
        enum metric_unit unit;
        int64_t value;
};

/*
 * Writes one line with all METRICS to FD, where the program's log goes: in namespace "scale-agent",
 * with the dimension sets [] and [spec] (SPEC may be NULL: only []). PROPERTIES (job, instance,
 * repository) can be searched for in the log, and make no metric.
 */
void metric_emit(int fd, const struct clock *clock, const char *spec, const struct metric *metrics,
        size_t n_metrics, const struct log_field *properties, size_t n_properties);
