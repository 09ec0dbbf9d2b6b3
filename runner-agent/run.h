/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Third stage: the runner.
 *
 * In: the hand-over's JIT configuration. Out: events of the runner's life, its output in the log,
 * and agent->runner_exit_code. It ends when the runner has ended for good.
 *
 * The agent does not start the runner itself, since its sandbox would bind the runner as well: it
 * asks the starter, which is runner.service. A connection to the starter stands for the runner and
 * lasts as long as that. A runner that ends before it has run a job is started again, a few times,
 * when its exit code makes that worth while (runner_exit.h).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "agent.h"
#include "progress.h"

struct run_events {
        void (*started)(void *userdata); /* for the first time */
        struct progress_events progress;
        void (*worker)(void *userdata, bool lives); /* answers run_ask_worker() */
        /* The last event. WHY: in case the job did not run to its end, the reason. */
        void (*ended)(void *userdata, const struct err *why);
};

struct run {
        struct agent *agent;
        const struct run_events *events;
        void *userdata;
        struct progress progress;
        int socket;              /* the connection; valid while `source` is set */
        sd_event_source *source; /* NULL: no runner was asked for, or it is gone */
        pid_t pid;               /* 0: the runner does not run (yet) */
        sd_event_source *timer;  /* until the next start */
        sd_event_source *kill_timer;
        int64_t kill_ms; /* monotonic: when `kill_timer` fires */
        unsigned starts;
        int64_t asked_ms;      /* wall clock: when the starter was asked last */
        unsigned update_polls; /* for the end of an update of the runner */
        int signal;            /* what killed the runner; 0: it exited */
        struct err err;        /* set: how the runner ended is not known, for this reason */
        bool is_stopping;
        bool was_killed;
};

/* Asks for the runner at once. `ended` may be called before this returns. */
void run_start(struct run *run, const struct run_events *events, void *userdata);

/* Ends the runner: with SIGINT, upon which it cancels its job and reports that to GitHub, and after
 * GRACE_MS with SIGKILL to all of its processes. When it is called again, the earlier end counts.
 */
void run_stop(struct run *run, int64_t grace_ms);

/* Asks whether the runner has a job in its hands: whether its worker lives. The event `worker` may
 * come before this returns, or never, where the starter does not answer. */
void run_ask_worker(struct run *run);

/* Closes the connection, upon which the starter kills what still runs. */
void run_release(struct run *run);
