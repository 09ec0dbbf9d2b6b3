/* SPDX-License-Identifier: MIT */

/*
 * Asks GitHub for runs and their jobs, and has it run jobs again.
 */

#include "github/runs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "call.h"

/* A hundred jobs with their steps. */
#define ANSWER_LIMIT ((size_t)4 * 1024 * 1024)
#define RUNS_PER_PAGE 30

static struct http_call *new_call(struct github *github, int64_t installation, const char *what,
        const char *method, const char *repository)
{
        _cleanup_free_ char *scope = mem_format("repos/%s", repository);
        struct http_call *call =
                http_call_new(what, method, "%s/%s/actions", github->api_url, scope);

        if (!github_is_scope(scope))
                buf_clear(&call->url);
        github_call_prepare(call, github_any_token(github, installation));
        call->answer_limit = ANSWER_LIMIT;
        return call;
}

static void extend_url(struct http_call *call, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void extend_url(struct http_call *call, const char *format, ...)
{
        char rest[256];
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(rest, sizeof(rest), format, arguments);
        va_end(arguments);
        if (call->url.size > 0)
                buf_add_string(&call->url, rest);
}

static const struct github_advice advice[] = {
        {301, -ENOENT, "it was renamed or moved: use its present name"},
        {307, -ENOENT, "it was renamed or moved: use its present name"},
        {401, -EKEYREJECTED,
                "the token is not (or no longer) accepted: check the personal token, "
                "or for an App whether it was uninstalled or its permissions changed a moment ago"},
        {403, -EACCES,
                "the App or token needs the repository permission \"Actions\", or GitHub "
                "does not run this again"},
        {0},
};

static bool is_refused(const struct http_call *call)
{
        return call->result < 0 || call->status / 100 != 2;
}

static bool is_missing(const struct http_call *call)
{
        return call->result >= 0 && call->status == 404;
}

/* -- runs -- */

static int read_run(const cJSON *object, struct github_run *ret, struct err *err)
{
        struct github_run run = {.attempt = json_integer(object, "run_attempt", 1)};
        const char *status;
        int r = json_need_integer(object, "id", &run.id, err);

        if (r == 0)
                r = json_need_integer(object, "run_number", &run.number, err);
        if (r == 0)
                r = json_need_integer(object, "workflow_id", &run.workflow, err);
        if (r == 0)
                r = json_need_string(object, "status", &status, err);
        if (r < 0)
                return r;
        run.repository = json_integer(object, "repository.id", 0);
        run.head_repository = json_integer(object, "head_repository.id", 0);
        github_copy(run.status, sizeof(run.status), object, "status");
        github_copy(run.event, sizeof(run.event), object, "event");
        github_copy(run.branch, sizeof(run.branch), object, "head_branch");
        github_copy(run.name, sizeof(run.name), object, "name");
        github_copy(run.url, sizeof(run.url), object, "html_url");
        *ret = run;
        return 0;
}

struct http_call *github_get_run(
        struct github *github, int64_t installation, const char *repository, int64_t id)
{
        struct http_call *call = new_call(github, installation, "get run", "GET", repository);

        extend_url(call, "/runs/%" PRId64, id);
        return call;
}

int github_get_run_answer(const struct http_call *call, struct github_run *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        int r;

        if (is_missing(call))
                return GITHUB_NOT_FOUND;
        if (is_refused(call))
                return github_refused(call, call->what, advice, err);
        r = json_parse(buf_string(&call->answer), call->answer.size, "GitHub's answer", &body, err);
        if (r == 0)
                r = read_run(body, ret, err);
        return http_call_prefix(call, r, err);
}

struct http_call *github_list_runs_like(struct github *github, int64_t installation,
        const char *repository, const struct github_run *run)
{
        struct http_call *call = new_call(github, installation, "list runs", "GET", repository);

        extend_url(call, "/workflows/%" PRId64 "/runs?exclude_pull_requests=true&per_page=%d",
                run->workflow, RUNS_PER_PAGE);
        if (run->branch[0] && call->url.size > 0) {
                buf_add_string(&call->url, "&branch=");
                buf_add_form(&call->url, run->branch);
        }
        return call;
}

int github_list_runs_answer(const struct http_call *call, struct github_runs *ret, struct err *err)
{
        _cleanup_(github_runs_release) struct github_runs runs = {0};
        _cleanup_json_ cJSON *body = NULL;
        const cJSON *list = NULL;
        const cJSON *item;
        int r = github_answer_list(call, "workflow_runs", advice, &body, &list, err);

        if (r < 0)
                return r;
        runs.items = mem_alloc(((size_t)cJSON_GetArraySize(list) + 1) * sizeof(*runs.items));
        cJSON_ArrayForEach (item, list) {
                r = read_run(item, &runs.items[runs.count], err);
                if (r < 0)
                        return http_call_prefix(call, r, err);
                runs.count++;
        }
        ret->items = MEM_STEAL(runs.items);
        ret->count = runs.count;
        return 0;
}

void github_runs_release(struct github_runs *runs)
{
        free(runs->items);
        *runs = (struct github_runs){0};
}

/* -- their jobs -- */

struct http_call *github_list_run_jobs(struct github *github, int64_t installation,
        const char *repository, const struct github_run *run, unsigned page)
{
        struct http_call *call =
                new_call(github, installation, "list jobs of run", "GET", repository);

        extend_url(call, "/runs/%" PRId64 "/attempts/%" PRId64 "/jobs?per_page=%d&page=%u", run->id,
                run->attempt, GITHUB_JOBS_PER_PAGE, page);
        return call;
}

static bool has_failed_step(const cJSON *steps)
{
        const cJSON *step;

        cJSON_ArrayForEach (step, steps) {
                const char *conclusion = json_string(step, "conclusion");

                if (conclusion && strcmp(conclusion, "failure") == 0)
                        return true;
        }
        return false;
}

static int read_job(const cJSON *object, struct github_run_job *ret, struct err *err)
{
        struct github_run_job job = {0};
        int r = json_need_integer(object, "id", &job.id, err);

        if (r < 0)
                return r;
        if (clock_parse(json_string(object, "completed_at"), &job.completed_ms) < 0)
                job.completed_ms = 0;
        github_copy(job.status, sizeof(job.status), object, "status");
        github_copy(job.conclusion, sizeof(job.conclusion), object, "conclusion");
        github_copy(job.runner, sizeof(job.runner), object, "runner_name");
        github_copy(job.name, sizeof(job.name), object, "name");
        job.has_failed_step = has_failed_step(json_get(object, "steps"));
        github_read_labels(object, &job.labels, &job.n_labels);
        *ret = job;
        return 0;
}

int github_list_run_jobs_answer(
        const struct http_call *call, struct github_run_jobs *jobs, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        const cJSON *list = NULL;
        const cJSON *item;
        int r = github_answer_list(call, "jobs", advice, &body, &list, err);

        if (r < 0)
                return r;
        jobs->total = json_integer(body, "total_count", 0);
        cJSON_ArrayForEach (item, list) {
                jobs->items = mem_resize(jobs->items, jobs->count + 1, sizeof(*jobs->items));
                r = read_job(item, &jobs->items[jobs->count], err);
                if (r < 0)
                        return http_call_prefix(call, r, err);
                jobs->count++;
        }
        return 0;
}

void github_run_jobs_release(struct github_run_jobs *jobs)
{
        for (size_t i = 0; i < jobs->count; i++) {
                for (size_t j = 0; j < jobs->items[i].n_labels; j++)
                        free(jobs->items[i].labels[j]);
                free(jobs->items[i].labels);
        }
        free(jobs->items);
        *jobs = (struct github_run_jobs){0};
}

/* -- running again -- */

static void make_rerun(struct http_call *call)
{
        http_call_body(call, "application/json", "{}", 2);
        call->tries_max = 1;
}

struct http_call *github_rerun_failed_jobs(
        struct github *github, int64_t installation, const char *repository, int64_t run)
{
        struct http_call *call =
                new_call(github, installation, "re-run failed jobs", "POST", repository);

        extend_url(call, "/runs/%" PRId64 "/rerun-failed-jobs", run);
        make_rerun(call);
        return call;
}

struct http_call *github_rerun_job(
        struct github *github, int64_t installation, const char *repository, int64_t id)
{
        struct http_call *call = new_call(github, installation, "re-run job", "POST", repository);

        extend_url(call, "/jobs/%" PRId64 "/rerun", id);
        make_rerun(call);
        return call;
}

int github_rerun_answer(const struct http_call *call, struct err *err)
{
        /* GitHub says why only in words: "This workflow is already running", "The workflow run
         * containing this job is already running", "Resource not accessible by integration". */
        static const struct {
                const char *words;
                int result;
        } refusals[] = {
                {"already running", GITHUB_RUN_ACTIVE},
                {"not accessible", GITHUB_NO_PERMISSION},
        };

        if (is_missing(call))
                return GITHUB_NOT_FOUND;
        if (!is_refused(call))
                return 0;
        for (size_t i = 0; call->status == 403 && i < ARRAY_SIZE(refusals); i++)
                if (strstr(buf_string(&call->answer), refusals[i].words))
                        return refusals[i].result;
        return github_refused(call, call->what, advice, err);
}
