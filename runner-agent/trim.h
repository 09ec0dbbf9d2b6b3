/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The machine's memory is for the job: once the runner runs, the agent gives back what only its
 * start needed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

struct agent;

struct trim {
        sd_event_source *timer;
};

/* Soon, when the calls that follow the runner's start are done. */
void trim_start(struct agent *agent);
void trim_release(struct agent *agent);

/* Whether LINE of /proc/PID/maps is code of a file, which can be read again when it is needed
 * again: *RET_SIZE bytes from *RET_CODE. Pure. */
bool trim_is_code(const char *line, void **ret_code, size_t *ret_size);
