/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The line at a limit of machines: limited.fifo. The jobs of one spec and repository are a message
 * group, so SQS keeps them in order, and shows the first of them alone: it looks for room every few
 * seconds, and those behind it cost nothing. No job has to be woken, so none can be forgotten.
 *
 * A job that had its turn and did not get its machine looks by itself, past the line, and so does
 * the next launch of a job whose machine ended.
 */

#include <stdint.h>

#include "base/err.h"
#include "job.h"
#include "scaler.h"

/* Sends JOB to the end of its line: 0 or negative. */
int line_up(struct scaler *scaler, struct job *job, struct err *err);

/* How often the queue of a line delivers a message, as the template says. Waiting uses that up, so
 * after so many a job is sent to the end of its line; at a limit, to a place of its own. */
#define LINE_RECEIVES_MAX 1000
#define LINE_RECEIVES_ENOUGH 900
