/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent's container: handed from main to every part. First what the parts use, opened by the
 * accessors on first use (a test presets the member); then what is known of this machine; then the
 * state of each stage, of which the stage's header says more.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "alarm.h"
#include "aws/aws.h"
#include "aws/imds.h"
#include "base/clock.h"
#include "base/log.h"
#include "clean_up.h"
#include "exchange/handover.h"
#include "exchange/report.h"
#include "http/http.h"
#include "identify.h"
#include "life.h"
#include "network.h"
#include "power_off.h"
#include "progress.h"
#include "receive.h"
#include "reporter.h"
#include "run.h"
#include "set_clock.h"
#include "settings.h"

struct agent {
        const struct clock *clock;
        set_clock_call set_clock;
        const char *version;
        sd_event *event;
        struct http *http;
        sd_event_source *http_source;
        struct aws aws;
        struct log log;
        struct log runner_log; /* the runner's own lines */
        struct log_json_sink json_sink;
        struct agent_settings settings;
        bool shuts_down; /* false: --no-shutdown */

        bool is_identified; /* `identity` was read: this is an EC2 instance by proof */
        struct imds_identity identity;
        char *metadata_token; /* secret */
        struct err clock_err; /* the clock is wrong, and could not be set */
        bool has_handover;
        struct handover handover;
        int64_t times[REPORT_TIMES]; /* wall clock; 0 = not (yet) */
        char *job_name;              /* of the job that ran, as the runner printed it */
        char *result;
        int64_t runner_exit_code; /* -1: none */

        struct life life;
        struct identify identify;
        struct network network;
        struct receive receive;
        struct run run;
        struct progress progress;
        struct alarm alarm;
        struct reporter reporter;
        struct clean_up clean_up;
        struct power_off power_off;
};

/* With the machine's clock, the default settings, and nothing opened. */
void agent_init(struct agent *agent);
/* Cancels what is under way. */
void agent_release(struct agent *agent);

sd_event *agent_event(struct agent *agent);
struct http *agent_http(struct agent *agent);
/* Needs the identity (for the region); has credentials when identify is done. */
struct aws *agent_aws(struct agent *agent);
/* Whether AWS can be called: there were credentials once. */
bool agent_has_aws(const struct agent *agent);
/* The journal below systemd, else JSON lines on standard error. */
struct log *agent_log(struct agent *agent);
struct log *agent_runner_log(struct agent *agent);
/* A field of all further messages. */
void agent_log_context(struct agent *agent, const char *name, const char *text);

/* The moment becomes known: now, unless it was before. */
void agent_time(struct agent *agent, enum report_time time);

/* Starts CALL and keeps it in *SLOT, which must be free. DONE gets the agent as userdata and ends
 * with agent_call_drop(). */
void agent_call(struct agent *agent, struct http_call **slot, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata));
/* Cancels and frees the call in *SLOT, if there is one. */
void agent_call_drop(struct agent *agent, struct http_call **slot);

/* Has HANDLER called with the agent in MS, once; replaces what *SOURCE was set to before. */
void agent_timer(
        struct agent *agent, sd_event_source **source, int64_t ms, sd_event_time_handler_t handler);
void agent_timer_stop(sd_event_source **source);

/* How long to wait after so many failures: half of it fixed, half of it random, doubled each time
 * from FIRST_MS up to MOST_MS. */
int64_t agent_backoff_ms(unsigned failures, int64_t first_ms, int64_t most_ms);
