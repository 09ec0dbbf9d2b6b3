/* SPDX-License-Identifier: MIT */

/*
 * What scaler and agent tell each other: the hand-over in an SSM parameter, and reports in events.
 * What was read, and is written again, must be read as the same.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "exchange/handover.h"
#include "exchange/report.h"

static void read_handover(const char *text, size_t size)
{
        _cleanup_(handover_release) struct handover first = {0};
        _cleanup_(handover_release) struct handover second = {0};
        _cleanup_free_ char *once = NULL;
        _cleanup_free_ char *twice = NULL;
        struct err err;

        if (handover_parse(text, size, &first, &err) < 0) {
                if (first.jit_config || !utf8_is_valid(err.text, strlen(err.text)))
                        abort();
                return;
        }
        once = handover_print(&first);
        if (handover_parse(once, strlen(once), &second, &err) < 0)
                abort();
        twice = handover_print(&second);
        if (strcmp(once, twice) != 0)
                abort();
}

static void read_report(const char *text, size_t size)
{
        _cleanup_(report_release) struct report first = {0};
        _cleanup_(report_release) struct report second = {0};
        _cleanup_json_ cJSON *detail = NULL;
        _cleanup_json_ cJSON *again = NULL;
        _cleanup_free_ char *once = NULL;
        _cleanup_free_ char *twice = NULL;
        struct err err;

        if (json_parse(text, size, "the event", &detail, &err) < 0)
                return;
        if (report_parse(detail, &first, &err) < 0) {
                if (first.instance_id || !utf8_is_valid(err.text, strlen(err.text)))
                        abort();
                return;
        }
        once = report_print(&first);
        again = cJSON_Parse(once);
        if (!again || report_parse(again, &second, &err) < 0)
                abort();
        twice = report_print(&second);
        if (strcmp(once, twice) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        read_handover((const char *)data, size);
        read_report((const char *)data, size);
        return 0;
}
