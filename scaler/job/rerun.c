/* SPDX-License-Identifier: MIT */

/*
 * Runs lost jobs again: one message after the other, and for each one step after the other, since
 * losses are rare. A step either leads to the next one or ends the message: it was sent again,
 * people were told, or there is nothing to do. A passing refusal of GitHub's sends the message
 * again; a final one is told at once.
 *
 * Nothing here is remembered. When a message comes twice, or a run has several lost jobs, GitHub
 * shows that the run has a later attempt by then, or is running again. An earlier attempt than the
 * message's means that GitHub answered from a copy that lags behind, and is asked again.
 */

#include "rerun.h"

#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "rerun_steps.h"

/* A run with more jobs is left to people. */
#define PAGES_MAX 20
/* Looks that a run gets when EC2 may have forgotten other losses: their own messages know them. */
#define DOUBTS_MAX 2

static void rerun_release(struct rerun *rerun)
{
        token_requests_release(&rerun->tokens);
        github_run_jobs_release(&rerun->jobs);
        free(rerun->evidence);
        free(rerun->classes);
}

/* -- what is known -- */

static int open_dependencies(struct rerun *rerun, struct err *err)
{
        int r = scaler_config(rerun->scaler, &rerun->config, err);

        if (r == 0)
                r = scaler_aws(rerun->scaler, &rerun->aws, err);
        if (r == 0)
                r = token_requests_init(&rerun->tokens, rerun->scaler, err);
        if (r == 0 && !config_allows_repository(rerun->config, rerun->job->repository))
                return rerun_end_quietly(
                        rerun, "the repository of a lost job is not configured any more");
        rerun->github = rerun->tokens.github;
        return r;
}

static int get_token(struct rerun *rerun, struct err *err)
{
        const struct setback *setback;

        token_requests_add(&rerun->tokens, rerun->job->installation);
        http_finish(scaler_http(rerun->scaler));
        setback = token_requests_setback(&rerun->tokens, rerun->job->installation);
        return setback ? rerun_end_by_setback(rerun, setback, err) : 0;
}

/* The run has another attempt. We may have asked for it ourselves and lost the answer: then people
 * are told. */
static int end_by_another_attempt(struct rerun *rerun, const char *why, struct err *err)
{
        return rerun->job->asked ? rerun_tell(rerun, NULL, err) : rerun_end_quietly(rerun, why);
}

static int read_run(struct rerun *rerun, struct err *err)
{
        const struct job *job = rerun->job;
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(rerun->scaler,
                github_get_run(rerun->github, job->installation, job->repository, job->run_id));
        int r = rerun_judge(rerun, call, github_get_run_answer(call, &rerun->run, err), err);

        if (r == GITHUB_NOT_FOUND)
                return ask_is_deleted(rerun->job)
                               ? rerun_end_quietly(rerun, "the run of a lost job is gone")
                               : rerun_look_again(
                                         rerun, "GitHub does not know the run of a lost job", err);
        if (r != 0)
                return r;
        if (rerun->run.attempt < job->attempt)
                return rerun_look_again(
                        rerun, "GitHub does not know the attempt of a lost job yet", err);
        if (rerun->run.attempt > job->attempt)
                return end_by_another_attempt(
                        rerun, "the run of a lost job has another attempt already", err);
        if (strcmp(rerun->run.status, "completed") == 0)
                return 0;
        rerun->job->missing = 0;
        return rerun_look_again(rerun, "the run of a lost job has not ended yet", err);
}

/* Whether the list has the lost job itself: without it, nothing follows from the others. */
static int find_lost_job(struct rerun *rerun, struct err *err)
{
        for (size_t i = 0; i < rerun->jobs.count; i++)
                if (rerun->jobs.items[i].id == rerun->job->id) {
                        rerun->job->missing = 0;
                        return 0;
                }
        return ask_is_deleted(rerun->job)
                       ? rerun_end_quietly(rerun, "a lost job is gone from its run")
                       : rerun_look_again(rerun, "GitHub does not list a lost job in its run", err);
}

static int read_jobs(struct rerun *rerun, struct err *err)
{
        const struct job *job = rerun->job;
        struct github_run_jobs *jobs = &rerun->jobs;
        size_t before = 0;

        for (unsigned page = 1; page <= PAGES_MAX; page++, before = jobs->count) {
                _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                        rerun->scaler, github_list_run_jobs(rerun->github, job->installation,
                                               job->repository, &rerun->run, page));
                int r = rerun_judge(rerun, call, github_list_run_jobs_answer(call, jobs, err), err);

                if (r != 0)
                        return r;
                if (jobs->count == before || (int64_t)jobs->count >= jobs->total)
                        return find_lost_job(rerun, err);
        }
        return rerun_tell(rerun, "their run has too many jobs to look at", err);
}

/* -- what follows -- */

static int decide(struct rerun *rerun, struct err *err)
{
        static const char *const reasons[] = {
                [RERUN_PEOPLE] = "several jobs were lost, and others failed by themselves",
                [RERUN_NEVER] = "their spec says \"rerun\": \"never\", or no spec takes them",
                [RERUN_LIMIT] = "the run was run again as often as max_reruns of their spec allows",
        };
        struct rerun_decision *decision = &rerun->decision;

        rerun->classes = mem_alloc((rerun->jobs.count + 1) * sizeof(*rerun->classes));
        *decision = rerun_decide(
                rerun->config, &rerun->jobs, rerun->evidence, rerun->run.attempt, rerun->classes);
        switch (decision->verdict) {
        case RERUN_NOTHING:
                return rerun_end_quietly(rerun, "a lost job has ended well all the same");
        case RERUN_ONE:
        case RERUN_PEOPLE:
                if (decision->n_forgotten > 0 && rerun->job->waits < DOUBTS_MAX) {
                        rerun->job->waits++;
                        return rerun_look_again(rerun, "EC2 may have forgotten other losses", err);
                }
                return decision->verdict == RERUN_ONE
                               ? 0
                               : rerun_tell(rerun, reasons[RERUN_PEOPLE], err);
        case RERUN_NEVER:
        case RERUN_LIMIT:
                return rerun_tell(rerun, reasons[decision->verdict], err);
        case RERUN_ALL_FAILED:
        default:
                return 0;
        }
}

static int look_for_newer(struct rerun *rerun, struct err *err)
{
        const struct job *job = rerun->job;
        _cleanup_(github_runs_release) struct github_runs runs = {0};
        _cleanup_(http_call_freep) struct http_call *call =
                scaler_call(rerun->scaler, github_list_runs_like(rerun->github, job->installation,
                                                   job->repository, &rerun->run));
        int r = rerun_judge(rerun, call, github_list_runs_answer(call, &runs, err), err);

        if (r != 0)
                return r;
        for (size_t i = 0; i < runs.count; i++) {
                if (runs.items[i].id == rerun->run.id && runs.items[i].attempt > job->attempt)
                        return end_by_another_attempt(
                                rerun, "the run of a lost job was run again just now", err);
                if (rerun_is_superseded(&rerun->run, &runs.items[i]))
                        return rerun_tell(
                                rerun, "there is a newer run of this workflow on this branch", err);
        }
        return 0;
}

static void emit_rerun(const struct rerun *rerun)
{
        const struct metric metric = {"Reruns", METRIC_COUNT, 1};
        const struct log_field properties[] = {
                LOG_NUMBER("run", rerun->job->run_id),
                LOG_TEXT("repository", rerun->job->repository),
        };

        scaler_emit_metrics(
                rerun->scaler, rerun->job->spec, &metric, 1, properties, ARRAY_SIZE(properties));
}

static int run_again(struct rerun *rerun, struct err *err)
{
        struct job *job = rerun->job;
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                rerun->scaler, rerun->decision.verdict == RERUN_ONE
                                       ? github_rerun_job(rerun->github, job->installation,
                                                 job->repository, rerun->decision.job)
                                       : github_rerun_failed_jobs(rerun->github, job->installation,
                                                 job->repository, job->run_id));
        int r = github_rerun_answer(call, err);

        if (call->result < 0 || call->status >= 500)
                job->asked = 1; /* GitHub may have done it */
        switch (r) {
        case 0:
                emit_rerun(rerun);
                return rerun_tell(rerun, NULL, err);
        case GITHUB_RUN_ACTIVE:
                return rerun_look_again(rerun, "the run of a lost job is running", err);
        case GITHUB_NO_PERMISSION:
                return rerun_tell(rerun,
                        "the App or token needs the repository permission \"Actions: read and "
                        "write\" (a change must be accepted for the installation)",
                        err);
        case GITHUB_NOT_FOUND:
                return rerun_tell(rerun,
                        "GitHub does not find what is to run again: it was deleted just now, or "
                        "the App or token may not write there",
                        err);
        default:
                return rerun_judge(rerun, call, r, err);
        }
}

int rerun_lost_job(struct scaler *scaler, struct job *job, struct err *err)
{
        static int (*const steps[])(struct rerun * rerun, struct err * err) = {
                open_dependencies,
                get_token,
                rerun_find_losses,
                read_run,
                read_jobs,
                rerun_explain_failures,
                decide,
                look_for_newer,
                run_again,
        };
        _cleanup_(rerun_release) struct rerun rerun = {.scaler = scaler, .job = job};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
                r = steps[i](&rerun, err);
        return r < 0 ? err_prefix(err, r, "lost job %lld of run %lld", (long long)job->id,
                               (long long)job->run_id)
                     : 0;
}
