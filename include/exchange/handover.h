/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The hand-over: the document that the scaler leaves for one machine in the SSM parameter
 * PREFIX/runners/INSTANCE, for the agent to read. It holds the runner's JIT configuration, the job
 * that the machine was launched for, its limits, and the times so far.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/err.h"

/* The tag of the parameter that names the one instance which may read it. */
#define HANDOVER_TAG "scale-agent:instance"

/* The job that a machine was launched for. GitHub may give it another with the same labels. */
struct handover_job {
        int64_t id;
        int64_t run_id;
        int64_t attempt;
        int64_t installation; /* 0: none */
        int64_t launch;       /* which launch for it this is, from 0 on */
        int64_t relaunches;   /* how many machines for it ended without running a job */
        int64_t offer;        /* index of the offer that the machine came from */
        char *repository;     /* "OWNER/REPO"; owned, as all strings here */
        char *name;
        char *url;
        char *instance_type; /* the first rung of its ladder */
};

/* Epoch milliseconds, 0 = not yet. */
struct handover_times {
        int64_t queued;      /* GitHub queued the job */
        int64_t webhook;     /* its delivery arrived */
        int64_t launched;    /* RunInstances answered */
        int64_t handed_over; /* the parameter was written */
};

struct handover {
        char *jit_config; /* secret */
        char *prefix;
        char *spec;
        char *scope;  /* "repos/OWNER/REPO" or "orgs/ORG" */
        char *ticket; /* opaque, and not empty; comes back in each report. NULL: none */
        int64_t runner_id;
        int64_t idle_limit_seconds; /* without a job for so long: it is idle */
        int64_t job_limit_seconds;  /* a job longer than this is stopped */
        struct handover_job job;
        struct handover_times times;
};

void handover_release(struct handover *handover);

/* Whether TEXT may be the prefix of our parameters. SSM keeps names that begin with "aws" or "ssm"
 * for itself, and takes paths of 15 parts, of which two are ours.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html */
bool handover_is_prefix(const char *text);
#define HANDOVER_PREFIX_MAX 200
/* For errors: what is needed. */
#define HANDOVER_PREFIX_NEEDED                                                   \
        ("an SSM path such as /scale-agent (at most 200 letters, digits, _ . - " \
         "in at most 13 parts, the first not beginning with aws or ssm)")

/* The parameter's name; the caller frees. */
char *handover_parameter(const char *prefix, const char *instance);

/* The parameter's value, which is secret; the caller frees. */
char *handover_print(const struct handover *handover);

/* Reads a parameter's value: 0, or -EBADMSG (RET is untouched then). Pure. */
int handover_parse(const char *text, size_t size, struct handover *ret, struct err *err);

/* Shared with reports: the job as a JSON object, and back. A job without an id is an error. */
cJSON *handover_job_print(const struct handover_job *job);
int handover_job_parse(const cJSON *object, struct handover_job *ret, struct err *err);
void handover_job_release(struct handover_job *job);
