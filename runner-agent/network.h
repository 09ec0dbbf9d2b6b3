/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent starts before the network has an address: the kernel tells when there is a new route,
 * so that what failed without is tried again at once, instead of when a back-off is over.
 */

#include <systemd/sd-event.h>

struct agent;

struct network {
        int fd; /* as long as there is a source */
        sd_event_source *source;
        void (*changed)(struct agent *agent);
};

/* Has CHANGED called for each change of IPv4 routes. Where the kernel does not tell, it is never
 * called, and the back-off has to do. */
void network_watch(struct agent *agent, void (*changed)(struct agent *agent));

void network_release(struct agent *agent);
