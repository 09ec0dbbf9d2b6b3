/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Inside of rerun.c: what its steps share. A step returns 0 if the next one follows, WAY_ENDS if
 * the message is done, or negative.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"
#include "github/runs.h"
#include "job.h"
#include "rerun_decide.h"
#include "scaler.h"
#include "setback.h"
#include "token_requests.h"

struct rerun {
        struct scaler *scaler;
        struct job *job;
        const struct config *config;
        struct aws *aws;
        struct token_requests tokens;
        struct github *github; /* borrowed from them */
        struct github_run run;
        struct github_run_jobs jobs;
        enum rerun_evidence *evidence; /* of each of them */
        enum rerun_class *classes;
        struct rerun_decision decision;
};

/* The result of a step after which the message is done. */
#define WAY_ENDS 1

/* -- how the way ends: rerun_end.c -- */

/* Ends the message, since there is nothing to do; WHY is logged. */
int rerun_end_quietly(struct rerun *rerun, const char *why);

/* Tells people that the lost jobs are not run again, for REASON, or that they are (NULL). */
int rerun_tell(struct rerun *rerun, const char *reason, struct err *err);

/* Sends the message again, to be looked at later; WHY is logged. */
int rerun_look_again(struct rerun *rerun, const char *why, struct err *err);

/* Ends the message because of SETBACK: a passing one sends it again, for a final one people are
 * told once. */
int rerun_end_by_setback(struct rerun *rerun, const struct setback *setback, struct err *err);

/* GitHub has answered CALL with R: a refusal ends the way, R is returned otherwise. */
int rerun_judge(struct rerun *rerun, const struct http_call *call, int r, struct err *err);

/* -- whose machines were lost: rerun_losses.c -- */

/* Notes in the job's message the machines of its run that EC2 shows to have taken back. */
int rerun_find_losses(struct rerun *rerun, struct err *err);

/* Asks EC2 about the machines of failed jobs, and sets the evidence of each job of the run. */
int rerun_explain_failures(struct rerun *rerun, struct err *err);
