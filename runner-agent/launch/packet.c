/* SPDX-License-Identifier: MIT */

/*
 * sendmsg() and recvmsg() with SCM_RIGHTS (unix(7)). Whatever comes that was not asked for is
 * closed at once.
 */

#include "packet.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for more descriptors than there must be, so that too many are seen, and closed. */
#define ROOM 8

union control {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(ROOM * sizeof(int))];
};

int packet_send(int socket, const void *bytes, size_t size, const int *descriptors)
{
        union control control = {0};
        struct iovec vector = {.iov_base = (void *)bytes, .iov_len = size};
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

        if (descriptors) {
                size_t n = PACKET_DESCRIPTORS * sizeof(int);

                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(n);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(n);
                memcpy(CMSG_DATA(&control.header), descriptors, n);
        }
        return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* All descriptors of MESSAGE; returns how many there are. */
static size_t descriptors_of(struct msghdr *message, int found[ROOM])
{
        size_t n = 0;

        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
                part = CMSG_NXTHDR(message, part)) {
                size_t size = part->cmsg_len - CMSG_LEN(0);

                if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < size / sizeof(int) && n < ROOM; i++)
                        memcpy(&found[n++], CMSG_DATA(part) + i * sizeof(int), sizeof(int));
        }
        return n;
}

ssize_t packet_receive(int socket, void *bytes, size_t size, int descriptors[PACKET_DESCRIPTORS])
{
        union control control;
        struct iovec vector = {.iov_base = bytes, .iov_len = size};
        struct msghdr message = {
                .msg_iov = &vector,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };
        int found[ROOM];
        ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        size_t n_found;
        bool is_good;

        if (n < 0)
                return -errno;
        n_found = descriptors_of(&message, found);
        is_good = n > 0 && n_found == PACKET_DESCRIPTORS && !(message.msg_flags & MSG_CTRUNC) &&
                  !(message.msg_flags & MSG_TRUNC);
        for (size_t i = 0; i < n_found; i++) {
                if (is_good)
                        descriptors[i] = found[i];
                else
                        close(found[i]);
        }
        if (message.msg_flags & MSG_TRUNC)
                return -EMSGSIZE;
        return n == 0 || is_good ? n : -EBADMSG;
}
