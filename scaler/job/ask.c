/* SPDX-License-Identifier: MIT */

/*
 * One GET for each job, all at the same time.
 */

#include "ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "github/github.h"

static const struct {
        const char *name;
        /* GitHub's own words for it.
         * https://docs.github.com/en/rest/actions/workflow-jobs: status */
        const char *statuses[4];
} states[] = {
        [JOB_STATE_UNKNOWN] = {"unknown", {NULL}},
        [JOB_STATE_QUEUED] = {"queued", {"queued", NULL}},
        [JOB_STATE_HELD] = {"held", {"waiting", "pending", "requested", NULL}},
        [JOB_STATE_RUNS] = {"runs", {"in_progress", NULL}},
        [JOB_STATE_ENDED] = {"ended", {"completed", NULL}},
};

const char *job_state_name(enum job_state state)
{
        return states[state].name;
}

static enum job_state state_of(const char *status)
{
        for (size_t i = 0; i < ARRAY_SIZE(states); i++)
                for (const char *const *word = states[i].statuses; *word; word++)
                        if (strcmp(status, *word) == 0)
                                return (enum job_state)i;
        return JOB_STATE_HELD; /* a status that GitHub has added: nothing is launched for it */
}

/* A hand-over names no labels, so neither does a job that was given back. */
static void take_labels(struct job *job, struct github_job *found)
{
        if (job->n_labels > 0)
                return;
        free(job->labels);
        job->labels = MEM_STEAL(found->labels);
        job->n_labels = found->n_labels;
        found->n_labels = 0;
}

static void on_answer(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(github_job_release) struct github_job found = {0};
        struct question *question = userdata;
        struct err err;
        int r = github_get_job_answer(call, &found, &err);

        token_note_result(
                question->scaler, question->tokens->github, question->job->installation, r);
        if (r == GITHUB_NOT_FOUND) {
                question->state = JOB_STATE_ENDED;
        } else if (r < 0) {
                question->setback = setback_by_github(
                        question->scaler, question->job->installation, call, r, &err);
        } else {
                question->state = state_of(found.status);
                take_labels(question->job, &found);
        }
}

static void on_token(void *userdata, const struct setback *setback)
{
        struct question *question = userdata;
        const struct job *job = question->job;
        struct http_call *call;

        if (setback) {
                question->setback = *setback;
                return;
        }
        call = github_get_job(
                question->tokens->github, job->installation, job->repository, job->id);
        call->done = on_answer;
        call->userdata = question;
        scaler_start(question->scaler, call);
}

void ask_start(struct question *question)
{
        question->state = JOB_STATE_UNKNOWN;
        token_requests_add(question->tokens, question->job->installation);
        token_requests_await(question->tokens, question->job->installation, on_token, question);
}
