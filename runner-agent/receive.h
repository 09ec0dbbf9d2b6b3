/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Second stage: what this machine is to do.
 *
 * In: the SSM parameter PREFIX/runners/INSTANCE, which the scaler writes once the instance exists,
 * so often a little later than this machine asks. Out: agent->handover.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "http/http.h"
#include "identify.h"

struct receive {
        void (*waiting)(struct agent *agent);
        agent_done done;
        struct http_call *call;
        sd_event_source *timer;
        int64_t deadline_ms;
        unsigned failures;
        struct err err; /* of the latest answer that was neither the parameter nor its absence */
        bool was_seen;  /* there is a parameter to be deleted, whatever is in it */
};

/* Asks until the settings' limit; WAITING is called when the first answer is that there is
 * nothing yet. A role's permission may take its time to arrive, so a refusal is asked again as
 * well; its text is part of the reason in the end. */
void receive_start(struct agent *agent, void (*waiting)(struct agent *agent), agent_done done);
void receive_release(struct agent *agent);
