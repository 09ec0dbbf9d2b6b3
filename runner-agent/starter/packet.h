/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Packets on the socket between the agent and the starter, some with a descriptor.
 */

#include <stddef.h>
#include <sys/types.h>

/* Sends one packet, with DESCRIPTOR unless that is -1. Returns 0 or a negative errno. */
int packet_send(int socket, const void *bytes, size_t size, int descriptor);

/*
 * Receives one packet and the one descriptor that must come with it, which the caller closes.
 * Returns the packet's size (0: the other side has closed), -EBADMSG when it came with no
 * descriptor or with several, or -EMSGSIZE when it is larger than SIZE.
 */
ssize_t packet_receive(int socket, void *bytes, size_t size, int *ret_descriptor);
