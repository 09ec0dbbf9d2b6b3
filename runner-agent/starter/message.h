/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the agent and the starter, which starts the runner for it, say to each other, a packet of a
 * SOCK_SEQPACKET socket each. First the agent's request, with one descriptor (the program's
 * standard output and error); then signals for the program, as often as the agent has one. From
 * the starter: that the program was started, and once how it ended; or that it could not be
 * started. Whoever goes closes the socket. Both sides are of one build and on one machine.
 *
 * All of this is pure: nothing here touches a socket.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define STARTER_SOCKET "/run/runner-agent/starter.socket"

/* A packet has to fit into the kernel's default buffer of a socket, which is 208 KiB. */
#define STARTER_REQUEST_MAX (128UL * 1024)
#define STARTER_ARGUMENTS_MAX 128
#define STARTER_VARIABLES_MAX 256

struct starter_request {
        const char *directory;
        const char *arguments[STARTER_ARGUMENTS_MAX + 1];
        const char *variables[STARTER_VARIABLES_MAX + 1];
};

/* Adds a request to PACKET: ARGUMENTS and VARIABLES end with NULL. 0, or -E2BIG or -EINVAL when it
 * is none that the other side would take. */
int starter_request_print(const char *directory, char *const *arguments, char *const *variables,
        struct buf *packet, struct err *err);

/* The request in BYTES, which it points into. 0, or -EBADMSG with the reason, which never holds
 * any of the content: a variable is secret. */
int starter_request_parse(
        const char *bytes, size_t size, struct starter_request *ret, struct err *err);

/* SIGINT and SIGTERM go to the program; SIGKILL goes to all of its process group. */
struct starter_signal {
        uint32_t number;
};

/* 0, or -EBADMSG for what is no signal that may be passed on. */
int starter_signal_parse(const char *bytes, size_t size, int *ret_number);

enum starter_event {
        STARTER_STARTED, /* as process VALUE */
        STARTER_EXITED,  /* with exit code VALUE */
        STARTER_KILLED,  /* by signal VALUE */
        STARTER_FAILED,  /* it does not run: TEXT says why */
        STARTER_EVENTS,
};

struct starter_answer {
        uint32_t event;
        int32_t value;
        char text[480];
};

/* 0, or -EBADMSG. */
int starter_answer_parse(
        const char *bytes, size_t size, struct starter_answer *ret, struct err *err);
