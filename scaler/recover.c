/* SPDX-License-Identifier: MIT */

/*
 * Alongside a job's life: the slow net. A rule of EventBridge starts it every ten minutes, the only
 * clock of the scaler; recover/sweep.h says what it looks for. It answers with what it did.
 */

#include "recover/sweep.h"

#include "base/json.h"
#include "handler.h"

int recover_handle(struct scaler *scaler, const struct lambda_event *event, struct buf *answer,
        struct err *err)
{
        _cleanup_(sweep_release) struct sweep sweep = {.scaler = scaler};
        _cleanup_json_ cJSON *json = NULL;
        _cleanup_free_ char *text = NULL;

        (void)event;
        sweep_run(&sweep);
        if (sweep.result < 0) {
                *err = sweep.err;
                return err_prefix(err, sweep.result, "%u failed, the first", sweep.failed);
        }
        json = sweep_print(&sweep);
        text = json_print(json);
        buf_add_string(answer, text);
        return 0;
}
