/* SPDX-License-Identifier: MIT */

/*
 * Writes metrics as lines of CloudWatch's embedded metric format.
 */

#include "aws/metric.h"

#include <stdio.h>

#include "base/json.h"

static const char *const unit_names[] = {
        [METRIC_COUNT] = "Count",
        [METRIC_MILLISECONDS] = "Milliseconds",
};

static cJSON *add_array(cJSON *object, const char *name)
{
        cJSON *array = cJSON_CreateArray();

        cJSON_AddItemToObject(object, name, array);
        return array;
}

/* The "_aws" member, which tells CloudWatch which of the other members are metrics. */
static void add_directive(cJSON *line, int64_t now_ms, const char *spec,
        const struct metric *metrics, size_t n_metrics)
{
        cJSON *aws = json_add_object(line, "_aws");
        cJSON *directive = cJSON_CreateObject();
        cJSON *dimensions;
        cJSON *definitions;

        json_add_integer(aws, "Timestamp", now_ms);
        cJSON_AddItemToArray(add_array(aws, "CloudWatchMetrics"), directive);
        json_add_string(directive, "Namespace", "scale-agent");
        dimensions = add_array(directive, "Dimensions");
        cJSON_AddItemToArray(dimensions, cJSON_CreateArray());
        if (spec)
                cJSON_AddItemToArray(
                        dimensions, cJSON_CreateStringArray(&(const char *){"spec"}, 1));
        definitions = add_array(directive, "Metrics");
        for (size_t i = 0; i < n_metrics; i++) {
                cJSON *definition = cJSON_CreateObject();

                json_add_string(definition, "Name", metrics[i].name);
                json_add_string(definition, "Unit", unit_names[metrics[i].unit]);
                cJSON_AddItemToArray(definitions, definition);
        }
}

void metric_emit(int fd, const struct clock *clock, const char *spec, const struct metric *metrics,
        size_t n_metrics, const struct log_field *properties, size_t n_properties)
{
        _cleanup_json_ cJSON *line = NULL;
        _cleanup_free_ char *text = NULL;

        if (n_metrics == 0)
                return;
        line = cJSON_CreateObject();
        add_directive(line, clock_wall_ms(clock), spec, metrics, n_metrics);
        json_add_string(line, "spec", spec);
        for (size_t i = 0; i < n_metrics; i++)
                json_add_integer(line, metrics[i].name, metrics[i].value);
        for (size_t i = 0; i < n_properties; i++) {
                if (properties[i].name && properties[i].text)
                        json_add_string(line, properties[i].name, properties[i].text);
                else if (properties[i].name)
                        json_add_integer(line, properties[i].name, properties[i].number);
        }
        text = json_print(line);
        dprintf(fd, "%s\n", text);
}
