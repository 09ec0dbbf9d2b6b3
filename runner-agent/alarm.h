/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Watching: what ends a machine that does not end by itself.
 *
 * In: the runner's events, the clock, and spot notices of the metadata service. Out: an alarm. A
 * runner may be silent for as long as its job may run: silence alone is no alarm.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "exchange/report.h"
#include "http/http.h"

struct agent;

/* The runner is to be stopped within GRACE_MS. REASON is NULL for one that has done its job and
 * only does not end. */
typedef void (*alarm_raised)(
        struct agent *agent, enum report_stage stage, const char *reason, int64_t grace_ms);

struct alarm {
        alarm_raised raised;
        sd_event_source *limit; /* idle limit, then job limit, then the limit for its end */
        sd_event_source *spot_timer;
        struct http_call *spot;
        unsigned spot_failures;
};

/* The runner was asked for: from now on it must be started and find a job within the idle limit,
 * which begins anew when it listens. */
void alarm_start(struct agent *agent, alarm_raised raised);
/* It runs: spot notices are looked for. */
void alarm_started(struct agent *agent);
void alarm_listening(struct agent *agent);
void alarm_job_started(struct agent *agent);
void alarm_job_finished(struct agent *agent);

void alarm_release(struct agent *agent);
