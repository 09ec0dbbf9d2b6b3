/* SPDX-License-Identifier: MIT */

/*
 * One message after the other, and for each one step after the other: losses are rare. Each step
 * goes on, or ends the way: the message then was sent again, people were told, or there is nothing
 * to do. What GitHub refuses for a while sends the message again, and what it refuses for good is
 * told at once.
 *
 * Nothing here is remembered. A message that comes twice, or the messages of several lost jobs of
 * one run, find that the run has another attempt than theirs, or that it is running again.
 */

#include "rerun.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "aws/ec2.h"
#include "github/runs.h"
#include "launch_name.h"
#include "loss.h"
#include "queue/tell_people.h"
#include "rerun_decide.h"
#include "setback.h"
#include "token_requests.h"

/* GitHub runs nothing again after that.
 * https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs */
#define RUN_AGE_MAX_MS (INT64_C(30) * 24 * 3600 * MSEC_PER_SEC)
/* A run with more jobs is left to people. */
#define PAGES_MAX 20
#define DESCRIBED_MAX 100
/* Looks that a run gets when EC2 may have forgotten other losses: their own messages know them. */
#define DOUBTS_MAX 2

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

/* The result of a step that ends the way. */
#define WAY_ENDS 1

static void rerun_release(struct rerun *rerun)
{
        token_requests_release(&rerun->tokens);
        github_run_jobs_release(&rerun->jobs);
        free(rerun->evidence);
        free(rerun->classes);
}

/* -- how the way ends -- */

static int end_quietly(struct rerun *rerun, const char *why)
{
        log_info(&rerun->scaler->log, why, LOG_NUMBER("run", rerun->job->run_id),
                LOG_NUMBER("attempt", rerun->job->attempt), LOG_NUMBER("job", rerun->job->id),
                LOG_TEXT("repository", rerun->job->repository));
        return WAY_ENDS;
}

/* The names of the lost jobs, with commas. */
static void name_lost(const struct rerun *rerun, struct buf *names)
{
        for (size_t i = 0; i < rerun->jobs.count; i++)
                if (rerun->classes &&
                        (rerun->classes[i] == RERUN_LOST || rerun->classes[i] == RERUN_KEPT))
                        buf_add_format(names, "%s%s", names->size > 0 ? ", " : "",
                                rerun->jobs.items[i].name);
}

/* REASON NULL: they are run again. */
static int tell(struct rerun *rerun, const char *reason, struct err *err)
{
        _cleanup_buf_ struct buf names = BUF_INIT(600);
        struct notification notification = {
                .severity = reason ? NOTIFICATION_WARNING : NOTIFICATION_INFO,
                .text = reason ? "EC2 took the machines of these jobs back. Look at the run, and "
                                 "run there again what should be."
                               : "EC2 took the machines of these jobs back. The run has a new "
                                 "attempt.",
                .url = rerun->run.url[0] ? rerun->run.url : rerun->job->url,
        };
        char title[200];
        char key[200];
        int r;

        name_lost(rerun, &names);
        snprintf(title, sizeof(title), "Lost jobs of %s #%lld are %s",
                rerun->run.name[0] ? rerun->run.name : "run",
                (long long)(rerun->run.number ? rerun->run.number : rerun->job->run_id),
                reason ? "not run again" : "run again");
        snprintf(key, sizeof(key), "rerun %s %lld %lld", rerun->job->repository,
                (long long)rerun->job->run_id, (long long)rerun->job->attempt);
        notification.title = title;
        notification.key = key;
        notification_fact(&notification, "Reason", reason);
        notification_fact(&notification, "Jobs", buf_string(&names));
        notification_fact(&notification, "Repository", rerun->job->repository);
        notification_fact(&notification, "Spec", rerun->job->spec);
        notification_fact(&notification, "Instance", rerun->job->instance);
        r = tell_people(rerun->scaler, &notification, err);
        return r < 0 ? r : end_quietly(rerun, reason ? reason : "lost jobs are run again");
}

static int look_again(struct rerun *rerun, const char *why, struct err *err)
{
        int r;

        if (clock_wall_ms(rerun->scaler->clock) - rerun->job->lost_ms > RUN_AGE_MAX_MS)
                return tell(rerun, "their run lasts for longer than GitHub runs jobs again", err);
        r = loss_follow_again(rerun->scaler, rerun->job, err);
        return r < 0 ? r : end_quietly(rerun, why);
}

/* What passes is asked again later; what does not, people are told once. */
static int end_by_setback(struct rerun *rerun, const struct setback *setback, struct err *err)
{
        return setback->passing ? look_again(rerun, setback->err.text, err)
                                : tell(rerun, setback->err.text, err);
}

/* GitHub has answered CALL with R. */
static int judge(struct rerun *rerun, const struct http_call *call, int r, struct err *err)
{
        int64_t installation = rerun->job->installation;
        struct setback setback;

        token_note_result(rerun->scaler, rerun->github, installation, r);
        if (r >= 0)
                return r;
        setback = setback_by_github(rerun->scaler, installation, call, r, err);
        return end_by_setback(rerun, &setback, err);
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
                return end_quietly(
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
        return setback ? end_by_setback(rerun, setback, err) : 0;
}

/* The jobs are the run's, so a machine without tags was ours, or of somebody whose spot instances
 * EC2 takes back, too. */
static void note_losses(struct rerun *rerun, const struct ec2_instances *instances)
{
        for (size_t i = 0; i < instances->count; i++)
                if ((launch_is_ours(rerun->config, &instances->items[i]) ||
                            ec2_instance_fades(&instances->items[i])) &&
                        loss_is_evident(&instances->items[i]))
                        loss_add_machine(rerun->job, instances->items[i].id);
}

/* The size of the URL's part that names the run: all before "/job/ID". A repository may be called
 * "job" as well. */
static size_t size_of_run(const char *url)
{
        static const char parting[] = "/job";
        const char *last = url ? strrchr(url, '/') : NULL;
        size_t size = last ? (size_t)(last - url) : 0;

        if (size <= strlen(parting) ||
                strncmp(last - strlen(parting), parting, strlen(parting)) != 0)
                return 0;
        return size - strlen(parting);
}

/* EC2 forgets an instance after an hour, and a run may last for days: at every look, the message
 * notes what else the run has lost. */
static int find_losses(struct rerun *rerun, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        size_t size = size_of_run(rerun->job->url);
        _cleanup_free_ char *pattern =
                size > 0 ? mem_format("%.*s/job/*", (int)size, rerun->job->url) : NULL;
        int r;

        if (!pattern)
                return 0;
        call = scaler_call(rerun->scaler,
                ec2_find_instances(rerun->aws, "tag:" JOB_TAG, (const char *const *)&pattern, 1));
        r = ec2_describe_instances_answer(call, &instances, err);
        if (r == 0)
                note_losses(rerun, &instances);
        return r;
}

static int read_run(struct rerun *rerun, struct err *err)
{
        const struct job *job = rerun->job;
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(rerun->scaler,
                github_get_run(rerun->github, job->installation, job->repository, job->run_id));
        int r = judge(rerun, call, github_get_run_answer(call, &rerun->run, err), err);

        if (r == GITHUB_NOT_FOUND)
                return ask_is_deleted(rerun->job)
                               ? end_quietly(rerun, "the run of a lost job is gone")
                               : look_again(
                                         rerun, "GitHub does not know the run of a lost job", err);
        if (r != 0)
                return r;
        rerun->job->missing = 0;
        if (rerun->run.attempt != job->attempt && job->asked)
                return tell(rerun, NULL, err); /* GitHub's answer was lost, and it did it */
        if (rerun->run.attempt != job->attempt)
                return end_quietly(rerun, "the run of a lost job has another attempt already");
        if (strcmp(rerun->run.status, "completed") == 0)
                return 0;
        return look_again(rerun, "the run of a lost job has not ended yet", err);
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
                int r = judge(rerun, call, github_list_run_jobs_answer(call, jobs, err), err);

                if (r != 0)
                        return r;
                if (jobs->count == before || (int64_t)jobs->count >= jobs->total)
                        return 0;
        }
        return tell(rerun, "their run has too many jobs to look at", err);
}

/* -- whose machines were lost -- */

/* Whether EC2 has to be asked about the machine of JOB. */
static bool is_unexplained(const struct rerun *rerun, const struct github_run_job *job)
{
        return rerun_is_failed(job) && ec2_is_instance_id(job->runner) &&
               !loss_has_machine(rerun->job, job->runner);
}

/* A warning that EC2 gave of a machine is a tag of it. */
static bool is_described(const struct ec2_instances *instances, const char *id)
{
        for (size_t i = 0; i < instances->count; i++)
                if (strcmp(instances->items[i].id, id) == 0)
                        return !ec2_instance_fades(&instances->items[i]);
        return false;
}

/* Asks about the machines of some jobs, INDICES of which there are N. */
static int describe_some(struct rerun *rerun, const size_t *indices, size_t n, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        const char *ids[DESCRIBED_MAX];
        int r;

        for (size_t i = 0; i < n; i++)
                ids[i] = rerun->jobs.items[indices[i]].runner;
        call = scaler_call(rerun->scaler, ec2_describe_instances(rerun->aws, ids, n));
        r = ec2_describe_instances_answer(call, &instances, err);
        if (r < 0)
                return r;
        note_losses(rerun, &instances);
        for (size_t i = 0; i < n; i++)
                if (!is_described(&instances, ids[i]))
                        rerun->evidence[indices[i]] = RERUN_EVIDENCE_FORGOTTEN;
        return 0;
}

static int explain_failures(struct rerun *rerun, struct err *err)
{
        size_t indices[DESCRIBED_MAX];
        size_t n = 0;
        int r = 0;

        rerun->evidence = mem_alloc((rerun->jobs.count + 1) * sizeof(*rerun->evidence));
        for (size_t i = 0; r == 0 && i < rerun->jobs.count; i++) {
                if (is_unexplained(rerun, &rerun->jobs.items[i]))
                        indices[n++] = i;
                if (n == DESCRIBED_MAX || (n > 0 && i + 1 == rerun->jobs.count)) {
                        r = describe_some(rerun, indices, n, err);
                        n = 0;
                }
        }
        for (size_t i = 0; i < rerun->jobs.count; i++) {
                const struct github_run_job *job = &rerun->jobs.items[i];

                if (job->id == rerun->job->id ||
                        (job->runner[0] && loss_has_machine(rerun->job, job->runner)))
                        rerun->evidence[i] = RERUN_EVIDENCE_LOST;
        }
        return r;
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
                return end_quietly(rerun, "a lost job has ended well all the same");
        case RERUN_ONE:
        case RERUN_PEOPLE:
                if (decision->n_forgotten > 0 && rerun->job->waits < DOUBTS_MAX) {
                        rerun->job->waits++;
                        return look_again(rerun, "EC2 may have forgotten other losses", err);
                }
                return decision->verdict == RERUN_ONE ? 0 : tell(rerun, reasons[RERUN_PEOPLE], err);
        case RERUN_NEVER:
        case RERUN_LIMIT:
                return tell(rerun, reasons[decision->verdict], err);
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
        int r = judge(rerun, call, github_list_runs_answer(call, &runs, err), err);

        if (r != 0)
                return r;
        for (size_t i = 0; i < runs.count; i++) {
                if (runs.items[i].id == rerun->run.id && runs.items[i].attempt != job->attempt)
                        return end_quietly(rerun, "the run of a lost job was run again just now");
                if (rerun_is_superseded(&rerun->run, &runs.items[i]))
                        return tell(
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

        job->asked = call->result < 0 || call->status >= 500; /* GitHub may have done it */
        switch (r) {
        case 0:
                emit_rerun(rerun);
                return tell(rerun, NULL, err);
        case GITHUB_RUN_ACTIVE:
                return look_again(rerun, "the run of a lost job is running", err);
        case GITHUB_NO_PERMISSION:
                return tell(rerun,
                        "the App or token needs the repository permission \"Actions: read and "
                        "write\" (a change must be accepted for the installation)",
                        err);
        case GITHUB_NOT_FOUND:
                return tell(rerun,
                        "GitHub does not find what is to run again: it was deleted just now, or "
                        "the App or token may not write there",
                        err);
        default:
                return judge(rerun, call, r, err);
        }
}

int rerun_lost_job(struct scaler *scaler, struct job *job, struct err *err)
{
        static int (*const steps[])(struct rerun * rerun, struct err * err) = {
                open_dependencies,
                get_token,
                find_losses,
                read_run,
                read_jobs,
                explain_failures,
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
