/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Listening to the runner: its output goes to the log line by line, and the lines that tell how far
 * it is become events of run.h.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "output.h"

struct agent;

struct progress {
        int fd; /* with `source` only */
        sd_event_source *source;
        struct output output;
        char last_line[200];
};

/* Takes FD over. Returns 0 or a negative errno. */
int progress_start(struct agent *agent, int fd);

/* The runner has ended: reads what is left, and stops. */
void progress_finish(struct agent *agent);

void progress_release(struct agent *agent);
