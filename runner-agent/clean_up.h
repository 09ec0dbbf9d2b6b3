/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Cleaning up: this machine's parameter is deleted as soon as the runner listens; a machine that
 * ends before gives its job back by it.
 *
 * In: receive->was_seen. Out: no parameter. It happens while the runner works, since
 * DeleteParameter takes a few calls per second for the whole account; at the end it is looked for
 * once more, because a scaler that was not answered may have written it a second time. What is left
 * even then is found by the scaler, when the job completes or the instance ends.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "http/http.h"
#include "identify.h"

struct clean_up {
        struct http_call *call;
        sd_event_source *timer;
        unsigned failures;
        bool is_deleted;
        bool was_refused; /* DeleteParameter, just now */
        agent_done done;  /* set: the machine waits for the end */
        sd_event_source *limit;
        struct err err; /* of the latest failure */
};

/* Deletes the parameter; tries again, slowly, while the machine lives. */
void clean_up_start(struct agent *agent);

/* Deletes the parameter if it is (still, or again) there, and calls DONE: negative when it could
 * not be done within LIMIT_MS. */
void clean_up_finish(struct agent *agent, int64_t limit_ms, agent_done done);

void clean_up_release(struct agent *agent);
