/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent's side: asks launch, which is runner.service, for the runner. Nothing here waits.
 */

#include "err.h"
#include "message.h"

struct launch_client {
        int socket; /* becomes readable when there is an answer */
        int output; /* what the program prints, both of its outputs; not blocking */
};

/*
 * Asks at SOCKET_PATH for a program: ARGUMENTS[0] is its file; ARGUMENTS and VARIABLES end with
 * NULL. What they hold goes to launch and nowhere else. Returns 0 with both descriptors, which the
 * caller closes: the socket's end is the program's. Where launch is not there yet, the socket keeps
 * the request until it is. Negative: nobody can be asked, or (-E2BIG, -EINVAL) nobody would do it.
 */
int launch_client_ask(const char *socket_path, const char *directory, char *const *arguments,
        char *const *variables, struct launch_client *ret, struct err *err);

/* Passes a signal on; one that cannot be passed finds the connection ended, which is read next. */
void launch_client_signal(int socket, int number);

/* Returns 1 with an answer, 0 when there is none now, or negative: the connection has ended, or
 * what comes is no answer. */
int launch_client_read(int socket, struct launch_answer *ret, struct err *err);
