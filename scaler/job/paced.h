/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The line: jobs of a burst that are to be launched later wait in paced.fifo, in order. The message
 * group is the installation of GitHub's App, so that one process at a time admits them: that one
 * knows how fast machines have been launched, and what GitHub has said.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* Whether jobs wait in line: 1, 0 or negative. */
int paced_are_waiting(struct scaler *scaler, struct err *err);

/* Sends up to SQS_BATCH_MAX jobs to the end of the line: 0 or negative. */
int paced_send(struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err);

/* A job in line, and what becomes of it. */
struct paced {
        struct job job;         /* borrowed */
        int64_t hidden_seconds; /* it stays in line, at least for that long */
        int result;             /* 0, or negative: it could not be sent on, so it stays; with */
        struct err err;
};

/* Admits those of ITEMS, the first in line, whose turn it is: they are sent to queued.fifo. */
void paced_admit(struct scaler *scaler, struct paced *items, size_t n_items);
