/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Beside the runner: notices when a machine has to end although its runner does not.
 *
 * In: the runner's events, the clock, and EC2's spot notices. Out: an alarm, upon which the owner
 * stops the runner. It ends with the runner. A silent runner is no reason for an alarm, since a job
 * may print nothing for as long as it may run.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent.h"

struct alarm_events {
        /* The runner is to be stopped within GRACE_MS. REASON is NULL when its job is done and only
         * the runner does not end. */
        void (*raised)(
                void *userdata, enum report_stage outcome, const char *reason, int64_t grace_ms);
        /* The runner has listened, and no job came within the idle limit: see idle.h. No limit
         * applies any more until the runner goes on. */
        void (*idle)(void *userdata);
        /* The metadata service refused agent->metadata_token. */
        void (*token_expired)(void *userdata);
};

struct alarm {
        struct agent *agent;
        const struct alarm_events *events;
        void *userdata;
        sd_event_source *limit; /* for idling or updating, then the job, then the end */
        sd_event_source *spot_timer;
        struct http_call *spot;
        unsigned spot_failures;
};

/* The runner was asked for: it must start and find a job within the idle limit, which begins anew
 * when it listens. */
void alarm_start(struct alarm *alarm, const struct alarm_events *events, void *userdata);
/* The runner runs: from now on, EC2 is asked for spot notices. */
void alarm_runner_started(struct alarm *alarm);
void alarm_listening(struct alarm *alarm);
/* The runner updates itself: it must listen again within the limit for updates. */
void alarm_updating(struct alarm *alarm);
void alarm_job_started(struct alarm *alarm);
void alarm_job_finished(struct alarm *alarm);

void alarm_release(struct alarm *alarm);
