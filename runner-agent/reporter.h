/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reports: how the scaler learns what happens on this machine, as events on EventBridge.
 *
 * In: a stage of the machine's life, at the moment when it is reached. Out: one event each, in
 * order, tried again until it is taken. The machine never waits for a report but at its end, and
 * then for a bounded time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "exchange/report.h"
#include "http/http.h"
#include "identify.h"

/* Never more than this many wait: a machine has fewer things to tell. */
#define REPORTER_QUEUE_MAX 8

struct reporter {
        struct {
                enum report_stage stage;
                char *detail; /* owned */
        } waiting[REPORTER_QUEUE_MAX];
        size_t n_waiting;
        struct http_call *call; /* carries the first that waits */
        sd_event_source *timer;
        unsigned failures;
        agent_done done; /* set: the machine waits for the end of all reports */
        sd_event_source *limit;
        struct err err; /* of the latest failure */
};

/* REASON may be NULL. Does nothing when AWS cannot be called. */
void reporter_send(struct agent *agent, enum report_stage stage, const char *reason);

/* Calls DONE when nothing waits any more, or when LIMIT_MS are over: negative then. */
void reporter_finish(struct agent *agent, int64_t limit_ms, agent_done done);

void reporter_release(struct agent *agent);
