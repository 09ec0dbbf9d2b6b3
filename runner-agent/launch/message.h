/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the agent and launch, which starts the runner for it, say to each other, a packet of a
 * SOCK_SEQPACKET socket each. First the agent's request, with one descriptor (the program's
 * standard output and error); then signals for the program, as often as the agent has one. From
 * launch: that the program was started, and once how it ended; or that it could not be started.
 * Whoever goes closes the socket. Both sides are of one build and on one machine.
 *
 * All of this is pure: nothing here touches a socket.
 */

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

#define LAUNCH_SOCKET "/run/runner-agent/launch.socket"

/* A packet has to fit into the kernel's default buffer of a socket, which is 208 KiB. */
#define LAUNCH_REQUEST_MAX (128UL * 1024)
#define LAUNCH_ARGUMENTS_MAX 128
#define LAUNCH_VARIABLES_MAX 256

struct launch_request {
        const char *directory;
        const char *arguments[LAUNCH_ARGUMENTS_MAX + 1];
        const char *variables[LAUNCH_VARIABLES_MAX + 1];
};

/* Adds a request to PACKET: ARGUMENTS and VARIABLES end with NULL. 0, or -E2BIG or -EINVAL when it
 * is none that the other side would take. */
int launch_request_print(const char *directory, char *const *arguments, char *const *variables,
        struct buf *packet, struct err *err);

/* The request in BYTES, which it points into. 0, or -EBADMSG with the reason, which never holds
 * any of the content: a variable is secret. */
int launch_request_parse(
        const char *bytes, size_t size, struct launch_request *ret, struct err *err);

/* SIGINT and SIGTERM go to the program; SIGKILL goes to all of its process group. */
struct launch_signal {
        uint32_t number;
};

/* 0, or -EBADMSG for what is no signal that may be passed on. */
int launch_signal_parse(const char *bytes, size_t size, int *ret_number);

enum launch_event {
        LAUNCH_STARTED, /* as process VALUE */
        LAUNCH_EXITED,  /* with exit code VALUE */
        LAUNCH_KILLED,  /* by signal VALUE */
        LAUNCH_FAILED,  /* it does not run: TEXT says why */
        LAUNCH_EVENTS,
};

struct launch_answer {
        uint32_t event;
        int32_t value;
        char text[480];
};

/* 0, or -EBADMSG. */
int launch_answer_parse(const char *bytes, size_t size, struct launch_answer *ret, struct err *err);
