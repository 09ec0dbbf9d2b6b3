/* SPDX-License-Identifier: MIT */

/*
 * Several jobs: one GET for each run of which several are asked for, or of which others will be
 * asked for soon; all runs at the same time. A run that has more than a hundred jobs has pages, and
 * they are turned as long as that takes no more calls than asking for each job by itself. So is
 * asked what no page has shown, and the jobs of a run that GitHub does not know, or whose list
 * takes it too long, as that of a large run may for hours.
 */

#include "ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "github/github.h"
#include "github/runs.h"
#include "known_jobs.h"
#include "pace.h"

#define PAGES_MAX 10

/* The questions about jobs of one attempt of a run, which no page has answered yet. */
struct run_question {
        unsigned page;
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
                                scaler, found->items[i].id, job_state_of(found->items[i].status));
}

static bool take_answer(struct question *question, struct github_run_jobs *found)
{
        for (size_t i = 0; i < found->count; i++) {
                struct github_run_job *job = &found->items[i];

                if (job->id != question->job->id || !job->status[0])
                        continue;
                question->job->missing = 0;
                question->state = job_state_of(job->status);
                question->asked_ms = clock_wall_ms(question->scaler->clock);
                memcpy(question->runner, job->runner, sizeof(question->runner));
                ask_take_labels(question->job, &job->labels, &job->n_labels);
                return true;
        }
        return false;
}

static void ask_page(struct run_question *run);

/* Whether to ask for the next page of a run that has TOTAL jobs: where that takes fewer calls than
 * to ask for the jobs that are left one by one, or where the answer serves others of the run, whose
 * turn comes soon. */
static bool turns_page(const struct run_question *run, int64_t total)
{
        int64_t pages = (total + GITHUB_JOBS_PER_PAGE - 1) / GITHUB_JOBS_PER_PAGE;
        int64_t left = pages - run->page;

        return run->n > 0 && left > 0 && run->page < PAGES_MAX &&
               (run->questions[0]->known_since_ms > 0 || (int64_t)run->n >= left);
}

static void refuse_all(const struct run_question *run, const struct setback *setback)
{
        for (size_t i = 0; i < run->n; i++)
                run->questions[i]->setback = *setback;
}

static void take_answers(struct run_question *run, struct github_run_jobs *found)
{
        size_t n = 0;

        for (size_t i = 0; i < run->n; i++)
                if (!take_answer(run->questions[i], found))
                        run->questions[n++] = run->questions[i];
        run->n = n;
}

/* A passing failure of the first job's question holds for all jobs of the run. After an answer, or
 * a final refusal, each of the others is asked for by itself. */
static void on_first(struct http_call *answered, void *userdata)
{
        _cleanup_free_ struct run_question *run = userdata;
        const struct setback *setback = &run->questions[0]->setback;

        ask_take_answer(run->questions[0], answered);
        for (size_t i = 1; i < run->n; i++) {
                if (setback->passing)
                        run->questions[i]->setback = *setback;
                else
                        ask_start(run->questions[i]);
        }
}

/* Takes RUN over. The first job shows whether GitHub tells of others than such a list. */
static void ask_first(struct run_question *run)
{
        struct http_call *call = ask_call(run->questions[0]);

        call->done = on_first;
        call->userdata = run;
        scaler_start(run->questions[0]->scaler, call);
}

/* GitHub says so with 5xx, after ten seconds or so. */
static bool takes_too_long(const struct http_call *call)
{
        return call->result == -ETIMEDOUT || (call->result >= 0 && call->status >= 500);
}

static void on_page(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(github_run_jobs_release) struct github_run_jobs found = {0};
        _cleanup_free_ struct run_question *run = userdata;
        const struct question *first = run->questions[0];
        int64_t installation = first->job->installation;
        struct err err;
        int r = github_list_run_jobs_answer(call, &found, &err);

        token_note_result(first->scaler, first->tokens->github, installation, r);
        pace_note_hour(first->scaler, installation, call);
        note_answer(first->scaler, &found);
        if (takes_too_long(call)) {
                ask_first(MEM_STEAL(run));
                return;
        }
        if (r < 0 && call->status != 404) {
                struct setback setback =
                        setback_by_github(first->scaler, installation, call, r, &err);

                refuse_all(run, &setback);
                return;
        }
        take_answers(run, &found);
        if (turns_page(run, found.total)) {
                ask_page(MEM_STEAL(run));
                return;
        }
        for (size_t i = 0; i < run->n; i++)
                ask_start(run->questions[i]);
}

/* Takes RUN over. */
static void ask_page(struct run_question *run)
{
        const struct question *first = run->questions[0];
        struct http_call *call = github_list_run_jobs(first->tokens->github,
                first->job->installation, first->job->repository,
                &(const struct github_run){
                        .id = first->job->run_id, .attempt = first->job->attempt},
                ++run->page);

        call->done = on_page;
        call->userdata = run;
        scaler_start(first->scaler, call);
}

static void on_token(void *userdata, const struct setback *setback)
{
        _cleanup_free_ struct run_question *run = userdata;

        if (setback)
                refuse_all(run, setback);
        else
                ask_page(MEM_STEAL(run));
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
                is_asked[i] = is_known(questions[i]) || ask_is_used_up(questions[i]);
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
                token_requests_await(
                        questions[i]->tokens, questions[i]->job->installation, on_token, run);
        }
}
