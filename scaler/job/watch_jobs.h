/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is due for jobs that got a machine minutes ago: nothing, another look later, or another
 * launch.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "scaler.h"
#include "watch_look.h"

/* Looks at ITEMS, and sends what follows. Negative: none was looked at. */
int watch_jobs(struct scaler *scaler, struct watched *items, size_t n_items, struct err *err);

/* Whether JOB was launched so long ago that GitHub keeps it waiting no longer. */
bool watch_is_over(const struct scaler *scaler, const struct job *job);
