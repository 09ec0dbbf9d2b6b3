/* SPDX-License-Identifier: MIT */

/*
 * One GET for each job, or for each run of which several are asked for, all at the same time. A job
 * that a run's first hundred does not show is asked for by itself, and so are those of a run that
 * GitHub does not know.
 */

#include "ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "github/github.h"
#include "github/runs.h"
#include "known_jobs.h"
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

static enum job_state state_of(const char *status)
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

/* A hand-over names no labels, so neither does a job that was given back. */
static void take_labels(struct job *job, char ***labels, size_t *n_labels)
{
        if (job->n_labels > 0)
                return;
        free(job->labels);
        job->labels = MEM_STEAL(*labels);
        job->n_labels = *n_labels;
        *n_labels = 0;
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
        pace_note_hour(question->scaler, question->job->installation, call);
        if (r == GITHUB_NOT_FOUND) {
                question->state = ask_is_deleted(question->job) ? JOB_STATE_ENDED : JOB_STATE_HELD;
        } else if (r < 0) {
                question->setback = setback_by_github(
                        question->scaler, question->job->installation, call, r, &err);
        } else {
                question->job->missing = 0;
                question->state = state_of(found.status);
                question->asked_ms = clock_wall_ms(question->scaler->clock);
                memcpy(question->runner, found.runner, sizeof(question->runner));
                take_labels(question->job, &found.labels, &found.n_labels);
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

/* Whether GitHub would refuse: then QUESTION has its setback. */
static bool is_used_up(struct question *question)
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
        if (is_used_up(question))
                return;
        token_requests_add(question->tokens, question->job->installation);
        token_requests_await(question->tokens, question->job->installation, on_token, question);
}

/* -- by run -- */

/* The questions about jobs of one attempt of a run. */
struct run_question {
        size_t n;
        struct question *questions[];
};

/* Whether they are told of by one call. */
static bool are_of_one_run(const struct job *a, const struct job *b)
{
        return a->run_id > 0 && a->run_id == b->run_id && a->attempt == b->attempt &&
               a->installation == b->installation && strcmp(a->repository, b->repository) == 0;
}

/* Notes all that the answer tells, since others may be asked for soon. */
static void note_answer(struct scaler *scaler, const struct github_run_jobs *found)
{
        for (size_t i = 0; i < found->count; i++)
                if (found->items[i].status[0])
                        known_jobs_note(
                                scaler, found->items[i].id, state_of(found->items[i].status));
}

static bool take_answer(struct question *question, struct github_run_jobs *found)
{
        for (size_t i = 0; i < found->count; i++) {
                struct github_run_job *job = &found->items[i];

                if (job->id != question->job->id || !job->status[0])
                        continue;
                question->job->missing = 0;
                question->state = state_of(job->status);
                question->asked_ms = clock_wall_ms(question->scaler->clock);
                memcpy(question->runner, job->runner, sizeof(question->runner));
                take_labels(question->job, &job->labels, &job->n_labels);
                return true;
        }
        return false;
}

static void on_run(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(github_run_jobs_release) struct github_run_jobs found = {0};
        _cleanup_free_ struct run_question *run = userdata;
        struct question *first = run->questions[0];
        int64_t installation = first->job->installation;
        struct err err;
        int r = github_list_run_jobs_answer(call, &found, &err);

        token_note_result(first->scaler, first->tokens->github, installation, r);
        pace_note_hour(first->scaler, installation, call);
        note_answer(first->scaler, &found);
        for (size_t i = 0; i < run->n; i++) {
                if (r < 0 && call->status != 404)
                        run->questions[i]->setback =
                                setback_by_github(first->scaler, installation, call, r, &err);
                else if (!take_answer(run->questions[i], &found))
                        ask_start(run->questions[i]);
        }
}

static void on_token_for_run(void *userdata, const struct setback *setback)
{
        struct run_question *run = userdata;
        const struct question *first = run->questions[0];
        struct http_call *call;

        if (setback) {
                for (size_t i = 0; i < run->n; i++)
                        run->questions[i]->setback = *setback;
                free(run);
                return;
        }
        call = github_list_run_jobs(first->tokens->github, first->job->installation,
                first->job->repository,
                &(const struct github_run){
                        .id = first->job->run_id, .attempt = first->job->attempt},
                1);
        call->done = on_run;
        call->userdata = run;
        scaler_start(first->scaler, call);
}

/* A job that has ended stays so; of one that has no labels, they are asked for as well. */
static bool is_known(struct question *question)
{
        int64_t since_ms = 0;
        enum job_state state = known_job(question->scaler, question->job->id, &since_ms);

        if (question->known_since_ms == 0 || question->job->n_labels == 0 ||
                state == JOB_STATE_UNKNOWN || state == JOB_STATE_HELD ||
                (state != JOB_STATE_ENDED && since_ms < question->known_since_ms))
                return false;
        question->state = state;
        question->asked_ms = since_ms;
        return true;
}

void ask_start_all(struct question *const *questions, size_t n)
{
        _cleanup_free_ bool *is_asked = mem_alloc((n + 1) * sizeof(bool));

        for (size_t i = 0; i < n; i++) {
                questions[i]->state = JOB_STATE_UNKNOWN;
                is_asked[i] = is_known(questions[i]) || is_used_up(questions[i]);
        }
        for (size_t i = 0; i < n; i++) {
                struct run_question *run;

                if (is_asked[i])
                        continue;
                run = mem_alloc(sizeof(*run) + (n - i) * sizeof(struct question *));
                for (size_t j = i; j < n; j++) {
                        if (j > i && (is_asked[j] ||
                                             !are_of_one_run(questions[i]->job, questions[j]->job)))
                                continue;
                        is_asked[j] = true;
                        run->questions[run->n++] = questions[j];
                }
                if (run->n == 1 &&
                        (questions[i]->known_since_ms == 0 || questions[i]->job->run_id == 0)) {
                        free(run);
                        ask_start(questions[i]);
                        continue;
                }
                token_requests_add(questions[i]->tokens, questions[i]->job->installation);
                token_requests_await(questions[i]->tokens, questions[i]->job->installation,
                        on_token_for_run, run);
        }
}
