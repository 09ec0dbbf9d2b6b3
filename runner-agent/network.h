/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent starts before the network has an address. The kernel announces each new route, so that
 * a call that failed for want of one is made again at once instead of after its back-off.
 */

#include <systemd/sd-event.h>

struct agent;

struct network {
        int fd; /* valid while `source` is set */
        sd_event_source *source;
        void (*changed)(void *userdata);
        void *userdata;
};

/* Calls CHANGED for each change of IPv4 routes, until network_close(). Where the kernel cannot be
 * asked, it is never called, and the back-off has to do. */
void network_open(struct network *network, struct agent *agent, void (*changed)(void *userdata),
        void *userdata);
void network_close(struct network *network);
