/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The end of the machine: `shutdown -h now`, found through PATH. The instance is launched with
 * InstanceInitiatedShutdownBehavior=terminate, so that this is what ends it, and its cost.
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "identify.h"

struct power_off {
        agent_done done;
        pid_t pid;
        sd_event_source *child;
        sd_event_source *limit;
};

/* Calls DONE when shutdown has ended well, or has not: systemd is the second line then, since the
 * agent ends with an exit code that makes its unit fail (FailureAction=poweroff). */
void power_off_start(struct agent *agent, agent_done done);
void power_off_release(struct agent *agent);
