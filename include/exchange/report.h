/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reports: what an agent says about its machine and job, in EventBridge events that the scaler's
 * handler `instance` reads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/err.h"
#include "handover.h"

#define REPORT_SOURCE "scale-agent.runner"
#define REPORT_DETAIL_TYPE "Runner Report"

enum report_stage {
        REPORT_READY, /* the runner listens for jobs */
        REPORT_IDLE,  /* no job came within the idle limit: it can be deregistered */
        REPORT_JOB_STARTED,
        REPORT_FINISHED,    /* a job ran to its end, whatever its result */
        REPORT_FAILED,      /* no job ran, or the runner or agent failed: see the reason */
        REPORT_INTERRUPTED, /* by a spot notice, SIGTERM (a shutdown) or a person */
        REPORT_STAGES,
};

/* Moments of a machine's life as the agent sees it; epoch milliseconds, 0 = not yet. */
enum report_time {
        REPORT_TIME_KERNEL,         /* the kernel started */
        REPORT_TIME_AGENT,          /* the agent started */
        REPORT_TIME_IDENTIFIED,     /* metadata read */
        REPORT_TIME_RECEIVED,       /* hand-over read */
        REPORT_TIME_RUNNER_STARTED, /* the runner's process started */
        REPORT_TIME_LISTENING,      /* "Listening for Jobs" */
        REPORT_TIME_JOB_STARTED,
        REPORT_TIME_JOB_FINISHED,
        REPORT_TIME_FINISHED, /* this report */
        REPORT_TIMES,
};

/* The runner's exit code when GitHub no longer accepts its version (RunnerVersionDeprecated in
 * src/Runner.Common/Constants.cs of actions/runner). No machine of the same image can run a job. */
#define REPORT_EXIT_VERSION_REFUSED 7

struct report {
        enum report_stage stage;
        char *prefix; /* owned, as all strings here */
        char *instance_id;
        char *instance_type;
        char *zone;
        char *reason; /* on failed and interrupted */
        char *ticket; /* of the hand-over, as it was there */
        char *spec;   /* from here on: absent without a hand-over */
        char *scope;
        int64_t runner_id;
        bool hand_over_deleted;  /* by the agent: nothing is left of it */
        struct handover_job job; /* id 0: none */
        char *job_name;          /* of the job that ran, as the runner printed it */
        char *result;      /* "Succeeded", "Failed", "Canceled", … as the runner printed it */
        int64_t exit_code; /* of the runner; -1: it has not exited */
        struct handover_times before;
        int64_t times[REPORT_TIMES];
};

void report_release(struct report *report);

const char *report_stage_name(enum report_stage stage);

/* The event's detail as JSON text; the caller frees. */
char *report_print(const struct report *report);

/* Reads an event's detail: 0, or -EBADMSG (RET is untouched then). Pure. */
int report_parse(const cJSON *detail, struct report *ret, struct err *err);
