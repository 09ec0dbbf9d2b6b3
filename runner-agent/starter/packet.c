/* SPDX-License-Identifier: MIT */

/*
 * sendmsg() and recvmsg() with SCM_RIGHTS (unix(7)). Descriptors that were not asked for are closed
 * at once.
 */

#include "packet.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for more than the one descriptor allowed, so that others are noticed and closed. */
#define ROOM 8

union control {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(ROOM * sizeof(int))];
};

int packet_send(int socket, const void *bytes, size_t size, int descriptor)
{
        union control control = {0};
        struct iovec vector = {.iov_base = (void *)bytes, .iov_len = size};
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

        if (descriptor >= 0) {
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(sizeof(descriptor));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(descriptor));
                memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
        }
        return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Finds all descriptors of MESSAGE; returns how many there are. */
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

ssize_t packet_receive(int socket, void *bytes, size_t size, int *ret_descriptor)
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

        if (n < 0)
                return -errno;
        n_found = descriptors_of(&message, found);
        if (n > 0 && n_found == 1 && !(message.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
                *ret_descriptor = found[0];
                return n;
        }
        while (n_found > 0)
                close(found[--n_found]);
        if (message.msg_flags & MSG_TRUNC)
                return -EMSGSIZE;
        return n == 0 ? 0 : -EBADMSG;
}
