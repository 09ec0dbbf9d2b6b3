/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The protocol between the agent and the starter. Each message is one packet of a SOCK_SEQPACKET
 * socket. The agent sends its request, with one descriptor (the program's standard output and
 * error), then any number of signals for the program. The starter answers that the program was
 * started, and later how it ended; or that it could not be started. Either side ends by closing the
 * socket. Both are of the same build and on the same machine.
 *
 * All of this is pure: nothing here touches a socket.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define STARTER_SOCKET "/run/runner-agent/starter.socket"

/* A packet must fit into the kernel's default socket buffer, which is 208 KiB. */
#define STARTER_REQUEST_MAX (128UL * 1024)
#define STARTER_ARGUMENTS_MAX 128
#define STARTER_VARIABLES_MAX 256

struct starter_request {
        const char *directory;
        const char *arguments[STARTER_ARGUMENTS_MAX + 1];
        const char *variables[STARTER_VARIABLES_MAX + 1];
};

/* Adds a request to PACKET; ARGUMENTS and VARIABLES end with NULL. Returns 0, or -E2BIG or -EINVAL
 * when the other side would refuse it. */
int starter_request_print(const char *directory, char *const *arguments, char *const *variables,
        struct buf *packet, struct err *err);

/* Reads the request in BYTES; RET points into them. Returns 0, or -EBADMSG with a reason that
 * quotes nothing of the content, since one of the variables is secret. */
int starter_request_parse(
        const char *bytes, size_t size, struct starter_request *ret, struct err *err);

/* SIGINT and SIGTERM go to the program; SIGKILL goes to all of its process group. No signal is a
 * question, as with kill(2): whether a worker lives, the process in which the runner runs a job. */
#define STARTER_ASK_WORKER 0
struct starter_signal {
        uint32_t number;
};

/* Returns 0, or -EBADMSG for anything but the question and a signal that may be passed on. */
int starter_signal_parse(const char *bytes, size_t size, int *ret_number);

enum starter_event {
        STARTER_STARTED, /* as process VALUE */
        STARTER_EXITED,  /* with exit code VALUE */
        STARTER_KILLED,  /* by signal VALUE */
        STARTER_FAILED,  /* it was not started: TEXT says why */
        STARTER_WORKER,  /* VALUE 1: a worker lives; 0: none does */
        STARTER_EVENTS,
};

struct starter_answer {
        uint32_t event;
        int32_t value;
        char text[480];
};

/* Returns 0, or -EBADMSG. */
int starter_answer_parse(
        const char *bytes, size_t size, struct starter_answer *ret, struct err *err);
