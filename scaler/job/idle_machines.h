/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Part of `instance`: machines whose agents report that no job came. Only the machine knows whether
 * its runner works, so none is ended here. Its runner is deregistered, so that no job can come any
 * more, and then its hand-over parameter is deleted, which tells the agent that it may end. No job
 * is launched again: its watch sees whether it still waits.
 *
 * Whoever may put events into the account can forge such a report. It deregisters a runner that
 * GitHub takes for idle: its agent ends, and the watch launches the job again.
 */

#include <stddef.h>

#include "deregister.h"

/* How long a report is true. The agent repeats it after 5 minutes. */
#define IDLE_REPORT_VALID_MS (4 * 60 * MSEC_PER_SEC)

/* Handles MACHINES, all at the same time. */
void handle_idle_machines(
        struct scaler *scaler, struct aws *aws, struct runner_machine *machines, size_t n_machines);
