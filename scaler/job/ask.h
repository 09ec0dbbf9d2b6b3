/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Asks GitHub whether jobs still wait. Which jobs wait is GitHub's truth: whatever is not fresh is
 * asked for before it is acted on.
 */

#include "job.h"
#include "scaler.h"
#include "setback.h"
#include "token_requests.h"

/* For logs: "queued", "runs", … */
const char *job_state_name(enum job_state state);

struct question {
        /* Set by the caller. */
        struct scaler *scaler;
        struct token_requests *tokens;
        struct job *job; /* gets its labels from GitHub, if it has none; its `missing` is counted */
        int64_t known_since_ms; /* wall clock: that GitHub said so since then is enough */

        /* Results. */
        enum job_state state;
        int64_t asked_ms; /* wall clock: when GitHub said that it is queued */
        char runner[64];  /* the name of the runner that has it, or had it; "" */
        struct setback setback;
};

/* Counts an answer by which GitHub knows neither JOB nor its run: whether it was deleted. That it
 * was takes several answers, one time after the other, since GitHub answers so in outages, and
 * where an App has no access to a repository for a while. Whoever finds it sets job->missing to 0.
 */
bool ask_is_deleted(struct job *job);

/* Starts; the caller drives the network (http_finish). QUESTION must live until then. */
void ask_start(struct question *question);

/* Starts several questions; one call asks for all jobs of one attempt of a run. */
void ask_start_all(struct question *const *questions, size_t n);

/* -- what both ways of asking share: one call for a job (ask.c), or for a run (ask_run.c) -- */

/* What GitHub's word for a job's status means. */
enum job_state job_state_of(const char *status);

/* Whether GitHub would refuse: then QUESTION has its setback. */
bool ask_is_used_up(struct question *question);

/* The call for the job of QUESTION by itself, and its answer, which is freed. */
struct http_call *ask_call(const struct question *question);
void ask_take_answer(struct question *question, struct http_call *answered);

/* Gives JOB its labels, if it has none. A hand-over names none, so neither does a job that was
 * given back. */
void ask_take_labels(struct job *job, char ***labels, size_t *n_labels);
