/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Beside the runner, when no job came within the idle limit. GitHub may give it one at any moment,
 * and a runner that is interrupted then loses that job. So the machine is reported as idle, upon
 * which the scaler deregisters the runner and then deletes the hand-over parameter. From then on no
 * job can come; one that was on its way has a worker within the grace. Until then, the runner
 * listens: for as long as a job may take, if nobody answers.
 *
 * In: the parameter. Out: the advice to stop the runner. Whatever the runner does meanwhile ends
 * this stage.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent.h"

struct idle_events {
        void (*report)(void *userdata, const char *reason);
        /* Whether a worker lives; idle_worker() takes the answer, at once or soon. */
        void (*ask_worker)(void *userdata);
        void (*over)(void *userdata, const char *reason); /* the last event: stop the runner */
};

struct idle {
        struct agent *agent;
        const struct idle_events *events; /* NULL: not idle */
        void *userdata;
        struct http_call *call;
        sd_event_source *timer;
        unsigned failures;
        int64_t started_ms; /* monotonic, as is `reported_ms` */
        int64_t reported_ms;
};

/* Reports, and looks for the parameter until it is gone. */
void idle_start(struct idle *idle, const struct idle_events *events, void *userdata);

void idle_worker(struct idle *idle, bool lives);

/* Ends this stage; idle_start() may begin it again. */
void idle_release(struct idle *idle);
