/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Packets on the socket between the two sides, with a descriptor where one belongs to it.
 */

#include <stddef.h>
#include <sys/types.h>

/* Sends all of it, with DESCRIPTOR unless that is -1: 0, or a negative errno. */
int packet_send(int socket, const void *bytes, size_t size, int descriptor);

/*
 * Receives one packet and the one descriptor that must be with it, which the caller closes then.
 * Returns its size (0: the other side has gone), -EBADMSG where it came with none or with more, or
 * -EMSGSIZE where the packet is larger than SIZE.
 */
ssize_t packet_receive(int socket, void *bytes, size_t size, int *ret_descriptor);
