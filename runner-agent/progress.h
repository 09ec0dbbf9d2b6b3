/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The runner's progress, read from its output: each line goes to the log, and the few lines that
 * mark a step become events.
 */

#include <systemd/sd-event.h>

#include "agent.h"
#include "output.h"

/* listening, updating: at most once per start, never after job_started. job_started, job_finished:
 * once at most, in this order. */
struct progress_events {
        void (*listening)(void *userdata);
        void (*updating)(void *userdata);     /* itself: it will end, and has to be started again */
        void (*job_started)(void *userdata);  /* agent->job_name is set */
        void (*job_finished)(void *userdata); /* agent->result is set */
};

struct progress {
        struct agent *agent;
        const struct progress_events *events;
        void *userdata;
        int fd; /* valid while `source` is set */
        sd_event_source *source;
        struct output output;
        bool is_listening; /* since its present start, as is `is_updating` */
        bool is_updating;
        char last_line[200];
};

/* Takes over FD, which must not block. Returns 0 or a negative errno. */
int progress_start(
        struct progress *progress, int fd, const struct progress_events *events, void *userdata);

/* The runner has ended: reads what is left, and stops. */
void progress_finish(struct progress *progress);

void progress_release(struct progress *progress);
