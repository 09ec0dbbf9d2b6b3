/* SPDX-License-Identifier: MIT */

/*
 * One GET for a job. For several, see ask_run.c.
 */

#include "ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "github/github.h"
#include "pace.h"

/* More than an hour, as messages are parked and sent again. */
#define MISSING_MAX 8

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

enum job_state job_state_of(const char *status)
{
        for (size_t i = 0; i < ARRAY_SIZE(states); i++)
                for (const char *const *word = states[i].statuses; *word; word++)
                        if (strcmp(status, *word) == 0)
                                return (enum job_state)i;
        return JOB_STATE_HELD; /* a status that GitHub has added: nothing is launched for it */
}

bool ask_is_deleted(struct job *job)
{
        return ++job->missing >= MISSING_MAX;
}

void ask_take_labels(struct job *job, char ***labels, size_t *n_labels)
{
        if (job->n_labels > 0)
                return;
        free(job->labels);
        job->labels = MEM_STEAL(*labels);
        job->n_labels = *n_labels;
        *n_labels = 0;
}

void ask_take_answer(struct question *question, struct http_call *answered)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(github_job_release) struct github_job found = {0};
        struct err err;
        int r = github_get_job_answer(call, &found, &err);

        token_note_result(
                question->scaler, question->tokens->github, question->job->installation, r);
        pace_note_hour(question->scaler, question->job->installation, call);
        if (r == GITHUB_NOT_FOUND) {
                question->state = ask_is_deleted(question->job) ? JOB_STATE_ENDED : JOB_STATE_HELD;
        } else if (r < 0) {
                question->setback = setback_by_github(
                        question->scaler, question->job->installation, call, r, &err);
        } else {
                question->job->missing = 0;
                question->state = job_state_of(found.status);
                question->asked_ms = clock_wall_ms(question->scaler->clock);
                memcpy(question->runner, found.runner, sizeof(question->runner));
                ask_take_labels(question->job, &found.labels, &found.n_labels);
        }
}

static void on_answer(struct http_call *answered, void *userdata)
{
        ask_take_answer(userdata, answered);
}

struct http_call *ask_call(const struct question *question)
{
        const struct job *job = question->job;

        return github_get_job(
                question->tokens->github, job->installation, job->repository, job->id);
}

static void on_token(void *userdata, const struct setback *setback)
{
        struct question *question = userdata;
        struct http_call *call;

        if (setback) {
                question->setback = *setback;
                return;
        }
        call = ask_call(question);
        call->done = on_answer;
        call->userdata = question;
        scaler_start(question->scaler, call);
}

bool ask_is_used_up(struct question *question)
{
        int64_t until_ms = pace_used_up_until(question->scaler, question->job->installation);
        struct setback *setback = &question->setback;

        if (until_ms == 0)
                return false;
        *setback = (struct setback){.result = -EAGAIN,
                .passing = true,
                .by_github = true,
                .is_limit = true,
                .until_ms = until_ms};
        err_set(&setback->err, -EAGAIN, "GitHub's limit of calls an hour is reached");
        return true;
}

void ask_start(struct question *question)
{
        question->state = JOB_STATE_UNKNOWN;
        if (ask_is_used_up(question))
                return;
        token_requests_add(question->tokens, question->job->installation);
        token_requests_await(question->tokens, question->job->installation, on_token, question);
}
