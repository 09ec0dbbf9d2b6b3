/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The reporter tells the scaler what happens on this machine, with events on EventBridge.
 *
 * In: a stage of the machine's life, when it is reached. Out: one event each, retried until
 * EventBridge takes it. What waits goes with one call. A job mostly starts within a second of the
 * moment in which its runner listens, so that the report that it listens waits for so long, for one
 * that it can go with. The machine waits for its reports only at its end, and then for a bounded
 * time.
 */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "agent.h"

struct reporter {
        struct agent *agent;
        struct {
                enum report_stage stage;
                char *detail;     /* owned */
        } waiting[REPORT_STAGES]; /* each stage once at most */
        size_t n_waiting;
        struct http_call *call; /* carries the first `n_under_way` that wait */
        size_t n_under_way;
        /* Called for each report that EventBridge has taken; may be NULL. */
        void (*taken)(void *userdata, enum report_stage stage);
        void *taken_userdata;
        sd_event_source *hold;  /* what waits may wait for another report */
        sd_event_source *timer; /* what EventBridge did not take is sent again */
        unsigned failures;
        agent_done done; /* set: the machine waits for the last report */
        void *userdata;
        sd_event_source *limit;
        struct err err; /* the latest failure */
};

/* REASON may be NULL. Does nothing when AWS cannot be called, or when a report of that stage waits
 * already. */
void reporter_send(struct reporter *reporter, enum report_stage stage, const char *reason);

/* Sends no report of STAGE that has waited until now: it is no longer true. One that is under way
 * is given up, so that it is not tried again when it fails. */
void reporter_forget(struct reporter *reporter, enum report_stage stage);

/* Calls DONE when all reports were taken, or with a negative result after LIMIT_MS. */
void reporter_finish(struct reporter *reporter, int64_t limit_ms, agent_done done, void *userdata);

void reporter_release(struct reporter *reporter);
