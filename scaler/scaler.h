/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The container: everything that a handler may need, handed from main to every part. The accessor
 * of a dependency opens it on first use, and it lives until the process ends: a handler that does
 * not need GitHub never reads its key, and a warm invocation opens nothing. Tests preset the
 * members.
 */

#include <stdbool.h>
#include <stdint.h>

#include "aws/aws.h"
#include "aws/describe.h"
#include "aws/metric.h"
#include "aws/ssm.h"
#include "base/budget.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/recent.h"
#include "config/config.h"
#include "config/references.h"
#include "github/github.h"
#include "http/http.h"

/* The names of specs and repositories are shorter. */
#define LIMIT_NAME_SIZE 208

struct github_budget {
        int64_t installation;
        struct budget budget;
        int64_t hour_left;     /* calls of the hour, as the last answer said */
        int64_t hour_limit;    /* calls of an hour; 0: unknown */
        int64_t hour_ends_ms;  /* wall clock; 0: no answer has said so yet */
        int64_t hour_noted_ms; /* wall clock: when an answer said so */
};

/* A limit of GitHub's that this process has stored: see job/github_limit.h. */
struct stored_limit {
        int64_t registrar;
        int64_t apps;
        int64_t until_ms; /* wall clock, as all here */
        int64_t near_until_ms;
        int64_t failed_ms; /* when it could not be stored; 0: it could */
};

/* Launched jobs that wait for the ends of GitHub's limits: see job/launch_pace.c. */
struct standing {
        size_t n_limits;  /* that last */
        int64_t since_ms; /* monotonic: since when so many do */
        int64_t n_jobs;
};

/* One of the additional Apps: see job/registrars.h. */
struct scaler_app {
        int64_t id;
        bool is_open;
        bool refused;         /* its key: it is read again before the next use */
        struct github github; /* if it is open */
        int64_t failed_ms; /* monotonic: when it could not be opened; 0: it could, or not tried */
        struct err err;    /* why */
};

/* Which installation of an App reaches a scope. */
struct app_installation {
        const struct scaler_app *app;
        char scope[GITHUB_SCOPE_SIZE];
        int64_t id;       /* 0: none does, or it is suspended */
        int64_t until_ms; /* monotonic: when to ask GitHub again */
        bool is_doubted;  /* ask sooner, since GitHub refused the installation something */
};

/* Machines that live, and those that were allowed a moment ago: see job/limits.h. */
struct limit_count {
        char spec[LIMIT_NAME_SIZE];
        char repository[LIMIT_NAME_SIZE];
        int64_t machines;
};

struct limit_grant {
        char launch[64];
        char spec[LIMIT_NAME_SIZE];
        char repository[LIMIT_NAME_SIZE];
        int64_t until_ms; /* monotonic */
};

/* The first of a line, when it looked last. */
struct limit_head {
        char spec[LIMIT_NAME_SIZE];
        char repository[LIMIT_NAME_SIZE];
        int64_t job;
        int64_t rank;    /* the highest comes first */
        int64_t seen_ms; /* monotonic */
};

struct machine_limits {
        struct limit_count *counts; /* owned */
        size_t n_counts;
        int64_t counted_ms;         /* monotonic; 0: not yet */
        struct limit_grant *grants; /* owned */
        size_t n_grants;
        struct limit_head *heads; /* owned; see job/line_look.c */
        size_t n_heads;
};

struct scaler {
        /* Warm: lives as long as the process. */
        const struct clock *clock;
        struct log_json_sink sink;
        struct log log;
        int log_fd; /* of logs and metrics */
        struct http *http;
        struct aws *aws;
        struct references references;
        struct config *config;
        int64_t config_read_ms; /* monotonic */
        struct github *github;
        bool github_refused;         /* our key or token: it is read again before the next use */
        struct recent github_pauses; /* installations for which nothing is launched for a while */
        struct recent github_limits; /* those that met a limit, until a minute after its end */
        struct github_budget *github_budgets; /* see job/pace.h; owned */
        size_t n_github_budgets;
        struct scaler_app **apps; /* additional ones that were asked for; owned */
        size_t n_apps;
        struct stored_limit *stored_limits; /* owned */
        size_t n_stored_limits;
        struct app_installation *app_installations; /* see job/app_installation.h; owned */
        size_t n_app_installations;
        struct recent passed_over;      /* installations, with their scopes */
        struct budget parameter_budget; /* of PutParameter */
        struct standing standing;       /* see job/launch_pace.c */
        struct budget launch_budget;    /* of instances: the same */
        struct budget share_budget;     /* of launches for which nobody is asked: queued_pace.c */
        struct known_job *known_jobs;   /* see job/known_jobs.h; owned */
        int64_t burst_seen_ms;          /* monotonic: when jobs last waited in line; 0: never */
        struct buf webhook_secrets;
        int64_t webhook_secrets_read_ms; /* when they were read, or could not be */
        bool webhook_secrets_are_old;    /* they could not be read again when they were asked for */
        struct buf ticket_keys;          /* see job/ticket_keys.h; secret */
        int64_t ticket_keys_read_ms;
        char account[16];             /* AWS's, as Lambda says; "": unknown */
        struct ec2_subnets zones;     /* subnets of fleets, and their zones, which stay */
        struct recent empty_offers;   /* offers (see job/launch.h) without capacity a moment ago */
        struct ssm_texts breakers;    /* see job/breaker.h */
        int64_t breakers_read_ms;     /* monotonic; 0: not yet */
        struct recent runs;           /* of public repositories, and whether forks' (job/fork.h) */
        struct machine_limits limits; /* of machines */
        struct recent shown;          /* notifications that people have seen */
        struct recent reported;       /* launches and stages that were told, or given back */
        struct recent watched;        /* looks at jobs that were followed by another: watch.c */
        struct recent unanswered; /* runs of jobs in line of which GitHub cannot tell: job/turn.c */
        struct recent unread_hooks; /* webhooks that people were told `recover` cannot read */
        struct recent clean;        /* machines that have left nothing (job/handle_report.h) */

        /* Of one event. */
        int64_t deadline_ms;          /* wall clock: when Lambda ends the process; 0 = never */
        bool config_borrowed;         /* somebody borrowed it: kept until the next event */
        struct config *config_before; /* what was borrowed before it was read again */
};

/* Opens nothing. SCALER is all zeros. */
void scaler_init(struct scaler *scaler);
void scaler_release(struct scaler *scaler);

/* Resets what belongs to one event. */
void scaler_begin_event(struct scaler *scaler, int64_t deadline_ms);
/* Notes whose account the function FUNCTION_ARN (may be "") is in. */
void scaler_note_account(struct scaler *scaler, const char *function_arn);
/* Milliseconds until the event's deadline; INT64_MAX without one. */
int64_t scaler_time_left(const struct scaler *scaler);

/* Milliseconds that a call which starts now may take; 0: as long as it likes. */
int64_t scaler_call_limit_ms(const struct scaler *scaler);

/* The network. */
struct http *scaler_http(struct scaler *scaler);
/* Begins CALL like http_start(), with a timeout that leaves time to answer the event. */
void scaler_start(struct scaler *scaler, struct http_call *call);
/* Like scaler_start(), after DELAY_MS. */
void scaler_start_later(struct scaler *scaler, struct http_call *call, int64_t delay_ms);
/* Performs such a call and returns it, for its answer to be read and for the caller to free. */
struct http_call *scaler_call(struct scaler *scaler, struct http_call *call);

/* Writes METRICS to the log, with dimension SPEC (may be NULL): see aws/metric.h. */
void scaler_emit_metrics(const struct scaler *scaler, const char *spec,
        const struct metric *metrics, size_t n_metrics, const struct log_field *properties,
        size_t n_properties);

/* AWS with the credentials of the environment, and the KMS key for parameters in PARAMETER_KMS_KEY:
 * 0, or negative without region or credentials. */
int scaler_aws(struct scaler *scaler, struct aws **ret, struct err *err);

/* The configuration that SCALE_AGENT_CONFIG refers to, borrowed until the end of the event. It is
 * read again after five minutes; if that fails, the old one stays and a warning is logged. */
int scaler_config(struct scaler *scaler, const struct config **ret, struct err *err);
/* Reads the configuration again, before something is refused because of it: somebody may have
 * changed it. NULL when it was read within the last minute, or cannot be read, which is logged.
 * What was borrowed before stays as it is until the end of the event. */
const struct config *scaler_config_again(struct scaler *scaler);

/* GitHub: as an App if the configuration has an app_id, else with the token in GITHUB_TOKEN, which
 * is read again where GitHub refused it. */
int scaler_github(struct scaler *scaler, struct github **ret, struct err *err);
/* Closes it. */
void scaler_forget_github(struct scaler *scaler);

/* The additional App of that id, with its key from GITHUB_APP_KEYS/ID/private-key: 0, or negative
 * while its key cannot be read or cannot sign, which is tried every five minutes. Where its key was
 * refused, that is read again. Valid until the process ends. */
int scaler_additional_app(
        struct scaler *scaler, int64_t id, struct scaler_app **ret, struct err *err);
void scaler_forget_apps(struct scaler *scaler);

/* The webhook's secrets from GITHUB_WEBHOOK_SECRET, one a line. AGAIN: reads them once more, since
 * one may have been replaced, but not within a minute of the last time: *ret is NULL then. -EAGAIN
 * where that last time failed. */
int scaler_webhook_secrets(struct scaler *scaler, bool again, const char **ret, struct err *err);

/* The value that REFERENCE refers to (config/reference.h), called NAME in errors: as below. */
int scaler_resolve(struct scaler *scaler, const char *reference, const char *name, struct buf *ret,
        struct err *err);
/* The value that environment variable NAME is, or refers to (config/reference.h): 0,
 * REFERENCE_ABSENT, or negative. */
int scaler_resolve_variable(
        struct scaler *scaler, const char *name, struct buf *ret, struct err *err);
/* Like scaler_resolve_variable(), but an absent value is an error. */
int scaler_need_variable(struct scaler *scaler, const char *name, struct buf *ret, struct err *err);
