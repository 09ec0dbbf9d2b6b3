/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Matching: whether the job of a delivery is for us, and which spec it gets.
 */

#include <stdbool.h>

#include "base/err.h"
#include "config/config.h"
#include "job.h"

struct mismatch {
        int status;      /* of the HTTP answer; 0: the job is matched */
        bool may_change; /* another configuration may accept the job */
        struct err err;  /* why, and what to do */
};

/* Sets the job's spec and instance type, and its installation where the delivery does not name the
 * App's only one. Otherwise JOB is untouched. Pure. */
struct mismatch match_job(const struct config *config, struct job *job);
