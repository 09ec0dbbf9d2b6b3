/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Starting the runner's process: as its user, in its folder, in a process group of its own, with an
 * environment built from nothing and both outputs in one pipe.
 */

#include <sys/types.h>

#include "config.h"
#include "err.h"

struct spawned {
        pid_t pid;  /* also the id of its process group */
        int output; /* read its output here; not blocking; the caller closes it */
};

/*
 * JIT_CONFIG goes into the runner's environment and nowhere else: never argv, which every user can
 * read. Returns 0 when the program is running, or negative with the step that failed.
 */
int spawn_runner(const struct agent_config *config, const char *jit_config, struct spawned *ret,
        struct err *err);
