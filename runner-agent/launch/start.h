/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Starting a program for a client.
 */

#include <sys/types.h>

#include "err.h"
#include "message.h"
#include "packet.h"

/*
 * Starts it in a process group of its own, with exactly the request's environment, in its folder,
 * with OUTPUT as standard output and error; it dies with this process. Returns 0 with its pid when
 * it runs, or the negative errno with what could not be done.
 */
int start_program(const struct launch_request *request, const int output[PACKET_DESCRIPTORS],
        pid_t *ret_pid, struct err *err);
