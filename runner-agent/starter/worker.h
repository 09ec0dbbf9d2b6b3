/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether the runner has a job in its hands, which only its processes tell.
 */

#include <stdbool.h>
#include <sys/types.h>

/* Whether a worker of the runner PROGRAM lives: in its process group, or as its child. Where that
 * cannot be found out, one does. */
bool worker_lives(pid_t program);
