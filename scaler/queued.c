/* SPDX-License-Identifier: MIT */

/*
 * Second stage of a job's life: a queued job becomes a machine. All messages come through
 * queued.fifo, where a job is a group of its own, so no two processes hold one job.
 *
 * A fresh job is launched at once. For any other, GitHub is asked whether it still waits, and EC2
 * whether it has a machine already (job/recall.h). Of a public repository's, GitHub is asked first
 * whether a fork's pull request wants it (job/fork.h). The jobs of a batch that want the same are
 * launched together. While EC2 answers, GitHub's installation tokens are requested: what `register`
 * could not register now is not launched. Then each message is settled:
 *
 *      launched, or adopted     sent on to register.fifo
 *      cannot be launched now   parked
 *      is beyond a limit        waits in line
 *      refused for good         it becomes a dead letter
 *      its machine has ended    the next launch is queued
 *      comes from a fork        people are told, and that is all
 */

#include "queued.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "job/breaker.h"
#include "job/github_limit.h"
#include "job/launched.h"
#include "job/pace.h"
#include "job/park.h"
#include "job/respec.h"
#include "machine/stores.h"

/* -- reading the batch -- */

static int read_item(struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        struct queued *queued = userdata;
        struct queued_job *item = &queued->items[queued->n_items++];
        int r = job_parse(record->body, strlen(record->body), &item->job, err);

        (void)scaler;
        item->record = record;
        item->ignored = r < 0;
        return r;
}

static void read_items(struct queued *queued, struct batch *batch)
{
        size_t n = batch->n_records;

        queued->items = mem_alloc(n * sizeof(struct queued_job));
        queued->launches = mem_alloc(n * sizeof(struct launch));
        batch_each(queued->scaler, batch, read_item, queued);
}

/* Of the messages of one job the latest launch counts, and of one launch the message that was sent
 * last: its counter keeps the next one from being taken for it (forward.c). */
static void ignore_doubles(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                for (size_t j = 0; j < i && !item->ignored; j++) {
                        struct queued_job *other = &queued->items[j];

                        if (other->ignored || other->job.id != item->job.id ||
                                other->job.attempt != item->job.attempt)
                                continue;
                        if (other->job.launch < item->job.launch ||
                                (other->job.launch == item->job.launch &&
                                        other->job.sends < item->job.sends))
                                other->ignored = true;
                        else
                                item->ignored = true;
                }
        }
}

/* -- grouping and launching -- */

/* Whether the jobs of a launch in SCOPE must be of one repository, by whose tag their machines
 * count. Those of runners that are an organization's or enterprise's may be of several. */
static bool is_of_one_repository(const struct config *config, const char *scope)
{
        return strncmp(scope, "repos/", strlen("repos/")) == 0 ||
               config->max_machines_per_repository > 0;
}

/* Whether LAUNCH leaves out the same pools as the message of JOB. */
static bool leaves_out(const struct launch *launch, const struct job *job)
{
        struct pool_set left_out = pool_set_parse(job->left_out);

        return memcmp(&left_out, &launch->left_out, sizeof(left_out)) == 0;
}

/* Whether JOB can be launched together with the jobs of LAUNCH. */
static bool wants_the_same(const struct launch *launch, const struct config_spec *spec,
        const char *scope, const struct job *job)
{
        if (launch->repository && strcmp(launch->repository, job->repository) != 0)
                return false;
        return launch->outcome == LAUNCH_UNDER_WAY && launch->spec == spec &&
               strcmp(launch->scope, scope) == 0 && launch->installation == job->installation &&
               strcmp(launch->instance_type, job->instance_type) == 0 &&
               launch->offer == (size_t)job->offer && leaves_out(launch, job) &&
               launch_has_room(launch, job);
}

/* The item that holds the job. */
static struct queued_job *item_of(const struct job *job)
{
        return (struct queued_job *)((char *)job - offsetof(struct queued_job, job));
}

/* A client token brings back the instance of an earlier try, which may have a runner by now, and
 * even a job: a new instance is pending. */
static bool is_adopted(const struct ec2_instance *instance)
{
        return strcmp(instance->state, "running") == 0;
}

static void on_launched(
        struct launch *launch, const struct ec2_instance *instance, const struct job *job)
{
        struct queued_job *item = item_of(job);
        const struct queued *queued = launch->userdata;
        _cleanup_free_ char *bucket = stores_bucket_of(queued->config, instance);

        item->job.offer = (int64_t)launch->offer; /* another launch begins one further */
        item->launched = true;
        launched_job(&item->job, instance, bucket, is_adopted(instance),
                clock_wall_ms(queued->scaler->clock));
}

static struct launch *launch_for(
        struct queued *queued, const struct config_spec *spec, const struct job *job)
{
        char scope[GITHUB_SCOPE_SIZE];
        struct launch *launch;

        job_scope(job, spec, scope);
        for (size_t i = 0; i < queued->n_launches; i++)
                if (!queued->launches[i].started &&
                        wants_the_same(&queued->launches[i], spec, scope, job))
                        return &queued->launches[i];
        launch = &queued->launches[queued->n_launches++];
        *launch = (struct launch){
                .scaler = queued->scaler,
                .aws = queued->aws,
                .config = queued->config,
                .spec = spec,
                .instance_type = job->instance_type,
                .installation = job->installation,
                .repository = is_of_one_repository(queued->config, scope) ? job->repository : NULL,
                .offer = (size_t)job->offer,
                .left_out = pool_set_parse(job->left_out),
                .jobs = mem_alloc(queued->n_items * sizeof(struct job *)),
                .launched = on_launched,
                .userdata = queued,
        };
        memcpy(launch->scope, scope, sizeof(launch->scope));
        return launch;
}

/* Without a spec, the message of ITEM fails. */
static const struct config_spec *spec_of(struct queued *queued, struct queued_job *item)
{
        struct err err;
        const struct config_spec *spec =
                job_respec(queued->scaler, queued->config, &item->job, &err);

        if (!spec)
                queued_job_fail(queued, item, -ENOENT, &err);
        return spec;
}

static void group_item(struct queued *queued, struct queued_job *item)
{
        const struct config_spec *spec = spec_of(queued, item);
        struct offers offers;

        if (!spec || !keep_limits(queued, item, spec))
                return;
        offers_init(&offers, spec, item->job.instance_type);
        item->job.offer =
                (int64_t)offers_begin(&offers, item->job.attempt, (size_t)item->job.offer);
        item->launch = launch_for(queued, spec, &item->job);
        item->launch->jobs[item->launch->n_jobs++] = &item->job;
        item->launch->is_repeated = item->launch->is_repeated || item->recalled;
        if (item->record->receive_count > 1)
                item->launch->is_redelivered = true;
}

/* Parks the jobs of LAUNCH from FIRST on until its spec is tried again. There is room for another
 * launch, since each has a job. */
static void stop_launch(
        struct queued *queued, struct launch *launch, size_t first, int64_t until_ms)
{
        struct launch *stopped = launch;

        if (first > 0) {
                stopped = &queued->launches[queued->n_launches++];
                *stopped = *launch;
                stopped->n_jobs = launch->n_jobs - first;
                stopped->jobs = mem_alloc(stopped->n_jobs * sizeof(struct job *));
                memcpy(stopped->jobs, launch->jobs + first, stopped->n_jobs * sizeof(struct job *));
                launch->n_jobs = first;
        }
        stopped->started = true;
        stopped->outcome = LAUNCH_STOPPED;
        stopped->stopped_until_ms = until_ms;
        for (size_t i = 0; i < stopped->n_jobs; i++)
                item_of(stopped->jobs[i])->launch = stopped;
}

/* What the breakers of its spec leave of LAUNCH. */
static void ask_breakers(struct queued *queued, struct launch *launch)
{
        struct offers offers;
        int64_t until_ms;

        switch (breaker_ask(queued->scaler, launch->spec->name, &until_ms)) {
        case BREAKER_STOP:
                stop_launch(queued, launch, 0, until_ms);
                return;
        case BREAKER_PROBE:
                if (launch->n_jobs > 1)
                        stop_launch(queued, launch, 1, until_ms);
                break;
        case BREAKER_GO:
        default:
                break;
        }
        if (!breaker_is_on_demand(queued->scaler, launch->spec))
                return;
        offers_init(&offers, launch->spec, launch->instance_type);
        if (launch->offer < offers_on_demand(&offers)) {
                launch->offer = offers_on_demand(&offers);
                launch->left_out = (struct pool_set){0};
        }
}

static int64_t registrar_of(const struct launch *launch)
{
        return launch->spec->enterprise ? PACE_OF_ENTERPRISE : launch->installation;
}

const struct setback *launch_setback(const struct queued *queued, const struct launch *launch)
{
        return launch->spec->enterprise
                       ? NULL
                       : token_requests_setback(&queued->token_requests, launch->installation);
}

/* Nothing is launched that GitHub would not register now. */
static void start_launch(struct queued *queued, struct launch *launch)
{
        struct scaler *scaler = queued->scaler;
        int64_t limited_ms = github_limit_pause_until(scaler, registrar_of(launch));

        launch->started = true;
        launch->stopped_until_ms = limited_ms;
        if (limited_ms > 0 || setback_pauses_launches(
                                      scaler, registrar_of(launch), launch_setback(queued, launch)))
                launch->outcome = LAUNCH_PAUSED;
        else
                launch_start(launch);
}

/* Runners of an enterprise are registered with a token that is there. */
static void start_launches(struct queued *queued)
{
        size_t n_launches = queued->n_launches;

        for (size_t i = 0; i < n_launches; i++)
                if (!queued->launches[i].started)
                        ask_breakers(queued, &queued->launches[i]);
        for (size_t i = 0; i < queued->n_launches; i++)
                if (!queued->launches[i].spec->enterprise)
                        token_requests_add(
                                &queued->token_requests, queued->launches[i].installation);
        for (size_t i = 0; i < queued->n_launches; i++)
                if (!queued->launches[i].started)
                        start_launch(queued, &queued->launches[i]);
}

/* -- what is asked first -- */

static void check_items(struct queued *queued)
{
        _cleanup_free_ struct fork_check **checks = mem_alloc(queued->n_items * sizeof(*checks));
        size_t n = 0;

        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (!item->checked || item->paced)
                        continue;
                item->fork.job = &item->job;
                checks[n++] = &item->fork;
        }
        fork_check_jobs(queued->scaler, &queued->token_requests, checks, n);
}

static void recall_items(struct queued *queued)
{
        _cleanup_free_ struct recall *recalls = mem_alloc(queued->n_items * sizeof(*recalls));
        size_t n = 0;

        for (size_t i = 0; i < queued->n_items; i++)
                if (queued->items[i].recalled && !queued->items[i].paced)
                        recalls[n++].job = &queued->items[i].job;
        recall_jobs(
                queued->scaler, queued->config, queued->aws, &queued->token_requests, recalls, n);
        for (size_t i = 0; i < n; i++)
                item_of(recalls[i].job)->recall = recalls[i];
}

static void launch_or_adopt(struct queued *queued, struct queued_job *item)
{
        if (item->ignored || item->paced || !(item->recalled || item->checked))
                return;
        if (item->checked && item->fork.verdict != FORK_NO)
                return;
        if (item->recall.verdict == RECALL_LAUNCH) {
                group_item(queued, item);
        } else if (item->recall.verdict == RECALL_ADOPT && spec_of(queued, item)) {
                item->launched = true;
                launched_job(&item->job, &item->recall.instance,
                        item->recall.bucket[0] ? item->recall.bucket : NULL, true,
                        clock_wall_ms(queued->scaler->clock));
        }
}

static void launch_items(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (item->ignored)
                        continue;
                item->recalled =
                        !job_is_fresh(queued->scaler, &item->job, item->record->receive_count);
                item->checked = fork_needs_check(queued->config, &item->job);
        }
        keep_pace(queued);
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (!item->ignored && !item->paced && !item->recalled && !item->checked)
                        group_item(queued, item);
        }
        start_launches(queued);
        check_items(queued);
        recall_items(queued);
        http_finish(scaler_http(queued->scaler));
        keep_pace_of_recalled(queued);
        for (size_t i = 0; i < queued->n_items; i++)
                launch_or_adopt(queued, &queued->items[i]);
        start_launches(queued);
        http_finish(scaler_http(queued->scaler));
        end_unused_grants(queued);
}

static void queued_release(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++)
                job_release(&queued->items[i].job);
        for (size_t i = 0; i < queued->n_launches; i++)
                free(queued->launches[i].jobs);
        free(queued->items);
        free(queued->launches);
        token_requests_release(&queued->token_requests);
}

static int open_dependencies(struct queued *queued, struct err *err)
{
        int r = scaler_config(queued->scaler, &queued->config, err);

        if (r == 0)
                r = scaler_aws(queued->scaler, &queued->aws, err);
        if (r == 0)
                r = stores_check(queued->config, err);
        if (r == 0)
                r = token_requests_init(&queued->token_requests, queued->scaler, err);
        return r;
}

/* Without the configuration or GitHub's key nothing can be launched, but jobs can wait for them. */
static void park_all(struct queued *queued, const struct err *why)
{
        bool told = false;

        log_error(&queued->scaler->log, "nothing can be launched, jobs wait",
                LOG_TEXT("error", why->text));
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];
                const struct parking parking = {
                        .reason = PARK_SETTINGS, .error = why->text, .quiet = told};
                struct err err;
                int r;

                if (item->ignored)
                        continue;
                r = park_job(queued->scaler, &item->job, &parking, &err);
                if (r < 0)
                        record_fail(queued->scaler, item->record, r, &err);
                told = told || r == 0;
        }
}

void queued_handle(struct scaler *scaler, struct batch *batch)
{
        _cleanup_(queued_release) struct queued queued = {.scaler = scaler};
        struct err aws_err;
        struct err err;
        int r = open_dependencies(&queued, &err);

        if (r < 0 && !queued.aws && scaler_aws(scaler, &queued.aws, &aws_err) < 0) {
                batch_fail(scaler, batch, r, &err);
                return;
        }
        read_items(&queued, batch);
        ignore_doubles(&queued);
        if (r < 0) {
                park_all(&queued, &err);
                return;
        }
        launch_items(&queued);
        settle_jobs(&queued);
}
