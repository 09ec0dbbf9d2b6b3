/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the two sides of launch say to each other, a packet of a SOCK_SEQPACKET socket each: first
 * the client's request, with two descriptors (the program's standard output and error); then a
 * signal for the program, as often as the client gets one; and once the server's answer, when the
 * program has ended or could not be started. Both sides are of one build and on one machine.
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

/* What the client ends with when the program did not run, as env(1) and others do. Else it ends as
 * the program did. */
enum launch_exit {
        LAUNCH_EXIT_FAILED = 125,    /* launch itself */
        LAUNCH_EXIT_REFUSED = 126,   /* the program is there, and cannot be started */
        LAUNCH_EXIT_NOT_FOUND = 127, /* the program, or its folder */
};

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

struct launch_signal {
        uint32_t number;
};

/* 0, or -EBADMSG for what is no signal that may be passed on. */
int launch_signal_parse(const char *bytes, size_t size, int *ret_number);

enum launch_end {
        LAUNCH_EXITED, /* with VALUE */
        LAUNCH_KILLED, /* by signal VALUE */
        LAUNCH_FAILED, /* it did not run: VALUE is an enum launch_exit */
        LAUNCH_ENDS,
};

struct launch_answer {
        uint32_t end;
        int32_t value;
        char text[480]; /* why it failed */
};

/* 0, or -EBADMSG. */
int launch_answer_parse(const char *bytes, size_t size, struct launch_answer *ret, struct err *err);
