/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Starts a program for the agent.
 */

#include <sys/types.h>

#include "base/err.h"
#include "message.h"

/*
 * The program runs in a process group of its own, in its folder, with the variables of the request
 * and those that systemd sets for the user (HOME, USER, ...), and with OUTPUT as standard output
 * and error. It is killed when this process ends. Returns 0 with its pid once it runs, or a
 * negative errno with what failed.
 */
int start_program(
        const struct starter_request *request, int output, pid_t *ret_pid, struct err *err);
