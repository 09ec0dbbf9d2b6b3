/* SPDX-License-Identifier: MIT */

/*
 * Puts events, and reads which of them EventBridge took: its answer has an entry for each, in the
 * same order.
 */

#include "aws/events.h"

#include <errno.h>

#include "aws/answer.h"
#include "base/json.h"
#include "base/mem.h"

struct http_call *events_put(struct aws *aws, const char *source, const char *detail_type,
        const char *const *details, size_t n_details)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        cJSON *entries = cJSON_AddArrayToObject(body, "Entries");

        for (size_t i = 0; i < n_details && i < EVENTS_MAX; i++) {
                cJSON *entry = cJSON_CreateObject();

                json_add_string(entry, "Source", source);
                json_add_string(entry, "DetailType", detail_type);
                json_add_string(entry, "Detail", details[i]);
                cJSON_AddItemToArray(entries, entry);
        }
        return aws_object_call(aws, AWS_EVENTBRIDGE, "PutEvents", body);
}

static int refuse(const cJSON *entry, struct err *err)
{
        const char *code = json_string(entry, "ErrorCode");
        const char *message = json_string(entry, "ErrorMessage");

        err_set(err, 0, "PutEvents: EventBridge did not take the event: %s: %s",
                code ? code : "no code", message ? message : "no reason given");
        return EVENTS_REFUSED;
}

int events_put_answer(const struct http_call *call, bool *taken, size_t n, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *entries;
        int64_t failed = 0;
        int result = 0;
        int r = aws_accepted_json(call, &answer, err);

        if (r == 0) {
                r = json_need_integer(answer, "FailedEntryCount", &failed, err);
                if (r < 0)
                        err_prefix(err, r, "PutEvents");
        }
        entries = r == 0 ? json_get(answer, "Entries") : NULL;
        for (size_t i = 0; i < n; i++) {
                const cJSON *entry = cJSON_GetArrayItem(entries, (int)i);

                taken[i] = r == 0 && (failed == 0 || json_string(entry, "EventId"));
                if (r == 0 && !taken[i] && result == 0)
                        result = refuse(entry, err);
        }
        return r < 0 ? r : result;
}
