/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the first of a line does: it looks for room.
 */

#include <stdint.h>

#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* Positive result: it waits on. */
#define LINE_WAITS 1

/* Looks for room for JOB, the first of its line, whose message came for the RECEIVES-th time, and
 * if there is some, has it launched: 0, LINE_WAITS with the seconds until it looks again, or
 * negative. */
int line_look(struct scaler *scaler, struct job *job, int64_t receives, int64_t *ret_seconds,
        struct err *err);
