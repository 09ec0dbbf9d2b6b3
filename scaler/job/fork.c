/* SPDX-License-Identifier: MIT */

/*
 * One GET for each run, all at the same time.
 */

#include "fork.h"

#include <errno.h>
#include <stdio.h>

#include "github/runs.h"
#include "queue/tell_people.h"

/* Where a run comes from never changes; this only bounds what is kept. */
#define KEEP_MS (24 * 60 * 60 * MSEC_PER_SEC)

/* -- what is known -- */

#define KEY_SIZE 48

/* Ids of runs are unique at GitHub. */
static const char *key_of(enum fork_verdict verdict, int64_t run, char key[static KEY_SIZE])
{
        snprintf(key, KEY_SIZE, "%s %lld", verdict == FORK_YES ? "fork" : "own", (long long)run);
        return key;
}

static bool is_known(const struct scaler *scaler, enum fork_verdict verdict, int64_t run)
{
        char key[KEY_SIZE];

        return recent_has(
                &scaler->runs, key_of(verdict, run, key), clock_monotonic_ms(scaler->clock));
}

static void remember(struct scaler *scaler, enum fork_verdict verdict, int64_t run)
{
        char key[KEY_SIZE];

        recent_note(&scaler->runs, key_of(verdict, run, key),
                clock_monotonic_ms(scaler->clock) + KEEP_MS);
}

bool fork_needs_check(const struct config *config, const struct job *job)
{
        const char *type = job->instance_type;
        const struct config_spec *spec;

        if (!job->is_public)
                return false;
        spec = config_rematch(
                config, job->spec, (const char *const *)job->labels, job->n_labels, &type);
        return !spec || !config_spec_allows_forks(spec);
}

/* -- asking -- */

static void conclude(
        struct fork_check *check, enum fork_verdict verdict, const struct setback *setback)
{
        for (; check; check = check->next) {
                check->verdict = verdict;
                if (setback)
                        check->setback = *setback;
        }
}

static void on_answer(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct fork_check *check = userdata;
        int64_t installation = check->job->installation;
        struct github_run run;
        struct setback setback;
        struct err err;
        int r = github_get_run_answer(call, &run, &err);

        token_note_result(check->scaler, check->tokens->github, installation, r);
        if (r == GITHUB_NOT_FOUND) {
                conclude(check, FORK_UNKNOWN, NULL);
        } else if (r < 0) {
                setback = setback_by_github(check->scaler, installation, call, r, &err);
                conclude(check, FORK_UNKNOWN, &setback);
        } else if (run.repository == 0 || run.head_repository != run.repository) {
                conclude(check, FORK_YES, NULL);
        } else {
                remember(check->scaler, FORK_NO, check->job->run_id);
                conclude(check, FORK_NO, NULL);
        }
}

static void on_token(void *userdata, const struct setback *setback)
{
        struct fork_check *check = userdata;
        const struct job *job = check->job;
        struct http_call *call;

        if (setback) {
                conclude(check, FORK_UNKNOWN, setback);
                return;
        }
        call = github_get_run(
                check->tokens->github, job->installation, job->repository, job->run_id);
        call->done = on_answer;
        call->userdata = check;
        scaler_start(check->scaler, call);
}

/* Whether launches pause anyway for the job's installation: then GitHub is not asked about the
 * run. */
static bool is_paused(struct fork_check *check)
{
        struct setback setback = {.result = -EAGAIN, .passing = true, .by_github = true};

        setback.until_ms = setback_pause_until(check->scaler, check->job->installation);
        if (setback.until_ms == 0)
                return false;
        err_set(&setback.err, -EAGAIN,
                "GitHub fails or limits calls at the moment, so it was not asked "
                "whether the job's run comes from a fork");
        conclude(check, FORK_UNKNOWN, &setback);
        return true;
}

static void ask(struct fork_check *check)
{
        int64_t run = check->job->run_id;

        if (is_known(check->scaler, FORK_YES, run)) {
                conclude(check, FORK_YES, NULL);
        } else if (is_known(check->scaler, FORK_NO, run)) {
                conclude(check, FORK_NO, NULL);
        } else if (!is_paused(check)) {
                conclude(check, FORK_UNKNOWN, NULL);
                token_requests_add(check->tokens, check->job->installation);
                token_requests_await(check->tokens, check->job->installation, on_token, check);
        }
}

static bool is_of_run(const struct fork_check *check, const struct job *job)
{
        return check->job->run_id == job->run_id && check->job->installation == job->installation;
}

/* Adds checks[i] to the first one of its run; false when it is that itself. */
static bool join_first(struct fork_check *const *checks, size_t i)
{
        for (size_t j = 0; j < i; j++) {
                if (!is_of_run(checks[j], checks[i]->job))
                        continue;
                checks[i]->next = checks[j]->next;
                checks[j]->next = checks[i];
                return true;
        }
        return false;
}

void fork_check_jobs(struct scaler *scaler, struct token_requests *tokens,
        struct fork_check *const *checks, size_t n_checks)
{
        _cleanup_free_ bool *joined = mem_alloc(n_checks * sizeof(bool));

        for (size_t i = 0; i < n_checks; i++) {
                *checks[i] = (struct fork_check){
                        .job = checks[i]->job, .scaler = scaler, .tokens = tokens};
                joined[i] = join_first(checks, i);
        }
        for (size_t i = 0; i < n_checks; i++)
                if (!joined[i])
                        ask(checks[i]);
}

/* -- refusing -- */

static int tell_refused(struct scaler *scaler, const struct job *job, struct err *err)
{
        struct notification notification = {
                .severity = NOTIFICATION_INFO,
                .text = "Its run comes from a fork, and its spec launches no machine for code that "
                        "anybody may have written. The job stays queued on GitHub for up to 24 "
                        "hours. Cancel the run, or push its branch to the repository itself if it "
                        "is to run.",
                .url = job->url,
        };
        char title[200];
        char key[KEY_SIZE];

        snprintf(title, sizeof(title), "A fork's pull request gets no machine in %s",
                job->repository);
        notification.title = title;
        notification.key = key_of(FORK_YES, job->run_id, key);
        notification_fact(&notification, "Job", job->name);
        notification_fact(&notification, "Repository", job->repository);
        notification_fact(&notification, "Spec", job->spec);
        return tell_people(scaler, &notification, err);
}

int fork_refuse_job(struct scaler *scaler, const struct job *job, struct err *err)
{
        static const struct metric metrics[] = {{"ForkJobsRefused", METRIC_COUNT, 1}};
        const struct log_field properties[] = {
                LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository),
        };
        int r;

        if (!is_known(scaler, FORK_YES, job->run_id)) {
                r = tell_refused(scaler, job, err);
                if (r < 0)
                        return r;
                remember(scaler, FORK_YES, job->run_id);
        }
        log_warning(&scaler->log, "job refused: its run comes from a fork",
                LOG_NUMBER("job", job->id), LOG_TEXT("repository", job->repository),
                LOG_TEXT("spec", job->spec), LOG_NUMBER("run", job->run_id));
        scaler_emit_metrics(scaler, job->spec, metrics, ARRAY_SIZE(metrics), properties,
                ARRAY_SIZE(properties));
        return 0;
}
