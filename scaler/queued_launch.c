/* SPDX-License-Identifier: MIT */

/*
 * The launches of a batch: jobs that want the same are launched together. What the breakers of a
 * spec or a limit of GitHub's keep back is not launched.
 */

#include "queued.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job/breaker.h"
#include "job/github_limit.h"
#include "job/launched.h"
#include "job/pace.h"
#include "job/respec.h"
#include "machine/stores.h"

/* -- grouping -- */

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

struct queued_job *queued_item_of(const struct job *job)
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
        struct queued_job *item = queued_item_of(job);
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

const struct config_spec *queued_spec_of(struct queued *queued, struct queued_job *item)
{
        struct err err;
        const struct config_spec *spec =
                job_respec(queued->scaler, queued->config, &item->job, &err);

        if (!spec)
                queued_job_fail(queued, item, -ENOENT, &err);
        return spec;
}

void queued_group(struct queued *queued, struct queued_job *item)
{
        const struct config_spec *spec = queued_spec_of(queued, item);
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

/* -- starting -- */

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
                queued_item_of(stopped->jobs[i])->launch = stopped;
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
void queued_start_launches(struct queued *queued)
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
