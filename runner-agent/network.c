/* SPDX-License-Identifier: MIT */

/*
 * rtnetlink(7). Which route changed does not matter, so messages are read and not parsed.
 */

#include "network.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

static int on_message(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct network *network = userdata;
        char bytes[4096];

        (void)source;
        (void)events;
        /* ENOBUFS: the socket's buffer overflowed, so there were changes as well. */
        while (recv(fd, bytes, sizeof(bytes), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
                ;
        network->changed(network->userdata);
        return 0;
}

static int open_socket(void)
{
        struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE};
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
        int r;

        if (fd < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

void network_open(struct network *network, struct agent *agent, void (*changed)(void *userdata),
        void *userdata)
{
        int fd = open_socket();
        int r = fd;

        if (fd >= 0)
                r = sd_event_add_io(
                        agent_event(agent), &network->source, fd, EPOLLIN, on_message, network);
        if (r < 0) {
                log_debug(agent_log(agent), "route changes cannot be followed",
                        LOG_TEXT("error", strerror(-r)));
                if (fd >= 0)
                        close(fd);
                return;
        }
        network->fd = fd;
        network->changed = changed;
        network->userdata = userdata;
}

void network_close(struct network *network)
{
        if (!network->source)
                return;
        network->source = sd_event_source_disable_unref(network->source);
        close(network->fd);
}
