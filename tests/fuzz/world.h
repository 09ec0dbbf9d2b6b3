/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A world for targets that run whole handlers: SQS, SSM, S3, EC2, GitHub and the channels answer as
 * they do, and each byte of the input decides one thing about one answer: which of the plausible
 * ones it is, or how it fails. Where there are no bytes left, all is well and empty.
 *
 * What a handler did is noted here, and what the answers said: from that, the target judges. Time
 * passes as in network.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "http/http.h"

#define WORLD_JOBS 12
#define WORLD_MACHINES 64
#define WORLD_BUCKET "handovers"
#define WORLD_API "https://github.test"
#define WORLD_ACCOUNT "123456789012"

/* No log, message, tag or URL may have one of these. */
#define WORLD_TOKEN_MARK "ghsT0kenMark"
#define WORLD_JIT_MARK "aml0TWFya0lt"
#define WORLD_KEY_MARK "7ab1e7c0de7ab1e7"
#define WORLD_KEY WORLD_KEY_MARK "0123456789abcdef0123456789abcdef0123456789abcdef"
#define WORLD_CHANNEL_MARK "Chann3lMark"
#define WORLD_WEBHOOK_MARK "W3bhookMark"
#define WORLD_AWS_MARK "wJalrXUtnFEMI5d0c"

struct world_job {
        unsigned state;     /* what GitHub said of it, and keeps to; 0: it was not asked */
        bool is_over;       /* GitHub or EC2 said that it does not wait */
        bool is_waiting;    /* GitHub said so, in this event */
        bool was_over;      /* at an earlier event */
        bool is_unknown;    /* GitHub said so */
        bool is_sent;       /* a queue took a message about it */
        bool is_dead;       /* that was its dead letter */
        bool is_followed;   /* that was a watch */
        bool is_stored;     /* its machine's hand-over was stored */
        bool is_unclear;    /* a message may have been taken, whose answer was lost */
        bool is_failed;     /* GitHub said that it has failed, or was cancelled */
        bool is_read;       /* the hand-over of its machine */
        bool is_asked_for;  /* its message is not fresh, and GitHub has not been asked before */
        bool refuses_forks; /* its message says that its repository is public, and its spec no */
        bool is_fork;       /* GitHub said that its run comes from a fork */
};

struct world_machine {
        char id[20];
        char type[32];
        char state[16];     /* once it has ended */
        char launches[256]; /* "/JOB-ATTEMPT-N/" */
        bool is_made;       /* by a launch, */
        bool is_launched;   /* and the answer said so */
        unsigned index;     /* in that launch */
        unsigned event;     /* that it was made in */
        bool is_sent;       /* a message names it */
        bool was_dead;      /* an answer said that it is not alive */
        bool has_job;       /* an answer said that it has a job's tag, */
        unsigned job;       /* of this number */
        bool is_overdue;    /* an answer said that its lifetime is over */
        bool is_foreign;    /* of another stack */
        bool has_runner;    /* GitHub said that it is connected */
        bool is_deregistered;
        bool is_ended; /* by the handler */
};

/* What goes on for the whole input, since outages and broken images come in rows. 0: nothing. */
struct world_habits {
        unsigned launches; /* EC2 refuses each with the same code */
        unsigned machines; /* they look alike */
        unsigned jobs;     /* GitHub says the same of each */
        unsigned hour;     /* what GitHub's answers say of the hour's calls */
        unsigned github;   /* it refuses calls with the same code */
        unsigned queues;   /* SQS, likewise */
        unsigned names;    /* runners of the names are there */
        unsigned store;    /* SSM is throttled */
        unsigned breakers; /* they are as this says */
};

/* What HABIT stands for in a table. */
#define WORLD_HABIT(habit, table) ((table)[((habit)-1) % ARRAY_SIZE(table)])

#define WORLD_SENT 24
#define WORLD_TOKENS 128

/* A launch that is asked for again with the same token has the same answer. */
struct world_token {
        char token[65];
        size_t first; /* of its machines */
        size_t n;
};

/* A message that a queue took, and that the next event may be about. */
struct world_message {
        char *queue;
        char *body;
};

#define WORLD_LOOKS 64
#define WORLD_LOOK_SIZE 200

struct world {
        const uint8_t *bytes;
        size_t left;
        struct world_job jobs[WORLD_JOBS + 1]; /* by id */
        struct world_machine machines[WORLD_MACHINES];
        bool is_own[WORLD_JOBS + 1]; /* GitHub said so of the run: it is no fork's */
        size_t n_machines;
        unsigned n_living; /* at the last count of all machines */
        bool is_counted;
        unsigned n_told;  /* notifications that notify.fifo took */
        unsigned n_shown; /* by channels */
        unsigned n_kept;  /* letters */
        unsigned n_dead;
        unsigned n_rerun;   /* GitHub's 201 */
        const char *spec;   /* of most jobs */
        int64_t other_run;  /* which is of another repository; 0: none */
        bool has_fleet;     /* EC2 has shown machines of one, in this event */
        bool has_refused;   /* GitHub, in this event */
        bool is_public;     /* repositories are */
        bool has_other;     /* that repository is configured */
        bool has_strangers; /* EC2's events are also about machines of others */
        bool is_limited;    /* the configuration has limits of machines */
        const char *config; /* the document in SSM */
        const char *app_key;
        char store[WORLD_JOBS + 1][4096]; /* hand-overs that wait, by instance; "" none */
        unsigned n_calls;
        int64_t breaker_version; /* that was read last; 0: there was none */
        struct world_habits habits;
        struct world_message sent[WORLD_SENT];
        size_t n_sent;
        char looks[WORLD_LOOKS][WORLD_LOOK_SIZE]; /* messages of `watch` that another followed */
        size_t n_looks;
        struct world_token tokens[WORLD_TOKENS];
        size_t n_tokens;
        unsigned event;         /* the number of this one */
        bool has_other_attempt; /* of a run, GitHub said */
};

extern struct world world;

/* Forgets all, and takes BYTES as what decides. */
void world_begin(const uint8_t *bytes, size_t size);
/* The next decision: 0 to N - 1, and 0 where there are no bytes left. */
unsigned world_choose(unsigned n);
/* One of WORDS. */
#define world_one_of(words) ((words)[world_choose(ARRAY_SIZE(words))])

/* The transport. */
int world_answer(struct http_call *call);

/* What TEXT must not have. */
bool world_has_secret(const char *text);

/* The URL of a job of the batch. There are four jobs in each run. */
void world_job_url(int64_t id, char url[static 96]);
/* The id of the machine of a launch: each launch of a job has another machine. */
void world_machine_id(int64_t job, int64_t attempt, int64_t launch, char id[static 20]);
/* The number of the job whose machine has this id; 0: of none of the batch. */
unsigned world_job_of(const char *id);

/* The machine of that id, which is made where there is none; NULL: there are too many. */
struct world_machine *world_machine(const char *id);
struct world_machine *world_new_machine(void);

/* Notes that a queue took a message. */
void world_note_message(const char *queue_url, const char *body);
void world_forget_messages(void);

/* Each service: fills the status and answer of CALL. */
void world_sqs(struct http_call *call, const char *action, const cJSON *body);
void world_ssm(struct http_call *call, const char *action, const cJSON *body);
void world_s3(struct http_call *call);
void world_ec2(struct http_call *call);
void world_github(struct http_call *call, const cJSON *body);
/* What follows a scope and /actions: about jobs and runs; false: about something else. */
bool world_runs(struct http_call *call, const char *path);

/* For them. */
void world_json(struct http_call *call, int status, cJSON *json);
void world_text(struct http_call *call, int status, const char *text);

/* -- EC2 -- */

/* Decoded; NULL: it is not there. The caller frees. */
char *world_form_value(const char *form, const char *name);
/* The value of BEFORE.I AFTER. */
char *world_form_item(const char *form, const char *before, int i, const char *after);
/* Refuses CALL with one of EC2's codes. */
void world_refuse_ec2(struct http_call *call);
void world_run_instances(struct http_call *call, const char *form);
void world_create_fleet(struct http_call *call, const char *form);
void world_describe_instances(struct http_call *call, const char *form);
/* Adds MACHINE to an answer, unless MUST_LIVE is set and it has ended. */
void world_add_instance(struct buf *xml, struct world_machine *machine, bool must_live);

/* -- hand-overs (world_handovers.c) -- */

/* NAME ends with a machine's id: whether that machine has a hand-over, and its text or NULL. */
bool world_has_handover(const char *name);
const char *world_handover_of(const char *name);
void world_store_handover(const char *name, const char *value);
/* Stores hand-overs for some of the batch's machines. */
void world_store_handovers(void);
/* When one was last changed: long ago, or a moment ago. */
int64_t world_modified_seconds(void);

/* -- events (world_events.c) -- */

#define WORLD_NOW_MS INT64_C(1767323045000)

struct world_handler {
        const char *name;
        /* The body of a message of the job of that number; the caller frees. */
        char *(*make_body)(int64_t job);
        const char *queue;     /* where its messages come from */
        const char *queues[2]; /* that it reads, in all */
};

#define WORLD_HANDLERS 11
extern const struct world_handler world_handlers[WORLD_HANDLERS];

/* A batch of N_RECORDS for HANDLER, as Lambda gets it; messages are "m1" and so on. The caller
 * frees. */
char *world_make_event(const struct world_handler *handler, unsigned n_records);
/* A batch of what the last event has sent, and who gets it; NULL: nothing, or not this time. */
char *world_make_next_event(size_t *ret_handler);
/* The batch EVENT once more, as SQS may deliver it. */
char *world_make_again(const char *event);
/* The configuration, which decides what goes on, too; the caller frees. */
char *world_make_config(void);

/* Of a job: one that is queued, launched, runs, has ended, or is watched (world_jobs.c). */
char *world_make_queued(int64_t id);
char *world_make_launched(int64_t id);
char *world_make_in_progress(int64_t id);
char *world_make_completed(int64_t id);
char *world_make_watched(int64_t id);
char *world_make_in_line(int64_t id);
/* What the launch of a job depends on. */
void world_note_job(const cJSON *job);
/* The text of JSON, with some members more or other than usual; or a part of that. */
char *world_finish(cJSON *json);
/* The name of a spec, or of one that is gone. */
const char *world_spec(void);

/* What EventBridge says of the machine of a job (world_reports.c). */
char *world_make_instance(int64_t id);
/* What a machine of a job knows, signed; the caller frees. */
char *world_ticket(int64_t job);

/* -- what became of an event (world_judge.c) -- */

struct world_judged {
        const char *name; /* of the handler */
        const cJSON *event;
        cJSON *answer;
        const struct world *before;
};

/* Ends the program where users could not rely on that. */
void world_judge(const struct world_judged *judged);
