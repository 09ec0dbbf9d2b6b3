/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Second stage: what this machine is to do.
 *
 * In: the SSM parameter PREFIX/runners/INSTANCE, or the object in S3 whose key is this instance's
 * ARN. The scaler can write it only once the instance exists, which is often a little later than
 * this machine asks. Out: agent->handover. It ends with the hand-over, with one that cannot be
 * read, or at the limit in the settings.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent.h"
#include "receive_pace.h"

struct receive {
        struct agent *agent;
        void (*waiting)(void *userdata);
        agent_done done;
        void *userdata;
        struct http_call *call;
        sd_event_source *timer;
        int64_t started_ms;
        int64_t deadline_ms;
        struct receive_pace pace;
        int64_t refused_ms; /* since when S3 has refused; 0: it has not */
        struct err err;     /* the latest answer that was neither the hand-over nor its absence */
};

/* Asks until the limit, also after a refusal, since a role's permissions may arrive late; the last
 * refusal becomes part of the reason. S3, which says what does not exist, may refuse for 30 s.
 * WAITING is called once, after the first answer without a hand-over. */
void receive_start(
        struct receive *receive, void (*waiting)(void *userdata), agent_done done, void *userdata);
void receive_release(struct receive *receive);
