/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is due for jobs that got a machine minutes ago: nothing, another look later, or another
 * launch.
 */

#include <stddef.h>

#include "base/err.h"
#include "job.h"
#include "scaler.h"

struct watched {
        struct job job; /* set by the caller, with its instance */

        int result; /* 0, or negative with the reason in ERR: the watch must come again */
        struct err err;
};

/* Looks at ITEMS, and sends what follows. Negative: none was looked at. */
int watch_jobs(struct scaler *scaler, struct watched *items, size_t n_items, struct err *err);
