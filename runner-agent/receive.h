/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Second stage: what this machine is to do.
 *
 * In: the SSM parameter PREFIX/runners/INSTANCE. The scaler can write it only once the instance
 * exists, which is often a little later than this machine asks. Out: agent->handover. It ends with
 * the hand-over, with one that cannot be read, or at the limit in the settings.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent.h"

struct receive {
        struct agent *agent;
        void (*waiting)(void *userdata);
        agent_done done;
        void *userdata;
        struct http_call *call;
        sd_event_source *timer;
        int64_t deadline_ms;
        unsigned failures;
        struct err err; /* the latest answer that was neither the parameter nor its absence */
};

/* Asks until the limit, also after a refusal, since a role's permissions may arrive late; the last
 * refusal becomes part of the reason. WAITING is called once, after the first answer without a
 * hand-over. */
void receive_start(
        struct receive *receive, void (*waiting)(void *userdata), agent_done done, void *userdata);
void receive_release(struct receive *receive);
