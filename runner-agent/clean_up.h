/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Clean up: deletes this machine's parameter as soon as the runner listens. Until then it stays,
 * because the scaler gives the job of a machine back that ends and still has its parameter.
 *
 * In: agent->has_parameter. Out: no parameter. It is deleted while the runner works, since AWS
 * allows only a few DeleteParameter calls per second in the whole account. At the end this stage
 * looks for it once more, because a scaler whose PutParameter was not answered may have written it
 * a second time. What is left even then, the scaler deletes when the job completes or the instance
 * ends.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "agent.h"

struct clean_up {
        struct agent *agent;
        struct http_call *call;
        sd_event_source *timer;
        unsigned failures;
        bool is_deleted;
        bool was_refused; /* DeleteParameter, just now */
        agent_done done;  /* set: the machine waits for the end of this stage */
        void *userdata;
        sd_event_source *limit;
        struct err err; /* the latest failure */
};

/* Deletes the parameter; retries slowly while the machine lives. */
void clean_up_start(struct clean_up *clean_up);

/* Deletes the parameter if it is still there, or again, and calls DONE: with a negative result when
 * that was not possible within LIMIT_MS. */
void clean_up_finish(struct clean_up *clean_up, int64_t limit_ms, agent_done done, void *userdata);

void clean_up_release(struct clean_up *clean_up);
