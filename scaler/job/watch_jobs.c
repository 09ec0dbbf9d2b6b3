/* SPDX-License-Identifier: MIT */

/*
 * Looks first for machines that run the jobs, any of ours, since equal jobs swap machines: one call
 * for all of them. For the rest, GitHub is asked for the job and EC2 for its own machine. What a
 * machine that has ended left in SSM is deleted.
 */

#include "watch_jobs.h"

#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "aws/ec2.h"
#include "breaker.h"
#include "follow.h"
#include "launch_name.h"
#include "machine/leftovers.h"
#include "machine/stores.h"
#include "queue/send.h"
#include "relaunch.h"
#include "token_requests.h"

/* A machine whose runner never came within this time will not bring one. */
#define BOOT_LIMIT_MS (15 * 60 * MSEC_PER_SEC)
#define FOLLOW_LATE_SECONDS (15 * 60)
/* GitHub cancels a job that has waited for a day in its queue, some only after two.
 * https://docs.github.com/en/actions/reference/limits */
#define WAITS_MAX_MS (48 * 3600 * MSEC_PER_SEC)

struct look {
        struct watched *watched;
        struct question question;
        bool runs_elsewhere;                /* so GitHub is not asked */
        const struct ec2_instance *machine; /* as EC2 describes it; NULL: gone */
        bool has_no_runner;                 /* that could take the job */
        bool is_deregistered;               /* GitHub knows no runner of its name */
};

struct looks {
        struct scaler *scaler;
        const struct config *config;
        struct aws *aws;
        struct token_requests tokens;
        struct look *items;
        size_t n_items;
        struct ec2_instances machines;
};

static void looks_release(struct looks *looks)
{
        ec2_instances_release(&looks->machines);
        free(looks->items);
        token_requests_release(&looks->tokens);
}

static int open_dependencies(struct looks *looks, struct err *err)
{
        int r = scaler_config(looks->scaler, &looks->config, err);

        if (r == 0)
                r = scaler_aws(looks->scaler, &looks->aws, err);
        if (r == 0)
                r = token_requests_init(&looks->tokens, looks->scaler, err);
        return r;
}

/* -- which jobs run -- */

/* The machine among MACHINES that runs JOB or has run it, or NULL. */
static const struct ec2_instance *runs(const struct ec2_instances *machines, const struct job *job)
{
        for (size_t i = 0; job->url && i < machines->count; i++) {
                const char *url = ec2_instance_tag(&machines->items[i], JOB_TAG);

                if (url && strcmp(url, job->url) == 0)
                        return &machines->items[i];
        }
        return NULL;
}

static void note_spec_works(const struct looks *looks, const char *spec, int64_t launched_ms)
{
        struct err err;

        if (spec && breaker_note_work(looks->scaler, spec, launched_ms, &err) < 0)
                log_warning(&looks->scaler->log, "circuit breaker stays open",
                        LOG_TEXT("spec", spec), LOG_TEXT("error", err.text));
}

/* Machines that run jobs show that their specs work: ours, not another stack's of the same name. */
static void note_work(const struct looks *looks, const struct ec2_instances *machines)
{
        for (size_t i = 0; i < machines->count; i++) {
                const struct ec2_instance *machine = &machines->items[i];

                if (launch_is_ours(looks->config, machine))
                        note_spec_works(looks, ec2_instance_tag(machine, "scale-agent:spec"),
                                machine->launched_ms);
        }
}

/* Adds those of ITEMS that do not run on their own machines. */
static int find_others(struct looks *looks, struct watched *items, size_t n_items, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ec2_instances_release) struct ec2_instances found = {0};
        _cleanup_free_ const char **urls = mem_alloc(n_items * sizeof(char *));
        size_t n_urls = 0;
        int r = 0;

        for (size_t i = 0; i < n_items; i++)
                if (items[i].job.url)
                        urls[n_urls++] = items[i].job.url;
        if (n_urls > 0) {
                call = scaler_call(looks->scaler,
                        ec2_find_instances(looks->aws, "tag:" JOB_TAG, urls, n_urls));
                r = ec2_describe_instances_answer(call, &found, err);
        }
        if (r < 0)
                return r;
        note_work(looks, &found);
        for (size_t i = 0; i < n_items; i++) {
                const struct ec2_instance *machine = runs(&found, &items[i].job);

                if (machine && strcmp(machine->id, items[i].job.instance) == 0)
                        continue;
                looks->items[looks->n_items++] =
                        (struct look){.watched = &items[i], .runs_elsewhere = machine};
        }
        return 0;
}

/* -- the rest: their own machines, and GitHub -- */

static int describe_machines(struct looks *looks, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_free_ const char **ids = mem_alloc(looks->n_items * sizeof(char *));
        int r;

        for (size_t i = 0; i < looks->n_items; i++)
                ids[i] = looks->items[i].watched->job.instance;
        call = scaler_call(looks->scaler, ec2_describe_instances(looks->aws, ids, looks->n_items));
        r = ec2_describe_instances_answer(call, &looks->machines, err);
        for (size_t i = 0; i < looks->n_items; i++)
                for (size_t j = 0; j < looks->machines.count; j++)
                        if (strcmp(ids[i], looks->machines.items[j].id) == 0)
                                looks->items[i].machine = &looks->machines.items[j];
        return r;
}

static void on_runner(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct look *look = userdata;
        const struct job *job = &look->watched->job;
        struct github_runner runner;
        struct err err;
        int r = github_find_runner_answer(call, job->instance, &runner, &err);

        token_note_result(
                look->question.scaler, look->question.tokens->github, job->installation, r);
        if (r == GITHUB_NOT_FOUND)
                look->has_no_runner = look->is_deregistered = true;
        else if (r == 0)
                look->has_no_runner =
                        runner.offline && !runner.busy &&
                        clock_wall_ms(look->question.scaler->clock) - job->launched_ms >
                                BOOT_LIMIT_MS;
}

static bool is_idle(const struct look *look)
{
        return look->machine && ec2_instance_lives(look->machine) &&
               !ec2_instance_tag(look->machine, JOB_TAG);
}

/* A machine that still lives without a job at its second watch may have lost its runner. */
static void ask_for_runners(struct looks *looks)
{
        for (size_t i = 0; i < looks->n_items; i++) {
                struct look *look = &looks->items[i];
                const struct job *job = &look->watched->job;
                const struct config_spec *spec =
                        job->spec ? config_spec_by_name(looks->config, job->spec) : NULL;
                char scope[GITHUB_SCOPE_SIZE];
                struct http_call *call;

                if (look->question.state != JOB_STATE_QUEUED || job->watches == 0 || !spec ||
                        !is_idle(look))
                        continue;
                job_scope(job, spec, scope);
                call = github_find_runner(
                        looks->tokens.github, job->installation, scope, job->instance);
                call->done = on_runner;
                call->userdata = look;
                scaler_start(looks->scaler, call);
        }
        http_finish(scaler_http(looks->scaler));
}

static int ask(struct looks *looks, struct err *err)
{
        _cleanup_free_ struct question **questions = mem_alloc(looks->n_items * sizeof(*questions));
        size_t n = 0;
        int r;

        for (size_t i = 0; i < looks->n_items; i++) {
                looks->items[i].question = (struct question){
                        .scaler = looks->scaler,
                        .tokens = &looks->tokens,
                        .job = &looks->items[i].watched->job,
                        .state = JOB_STATE_RUNS,
                };
                if (!looks->items[i].runs_elsewhere)
                        questions[n++] = &looks->items[i].question;
        }
        ask_start_all(questions, n);
        r = describe_machines(looks, err);
        http_finish(scaler_http(looks->scaler));
        if (r == 0)
                ask_for_runners(looks);
        return r;
}

/* -- what follows -- */

/* The machine had time to listen for its whole idle limit, and then shut itself down, as EC2 says,
 * or is about to: its runner was deregistered (idle_machines.h). */
static bool listened_in_vain(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;
        const struct config_spec *spec =
                job->spec ? config_spec_by_name(looks->config, job->spec) : NULL;

        return spec && look->machine &&
               (look->is_deregistered || strcmp(look->machine->state_reason,
                                                 "Client.InstanceInitiatedShutdown") == 0) &&
               clock_wall_ms(looks->scaler->clock) - job->launched_ms >
                       spec->idle_limit_seconds * MSEC_PER_SEC;
}

static enum relaunch_reason reason_of(const struct looks *looks, const struct look *look)
{
        if (look->machine && ec2_instance_tag(look->machine, JOB_TAG))
                return RELAUNCH_TAKEN;
        return listened_in_vain(looks, look) ? RELAUNCH_IN_VAIN : RELAUNCH_ENDED;
}

/* A machine that came to nothing may be one of many. That the breaker cannot be looked after does
 * not keep its job from another machine. */
static void note_dead(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;
        const struct config_spec *spec =
                job->spec ? config_spec_by_name(looks->config, job->spec) : NULL;
        struct err err;

        if (spec && breaker_note_dead(looks->scaler, looks->aws, spec, &err) < 0)
                log_warning(&looks->scaler->log, "circuit breaker could not be looked after",
                        LOG_TEXT("spec", spec->name), LOG_TEXT("error", err.text));
}

static int relaunch(const struct looks *looks, const struct look *look, struct err *err)
{
        enum relaunch_reason reason = reason_of(looks, look);

        if (reason == RELAUNCH_ENDED)
                note_dead(looks, look);
        return relaunch_job(looks->scaler, &look->watched->job, reason, err);
}

static int watch_again(struct looks *looks, const struct look *look, struct err *err)
{
        struct job *job = &look->watched->job;

        job->watches++;
        return follow_jobs(looks->scaler, &job, 1,
                job->watches > 3 ? FOLLOW_LATE_SECONDS : FOLLOW_SECONDS, err);
}

/* A machine that ended before its hand-over was stored has left that: what EC2 told of its end came
 * too early. */
static int delete_parameters(struct looks *looks, struct err *err)
{
        _cleanup_free_ const char **ids = mem_alloc(looks->n_items * sizeof(char *));
        _cleanup_(stores_release) struct stores stores = {0};
        size_t n = 0;
        int r = stores_init(&stores, looks->config, looks->aws, err);

        for (size_t i = 0; i < looks->n_items; i++)
                if (!looks->items[i].machine || !ec2_instance_lives(looks->items[i].machine))
                        ids[n++] = looks->items[i].watched->job.instance;
        return r < 0 ? r : leftovers_delete_handovers(looks->scaler, stores.for_new, ids, n, err);
}

/* GitHub refuses to tell, as of a suspended installation or a renamed repository, for longer than
 * it lets a job wait. */
static bool is_over_unheard(const struct looks *looks, const struct look *look)
{
        const struct setback *setback = &look->question.setback;
        const struct job *job = &look->watched->job;

        if (setback->result == 0 || setback->passing || job->launched_ms == 0 ||
                clock_wall_ms(looks->scaler->clock) - job->launched_ms <= WAITS_MAX_MS)
                return false;
        log_warning(&looks->scaler->log, "job is followed no longer: GitHub does not tell of it",
                LOG_NUMBER("job", job->id), LOG_TEXT("repository", job->repository),
                LOG_TEXT("error", setback->err.text));
        return true;
}

/* The tag of its machine was lost with GitHub's webhook, and GitHub says it now. */
static void note_job_ran(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;

        if (strcmp(look->question.runner, job->instance) == 0)
                note_spec_works(looks, job->spec, job->launched_ms);
}

/* A machine of which EC2 shows only that it has ended may have worked for another job; or it died.
 */
#define WATCHES_OF_ENDED 2

/* While launched jobs wait to be registered, one of their machines may be what this job gets, and
 * another one would wait behind them. */
static bool is_served_by_another(struct looks *looks, const struct look *look)
{
        struct sqs_count waiting = {0};
        struct err err;

        if (reason_of(looks, look) != RELAUNCH_TAKEN &&
                look->watched->job.watches >= WATCHES_OF_ENDED)
                return false;
        if (queue_count(looks->scaler, "REGISTER_QUEUE_URL", &waiting, &err) < 0)
                log_warning(&looks->scaler->log, "launched jobs could not be counted",
                        LOG_TEXT("error", err.text));
        return waiting.visible + waiting.in_flight > 0;
}

static int act(struct looks *looks, struct look *look, struct err *err)
{
        switch (look->question.state) {
        case JOB_STATE_RUNS:
        case JOB_STATE_ENDED:
                note_job_ran(looks, look);
                return 0;
        case JOB_STATE_QUEUED:
                if ((is_idle(look) && !look->has_no_runner) || is_served_by_another(looks, look))
                        return watch_again(looks, look, err);
                return relaunch(looks, look, err);
        case JOB_STATE_UNKNOWN:
                if (is_over_unheard(looks, look))
                        return 0;
                return watch_again(looks, look, err);
        case JOB_STATE_HELD:
        default:
                return watch_again(looks, look, err);
        }
}

int watch_jobs(struct scaler *scaler, struct watched *items, size_t n_items, struct err *err)
{
        _cleanup_(looks_release) struct looks looks = {.scaler = scaler};
        int r = open_dependencies(&looks, err);

        looks.items = mem_alloc(n_items * sizeof(struct look));
        if (r == 0)
                r = find_others(&looks, items, n_items, err);
        if (r == 0 && looks.n_items > 0)
                r = ask(&looks, err);
        if (r == 0)
                r = delete_parameters(&looks, err);
        for (size_t i = 0; r == 0 && i < looks.n_items; i++) {
                struct watched *watched = looks.items[i].watched;

                watched->result = act(&looks, &looks.items[i], &watched->err);
        }
        return r;
}
