/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A job as it travels through the queues: `webhook` makes it from GitHub's delivery; `queued`,
 * `in_progress` and `completed` read it.
 * https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/err.h"
#include "config/config.h"
#include "exchange/handover.h"
#include "github/github.h"

/* The tag of an instance that names the job which runs on it, by its URL. */
#define JOB_TAG "scale-agent:job-url"
/* And the attempt of its run. */
#define JOB_ATTEMPT_TAG "scale-agent:job-attempt"
/* The repository that it is for: at launch that of the job it was launched for, then that of the
 * job which runs on it. */
#define JOB_REPOSITORY_TAG "scale-agent:repository"
/* The type that its runner has as a label, where jobs may name one. EC2 may have launched another.
 */
#define JOB_TYPE_TAG "scale-agent:type"
/* The tag of a machine whose runner was heard idling: its image works. */
#define JOB_IDLE_TAG "scale-agent:idle"

enum job_action {
        JOB_QUEUED,
        JOB_PACED,    /* it waits for its turn to be launched: see paced.h */
        JOB_LAUNCHED, /* it has a machine, whose runner is to be registered: see launched.h */
        JOB_WATCHED,  /* a machine was launched for it: see follow.h */
        JOB_LIMITED,  /* it waits at a limit of machines: see line.h */
        JOB_IN_PROGRESS,
        JOB_COMPLETED,
        JOB_LOST,  /* EC2 took its machine back while it ran: see loss.h */
        JOB_OTHER, /* "waiting", and what GitHub may add */
};

/* What GitHub says of a job: see ask.h. */
enum job_state {
        JOB_STATE_UNKNOWN, /* GitHub could not be asked */
        JOB_STATE_QUEUED,  /* waits for a runner */
        JOB_STATE_HELD, /* waits for something else: an approval, its concurrency group; or GitHub
                           does not know it, which may pass */
        JOB_STATE_RUNS,
        JOB_STATE_ENDED, /* completed, cancelled, or deleted */
};

struct job {
        enum job_action action;
        char *held; /* its status, when a `queued` delivery carries another, such as waiting; else
                       NULL */
        int64_t id;
        int64_t run_id;
        int64_t attempt;
        int64_t installation; /* 0: the webhook is not an App's */
        char *repository;     /* "OWNER/REPO"; owned, as all strings here */
        char *name;
        char *url;         /* for people */
        int64_t is_public; /* not 0: anybody may fork the repository (see fork.h). A job that was
                              given back has passed, and lacks this */
        char *delivery;    /* X-GitHub-Delivery */
        char **labels;     /* the job's runs-on */
        size_t n_labels;
        char *runner_name; /* NULL until a runner has taken it */
        int64_t runner_id; /* 0: none */
        char *conclusion;  /* "success", …; NULL until it is completed */
        int64_t queued_ms; /* epoch milliseconds; 0 = unknown */
        int64_t started_ms;
        int64_t completed_ms;
        int64_t webhook_ms; /* when the delivery arrived */

        /* Set by the scaler. */
        char *spec;            /* name of the spec that it matched */
        char *instance_type;   /* where its ladder starts */
        int64_t tries;         /* how often it was parked for capacity */
        int64_t waits;         /* how often it was parked for another reason, one after the other */
        int64_t paced;         /* not 0: it has waited in line, to keep the pace */
        int64_t asked_ms;      /* when GitHub said that it waits, as it was admitted; 0: it was not
                                  asked */
        int64_t limited;       /* how often it was sent to wait at a limit of machines */
        int64_t told_of;       /* why people were told that it waits: a park_reason and 1; 0: not */
        int64_t offer;         /* index of the offer where the next try begins */
        char *left_out;        /* the pools that the next try does not ask for: see pools.h */
        int64_t launch;        /* which launch for it this is, from 0 on: see launch_name.h */
        int64_t relaunches;    /* of them, those whose machine ended without having run a job, */
        int64_t in_vain;       /* and those whose runner listened until its idle limit */
        int64_t missing;       /* how often GitHub did not know it, one time after the other */
        int64_t sends;         /* how often this launch was sent to queued.fifo before */
        int64_t stale;         /* not 0: time has passed since GitHub queued it; see recall.h */
        int64_t not_before_ms; /* parked until then; 0: until its message comes */
        int64_t watches;       /* how often its watch came before */
        int64_t burst_ends_ms; /* of a watch that a burst put off: when that is over for this job;
                                  0: none did */
        char *instance;      /* of a launched job and a watch: the machine of its launch; of a lost
                                job: its own */
        char *machine_type;  /* of a launched job: the type of its machine, */
        char *account;       /* who owns that, */
        int64_t adopted;     /* and whether an earlier try launched it */
        char *bucket;        /* of both: where that machine looks for its hand-over; NULL: in SSM */
        int64_t launched_ms; /* of both: when it was launched, or found */
        int64_t lost_ms;     /* of a lost job: when we heard of it */
        int64_t asked;       /* of a lost job: its re-run was asked for, without an answer */
        char *machines;      /* of a lost job: "/i-1/i-2/", the machines of its run that EC2 took
                                back */
};

void job_release(struct job *job);

/* Reads the body of a workflow_job delivery: 0, or -EBADMSG with the member that is wrong. Pure. */
int job_from_delivery(const cJSON *body, struct job *ret, struct err *err);

/* As a queue message, and back; the message's text is the caller's to free. Pure. */
char *job_print(const struct job *job);
int job_parse(const char *text, size_t size, struct job *ret, struct err *err);

/* What the hand-over says of the job. Borrows the strings. */
struct handover_job job_for_handover(const struct job *job);

/* Where a runner of SPEC for the job is registered: "orgs/ORG" or "repos/OWNER/REPO". */
void job_scope(const struct job *job, const struct config_spec *spec,
        char scope[static GITHUB_SCOPE_SIZE]);

/* -- shared by job.c and job_members.c -- */

/* Reads the members that a delivery and a message have in common from OBJECT, which is one of them,
 * into JOB, which is empty: 0, or -EBADMSG. The caller releases JOB, also on failure. */
int job_read_members(const cJSON *object, bool delivery, struct job *job, struct err *err);
/* Adds them to OBJECT, a message. */
void job_print_members(const struct job *job, cJSON *object);
