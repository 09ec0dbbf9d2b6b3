/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A job as it travels through the queues: made by `webhook` from GitHub's delivery, read by
 * `queued`, `in_progress` and `completed`.
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

enum job_action {
        JOB_QUEUED,
        JOB_IN_PROGRESS,
        JOB_COMPLETED,
        JOB_OTHER, /* waiting, and what GitHub may add */
};

struct job {
        enum job_action action;
        bool held; /* queued, but held back by an environment's gate */
        int64_t id;
        int64_t run_id;
        int64_t attempt;
        int64_t installation; /* 0: the webhook is not an App's */
        char *repository;     /* "OWNER/REPO"; owned, as all strings here */
        char *name;
        char *url;      /* for people */
        char *delivery; /* X-GitHub-Delivery */
        char **labels;  /* the job's runs-on */
        size_t n_labels;
        char *runner_name; /* NULL as long as no runner has it */
        int64_t runner_id; /* 0: none */
        char *conclusion;  /* of a completed job */
        int64_t queued_ms; /* epoch milliseconds; 0 = unknown */
        int64_t started_ms;
        int64_t completed_ms;
        int64_t webhook_ms; /* the delivery arrived */

        /* Set by the scaler. */
        char *spec;          /* name of the spec that it matched */
        char *instance_type; /* where its ladder starts */
        int64_t tries;       /* times that it was parked */
        int64_t relaunches;  /* machines that ended without having run a job for it */
        int64_t offer;       /* where on the ladder the next try goes on */
};

void job_release(struct job *job);

/* Reads the body of a workflow_job delivery: 0, or -EBADMSG with the member that is wrong. Pure. */
int job_from_delivery(const cJSON *body, struct job *ret, struct err *err);

/* As a queue message, and back; the message's text is the caller's to free. Pure. */
char *job_print(const struct job *job);
int job_parse(const char *text, size_t size, struct job *ret, struct err *err);

/* The part that a machine is told. Borrows the strings. */
struct handover_job job_for_handover(const struct job *job);

/* Where the job's runner is registered under SPEC: "orgs/ORG", or "repos/OWNER/REPO". */
void job_scope(const struct job *job, const struct config_spec *spec,
        char scope[static GITHUB_SCOPE_SIZE]);
