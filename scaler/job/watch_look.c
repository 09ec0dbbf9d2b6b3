/* SPDX-License-Identifier: MIT */

/*
 * Looks first for machines that run the jobs, any of ours, since equal jobs swap machines: one call
 * for all of them. For the rest, GitHub is asked for the job and EC2 for its own machine.
 */

#include "watch_look.h"

#include <stdlib.h>
#include <string.h>

#include "breaker.h"
#include "launch_name.h"
#include "running.h"

/* A machine whose runner never came within this time will not bring one. */
#define BOOT_LIMIT_MS (15 * 60 * MSEC_PER_SEC)

void looks_release(struct looks *looks)
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

void looks_note_spec(const struct looks *looks, const char *spec, int64_t launched_ms)
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
                        looks_note_spec(looks, ec2_instance_tag(machine, "scale-agent:spec"),
                                machine->launched_ms);
        }
}

/* Adds those of ITEMS that do not run on their own machines. */
static int find_others(struct looks *looks, struct watched *items, size_t n_items, struct err *err)
{
        _cleanup_(ec2_instances_release) struct ec2_instances found = {0};
        _cleanup_free_ struct job **jobs = mem_alloc(n_items * sizeof(*jobs));
        int r;

        for (size_t i = 0; i < n_items; i++)
                jobs[i] = &items[i].job;
        r = running_find(looks->scaler, looks->aws, jobs, n_items, &found, err);
        if (r < 0)
                return r;
        note_work(looks, &found);
        for (size_t i = 0; i < n_items; i++) {
                const struct ec2_instance *machine = running_machine(&found, &items[i].job);

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

static bool are_of_one_run(const char *url, const char *other)
{
        const char *end = url ? strrchr(url, '/') : NULL;

        return end && strncmp(url, other, (size_t)(end - url) + 1) == 0;
}

/* Whether a machine of the taker may do for the job of LOOK as well: not where that has a label of
 * its own. Jobs of its run may have the same, by mistake. */
static bool may_swap(const struct look *look)
{
        const struct job *job = &look->watched->job;
        const char *label = NULL;

        (void)config_run_label((const char *const *)job->labels, job->n_labels, &label, NULL);
        return !label || are_of_one_run(job->url, ec2_instance_tag(look->machine, JOB_TAG));
}

/* Of those whose machines others took. */
static int follow_takers(struct looks *looks, struct err *err)
{
        _cleanup_free_ struct taken *taken = mem_alloc(looks->n_items * sizeof(*taken));
        _cleanup_free_ struct look **owners = mem_alloc(looks->n_items * sizeof(*owners));
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < looks->n_items; i++) {
                struct look *look = &looks->items[i];

                if (look->runs_elsewhere || !look->machine ||
                        !ec2_instance_tag(look->machine, JOB_TAG))
                        continue;
                look->takers = TAKERS_NO_MACHINE;
                if (!may_swap(look))
                        continue;
                owners[n] = look;
                taken[n++].machine = look->machine;
        }
        if (n > 0)
                r = takers_follow(looks->scaler, looks->config, looks->aws, taken, n, err);
        for (size_t i = 0; r == 0 && i < n; i++)
                owners[i]->takers = taken[i].end;
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

        token_note_scope_result(look->question.scaler, look->question.tokens->github, look->scope,
                job->installation, r);
        if (r == GITHUB_NOT_FOUND)
                look->has_no_runner = look->is_deregistered = true;
        else if (r == 0)
                look->has_no_runner =
                        runner.offline && !runner.busy &&
                        clock_wall_ms(look->question.scaler->clock) - job->launched_ms >
                                BOOT_LIMIT_MS;
}

bool look_ended_itself(const struct look *look)
{
        return look->machine &&
               strcmp(look->machine->state_reason, "Client.InstanceInitiatedShutdown") == 0;
}

bool look_is_idle(const struct look *look)
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
                struct http_call *call;

                if (look->question.state != JOB_STATE_QUEUED || job->watches == 0 || !spec ||
                        !look_is_idle(look))
                        continue;
                job_scope(job, spec, look->scope);
                call = github_find_runner(
                        looks->tokens.github, job->installation, look->scope, job->instance);
                call->done = on_runner;
                call->userdata = look;
                scaler_start(looks->scaler, call);
        }
        http_finish(scaler_http(looks->scaler));
}

/* -- all of it -- */

static void start_questions(struct looks *looks)
{
        _cleanup_free_ struct question **questions = mem_alloc(looks->n_items * sizeof(*questions));
        int64_t now_ms = clock_wall_ms(looks->scaler->clock);
        size_t n = 0;

        for (size_t i = 0; i < looks->n_items; i++) {
                struct look *look = &looks->items[i];

                if (looks->are_many)
                        look->question.known_since_ms = now_ms;
                if (!look->runs_elsewhere && look->wait == WAITS_NOT)
                        questions[n++] = &look->question;
        }
        ask_start_all(questions, n);
}

static int ask(struct looks *looks, struct err *err)
{
        int r;

        for (size_t i = 0; i < looks->n_items; i++)
                looks->items[i].question = (struct question){
                        .scaler = looks->scaler,
                        .tokens = &looks->tokens,
                        .job = &looks->items[i].watched->job,
                        .state = JOB_STATE_RUNS,
                };
        r = describe_machines(looks, err);
        if (r == 0)
                r = follow_takers(looks, err);
        if (r < 0)
                return r;
        looks_put_off(looks);
        start_questions(looks);
        http_finish(scaler_http(looks->scaler));
        ask_for_runners(looks);
        return 0;
}

int looks_take(struct looks *looks, struct watched *items, size_t n_items, struct err *err)
{
        int r = open_dependencies(looks, err);

        looks->items = mem_alloc(n_items * sizeof(struct look));
        looks->are_many = looks_are_many(looks->scaler, n_items);
        if (r == 0)
                r = find_others(looks, items, n_items, err);
        if (r == 0 && looks->n_items > 0)
                r = ask(looks, err);
        return r;
}
