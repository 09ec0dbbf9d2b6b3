/* SPDX-License-Identifier: MIT */

/*
 * Removes the runners, all at the same time, and then the instances of those that GitHub does not
 * say to work.
 */

#include "undo_launches.h"

#include <errno.h>
#include <stdlib.h>

#include "github/github.h"
#include "machine/leftovers.h"

struct undoing {
        const struct registration *registration;
        bool is_busy;
};

static void on_runner_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct undoing *undoing = userdata;
        const struct registration *registration = undoing->registration;
        struct err err;
        int r = github_delete_runner_answer(call, &err);

        undoing->is_busy = r == GITHUB_RUNNER_BUSY;
        if (undoing->is_busy)
                err_set(&err, -EBUSY, "GitHub says that it runs a job");
        if (r != 0)
                log_error(&registration->scaler->log,
                        "launch not undone: the runner is still registered",
                        LOG_TEXT("instance", registration->instance.id),
                        LOG_TEXT("error", err.text));
}

static void deregister(struct undoing *undoing)
{
        const struct registration *registration = undoing->registration;
        struct http_call *call;

        if (registration->runner_id == 0)
                return;
        call = github_delete_runner(registration->github, registration->installation,
                registration->scope, registration->runner_id);
        call->done = on_runner_deleted;
        call->userdata = undoing;
        scaler_start(registration->scaler, call);
}

void undo_launches(struct scaler *scaler, struct aws *aws, const struct registration *const *failed,
        size_t n_failed)
{
        _cleanup_free_ struct undoing *all = mem_alloc((n_failed + 1) * sizeof(*all));
        _cleanup_free_ const char **ids = mem_alloc((n_failed + 1) * sizeof(*ids));
        struct err err;
        size_t n = 0;

        for (size_t i = 0; i < n_failed; i++) {
                all[i].registration = failed[i];
                deregister(&all[i]);
        }
        http_finish(scaler_http(scaler));
        for (size_t i = 0; i < n_failed; i++)
                if (!all[i].is_busy)
                        ids[n++] = failed[i]->instance.id;
        if (leftovers_terminate(scaler, aws, ids, n, &err) < 0)
                log_error(&scaler->log, "launches not undone: their instances are not terminated",
                        LOG_TEXT("error", err.text));
        for (size_t i = 0; i < n_failed; i++)
                if (!all[i].is_busy)
                        log_info(&scaler->log, "launch undone",
                                LOG_TEXT("instance", failed[i]->instance.id),
                                LOG_NUMBER("job", failed[i]->job->id));
}
