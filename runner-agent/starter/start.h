/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Starting a program for the agent.
 */

#include <sys/types.h>

#include "base/err.h"
#include "message.h"

/*
 * Starts it in a process group of its own, in its folder, with the request's environment and what
 * the user who runs this has (HOME, USER, ...), and with OUTPUT as standard output and error; it
 * dies with this process. Returns 0 with its pid when it runs, or the negative errno with what
 * could not be done.
 */
int start_program(
        const struct starter_request *request, int output, pid_t *ret_pid, struct err *err);
