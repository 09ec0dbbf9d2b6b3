/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Packets on the socket between the two sides, with descriptors where they belong to one.
 */

#include <stddef.h>
#include <sys/types.h>

#define PACKET_DESCRIPTORS 2

/* Sends all of it, with PACKET_DESCRIPTORS descriptors where DESCRIPTORS is not NULL: 0, or a
 * negative errno. */
int packet_send(int socket, const void *bytes, size_t size, const int *descriptors);

/*
 * Receives one packet and all descriptors that must be with it, which the caller closes then.
 * Returns its size (0: the other side has gone), -EBADMSG where there are not as many descriptors,
 * or -EMSGSIZE where the packet is larger than SIZE.
 */
ssize_t packet_receive(int socket, void *bytes, size_t size, int descriptors[PACKET_DESCRIPTORS]);
