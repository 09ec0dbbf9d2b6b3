/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent's side: asks the starter, which is runner.service, to start the runner. Nothing here
 * blocks.
 */

#include "base/err.h"
#include "message.h"

struct starter_client {
        int socket; /* becomes readable when there is an answer */
        int output; /* the program's standard output and error; does not block */
};

/*
 * Asks at SOCKET_PATH to start a program: ARGUMENTS[0] is its file; ARGUMENTS and VARIABLES end
 * with NULL. Their content goes to the starter and nowhere else. While the starter does not run
 * yet, the socket keeps the request for it. Returns 0 with both descriptors, which the caller
 * closes; closing the socket ends the program. Negative: there is nobody to ask, or (-E2BIG,
 * -EINVAL) the starter would refuse.
 */
int starter_client_ask(const char *socket_path, const char *directory, char *const *arguments,
        char *const *variables, struct starter_client *ret, struct err *err);

/* Has the starter send a signal, or answer STARTER_ASK_WORKER. When that fails, the connection has
 * ended: the next read says so.
 */
void starter_client_signal(int socket, int number);

/* Returns 1 with an answer, 0 when there is none now, or negative when the connection has ended or
 * carried something else. */
int starter_client_read(int socket, struct starter_answer *ret, struct err *err);
