/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Decides about a job whose turn in line has come, whether it waited for its pace or at a limit of
 * machines, by what GitHub says of it.
 */

#include <stdint.h>

#include "ask.h"
#include "job.h"
#include "scaler.h"

enum turn {
        TURN_GOES,   /* it is sent to queued.fifo */
        TURN_LEAVES, /* it needs no machine any more */
        TURN_WAITS,  /* GitHub could not be asked: it stays where it is */
};

/* What becomes of the job of QUESTION, which was asked. *ret_seconds: for how long it waits. */
enum turn turn_of(struct scaler *scaler, const struct question *question, int64_t *ret_seconds);
