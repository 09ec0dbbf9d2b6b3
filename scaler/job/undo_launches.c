/* SPDX-License-Identifier: MIT */

/*
 * Removes runners and instances; the runners all at the same time.
 */

#include "undo_launches.h"

#include <stdlib.h>

#include "github/github.h"
#include "machine/leftovers.h"

static void on_runner_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        const struct registration *registration = userdata;
        struct err err;
        int r = github_delete_runner_answer(call, &err);

        if (r < 0)
                log_error(&registration->scaler->log,
                        "launch not undone: the runner is still registered",
                        LOG_TEXT("instance", registration->instance.id),
                        LOG_TEXT("error", err.text));
}

static void deregister(const struct registration *registration)
{
        struct http_call *call;

        if (registration->runner_id == 0)
                return;
        call = github_delete_runner(registration->github, registration->installation,
                registration->scope, registration->runner_id);
        call->done = on_runner_deleted;
        call->userdata = (void *)registration;
        scaler_start(registration->scaler, call);
}

void undo_launches(struct scaler *scaler, struct aws *aws, const struct registration *const *failed,
        size_t n_failed)
{
        _cleanup_free_ const char **ids = mem_alloc(n_failed * sizeof(*ids));
        struct err err;

        if (n_failed == 0)
                return;
        for (size_t i = 0; i < n_failed; i++) {
                ids[i] = failed[i]->instance.id;
                deregister(failed[i]);
        }
        if (leftovers_terminate(scaler, aws, ids, n_failed, &err) < 0)
                log_error(&scaler->log, "launches not undone: their instances are not terminated",
                        LOG_TEXT("error", err.text));
        http_finish(scaler_http(scaler));
        for (size_t i = 0; i < n_failed; i++)
                log_info(&scaler->log, "launch undone", LOG_TEXT("instance", ids[i]),
                        LOG_NUMBER("job", failed[i]->job->id));
}
