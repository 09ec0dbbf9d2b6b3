/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent's side: asks the starter, which is runner.service, for the runner. Nothing here waits.
 */

#include "base/err.h"
#include "message.h"

struct starter_client {
        int socket; /* becomes readable when there is an answer */
        int output; /* what the program prints, both of its outputs; not blocking */
};

/*
 * Asks at SOCKET_PATH for a program: ARGUMENTS[0] is its file; ARGUMENTS and VARIABLES end with
 * NULL. What they hold goes to the starter and nowhere else. Returns 0 with both descriptors, which
 * the caller closes: the socket's end is the program's. Where the starter is not there yet, the
 * socket keeps the request until it is. Negative: nobody can be asked, or (-E2BIG, -EINVAL) nobody
 * would do it.
 */
int starter_client_ask(const char *socket_path, const char *directory, char *const *arguments,
        char *const *variables, struct starter_client *ret, struct err *err);

/* Passes a signal on; one that cannot be passed finds the connection ended, which is read next. */
void starter_client_signal(int socket, int number);

/* Returns 1 with an answer, 0 when there is none now, or negative: the connection has ended, or
 * what comes is no answer. */
int starter_client_read(int socket, struct starter_answer *ret, struct err *err);
