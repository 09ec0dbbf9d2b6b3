/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What all stages of the agent share: dependencies, which the accessors open on first use (a test
 * presets the member), and what is known of this machine so far. The agent knows no stage: each
 * stage points to it, and life.h owns the stages.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "aws/aws.h"
#include "aws/imds.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "exchange/handover.h"
#include "exchange/report.h"
#include "exchange/store.h"
#include "http/http.h"
#include "settings.h"

struct agent {
        const struct clock *clock;
        int (*set_clock)(int64_t wall_ms); /* the machine's clock: 0 or a negative errno */
        const char *version;
        struct agent_settings settings;
        bool shuts_down; /* false: --no-shutdown */

        /* Opened by the accessors. */
        sd_event *event;
        struct http *http;
        sd_event_source *http_source;
        struct aws aws;
        struct store store;
        struct log log;
        struct log runner_log; /* the runner's own lines */
        struct log_json_sink json_sink;

        /* Known so far. */
        bool is_identified; /* `identity` was read, which proves that this is an EC2 instance */
        struct imds_identity identity;
        char *metadata_token;       /* secret */
        char *bucket;               /* in which the hand-over is; NULL: it is in SSM */
        struct err clock_err;       /* set: the clock is wrong and could not be set */
        bool has_parameter;         /* the hand-over was seen, whatever it contains */
        bool has_deleted_parameter; /* and the store has confirmed it */
        bool has_handover;
        struct handover handover;
        int64_t times[REPORT_TIMES]; /* wall clock; 0 = not (yet) */
        char *job_name;              /* of the job that ran, as the runner printed it */
        char *result;
        int64_t runner_exit_code; /* -1: none */
};

/* Sets the machine's clock and the default settings; opens nothing. */
void agent_init(struct agent *agent);
/* After the stages were released. */
void agent_release(struct agent *agent);

sd_event *agent_event(struct agent *agent);
struct http *agent_http(struct agent *agent);
/* Needs the identity for the region; has credentials once identify is done. */
struct aws *agent_aws(struct agent *agent);
/* Where the hand-over is; needs the identity and the bucket. */
const struct store *agent_store(struct agent *agent);
/* What it is called, for people; the caller frees. */
char *agent_handover_name(struct agent *agent);
/* Whether AWS can be called: credentials were read at least once. */
bool agent_has_aws(const struct agent *agent);
/* The journal below systemd, else JSON lines on standard error. */
struct log *agent_log(struct agent *agent);
struct log *agent_runner_log(struct agent *agent);
/* Adds a field to all further messages. */
void agent_log_context(struct agent *agent, const char *name, const char *text);

/* Records the present time for TIME, unless it has one. */
void agent_time(struct agent *agent, enum report_time time);

/* The limits that apply: the hand-over's, or else those in the settings. */
int64_t agent_idle_limit_seconds(const struct agent *agent);
int64_t agent_job_limit_seconds(const struct agent *agent);

/* How a stage tells its owner that it has ended: 0, or negative with the reason in ERR. */
typedef void (*agent_done)(void *userdata, int result, const struct err *err);

/* Starts CALL and keeps it in *SLOT, which must be free. DONE ends with agent_call_drop(). */
void agent_call(struct agent *agent, struct http_call **slot, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata), void *userdata);

/* The answer with a hand-over in JSON, with every byte escaped at worst, and what surrounds it. */
#define AGENT_HANDOVER_LIMIT STORE_VALUE_MAX
/* Like the call above, for the call that reads this machine's hand-over, which is tried once. */
void agent_call_for_handover(struct agent *agent, struct http_call **slot,
        void (*done)(struct http_call *call, void *userdata), void *userdata);
/* Cancels and frees the call in *SLOT, if there is one. */
void agent_call_drop(struct agent *agent, struct http_call **slot);

/* Calls HANDLER once, in MS; replaces what *SOURCE was set to before. */
void agent_timer(struct agent *agent, sd_event_source **source, int64_t ms,
        sd_event_time_handler_t handler, void *userdata);
void agent_timer_stop(sd_event_source **source);

/* How long to wait after FAILURES in a row: half of it fixed and half of it random, doubled each
 * time from FIRST_MS up to MOST_MS. */
int64_t agent_backoff_ms(unsigned failures, int64_t first_ms, int64_t most_ms);
