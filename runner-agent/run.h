/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Third stage: the runner.
 *
 * In: the hand-over's JIT configuration. Out: the runner's life as events, its output in the log,
 * and how it ended. the starter, which is runner.service, starts it, so that the agent's sandbox
 * does not bind it; a connection to the starter stands for the runner, and lives as long. A runner
 * that ends with an exit code that asks for it is started again, a few times, as long as it has run
 * no job.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/err.h"

struct agent;

/* What happens to the runner. */
struct run_events {
        void (*started)(struct agent *agent); /* for the first time */
        void (*listening)(struct agent *agent);
        void (*job_started)(struct agent *agent);  /* agent->job_name is set */
        void (*job_finished)(struct agent *agent); /* agent->result is set */
        /* The last event. ERR: why the runner could not be started, or be followed to its end; NULL
         * when it ran and ended, see agent->runner_exit_code and runner_exit.h. */
        void (*ended)(struct agent *agent, const struct err *err);
};

struct run {
        const struct run_events *events;
        int socket;              /* the connection, with `source` only */
        sd_event_source *source; /* NULL: no runner, and none asked for */
        pid_t pid;               /* 0: it does not run (yet) */
        sd_event_source *timer;  /* until the next start */
        sd_event_source *kill_timer;
        unsigned starts;
        int64_t started_ms; /* wall clock: when it was asked for last */
        unsigned looks;     /* for the end of an update */
        int signal;         /* what ended it, 0: it exited */
        struct err err;     /* why it is not known how it ended; empty: it is */
        bool is_stopping;
        bool was_killed;
};

/* Asks for the runner, at once. May already tell its end. */
void run_start(struct agent *agent, const struct run_events *events);

/* Ends the runner: SIGINT, which has it cancel its job and report that to GitHub, and SIGKILL to
 * all of its processes after GRACE_MS. May be called again with less patience. */
void run_stop(struct agent *agent, int64_t grace_ms);

/* Leaves the runner, which ends what still runs of it. */
void run_release(struct agent *agent);
