/* SPDX-License-Identifier: MIT */

/*
 * Puts one event in one call. EventBridge may accept the call and yet refuse the event; then the
 * event's entry in the answer says so.
 */

#include "aws/events.h"

#include <errno.h>

#include "aws/answer.h"
#include "base/json.h"
#include "base/mem.h"

/* The event's entry in the answer if the event was refused, else NULL. */
static const cJSON *failed_entry(const cJSON *answer)
{
        if (json_integer(answer, "FailedEntryCount", -1) == 0)
                return NULL;
        return cJSON_GetArrayItem(json_get(answer, "Entries"), 0);
}

static enum http_verdict judge(const struct http_call *call)
{
        _cleanup_json_ cJSON *answer = NULL;
        const char *code;

        if (call->status != 200 || aws_json_answer(call, &answer, NULL) < 0)
                return aws_judge(call);
        code = json_string(failed_entry(answer), "ErrorCode");
        return code && aws_code_is_passing(code) ? HTTP_AGAIN : HTTP_DONE;
}

struct http_call *events_put(
        struct aws *aws, const char *source, const char *detail_type, const char *detail)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        cJSON *entry = cJSON_CreateObject();
        struct http_call *call;

        cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "Entries"), entry);
        json_add_string(entry, "Source", source);
        json_add_string(entry, "DetailType", detail_type);
        json_add_string(entry, "Detail", detail);
        call = aws_object_call(aws, AWS_EVENTBRIDGE, "PutEvents", body);
        call->judge = judge;
        return call;
}

int events_put_answer(const struct http_call *call, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *entry;
        const char *code;
        const char *message;
        int64_t failed;
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        r = json_need_integer(answer, "FailedEntryCount", &failed, err);
        if (r < 0)
                return err_prefix(err, r, "PutEvents");
        if (failed == 0)
                return 0;
        entry = failed_entry(answer);
        code = json_string(entry, "ErrorCode");
        message = json_string(entry, "ErrorMessage");
        return err_set(err, -EREMOTEIO, "PutEvents: EventBridge did not take the event: %s: %s",
                code ? code : "no code", message ? message : "no reason given");
}
