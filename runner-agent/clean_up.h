/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Clean up: deletes this machine's parameter once a job has started on it and EventBridge has taken
 * the report of that. Until then the parameter is the evidence that the job still needs a machine:
 * when a machine ends and has left its parameter, the scaler gives its job back, deregisters its
 * runner and deletes the parameter. (That of an idle machine it deletes before: see idle.h.)
 *
 * In: agent->has_parameter. Out: no parameter, if a job has started. It is deleted while the runner
 * works, since AWS allows only a few DeleteParameter calls per second in the whole account. The
 * last report says whether that was done (agent->has_deleted_parameter): where it was not, the
 * scaler does it when the instance has ended. One that a scaler whose PutParameter was not answered
 * has written a second time is left to `recover`.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "agent.h"

struct clean_up {
        struct agent *agent;
        struct http_call *call;
        sd_event_source *timer;
        unsigned failures;
        agent_done done; /* set: the machine waits for the end of this stage */
        void *userdata;
        sd_event_source *limit;
        struct err err; /* the latest failure */
};

/* Deletes the parameter; retries slowly while the machine lives. */
void clean_up_start(struct clean_up *clean_up);

/* If a job has started, deletes the parameter if it is still there. Calls DONE: with a negative
 * result when that was not possible within LIMIT_MS. */
void clean_up_finish(struct clean_up *clean_up, int64_t limit_ms, agent_done done, void *userdata);

void clean_up_release(struct clean_up *clean_up);
