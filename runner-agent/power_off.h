/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Last stage: powers the machine off with `shutdown -h now`, found through PATH. The instance is
 * launched with InstanceInitiatedShutdownBehavior=terminate, so that this terminates it and ends
 * its cost.
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "agent.h"

struct power_off {
        struct agent *agent;
        agent_done done;
        void *userdata;
        pid_t pid;
        sd_event_source *child;
        sd_event_source *limit;
};

/* Calls DONE when shutdown has accepted, or with a negative result. In that case systemd powers the
 * machine off: the agent exits with a code that fails its unit, which has FailureAction=poweroff.
 */
void power_off_start(struct power_off *power_off, agent_done done, void *userdata);
void power_off_release(struct power_off *power_off);
