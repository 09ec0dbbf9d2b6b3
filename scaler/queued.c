/* SPDX-License-Identifier: MIT */

/*
 * Second stage of a job's life: a queued job becomes a machine. The messages come from
 * `webhook` through queued.fifo, and come back through the parked queue.
 *
 * The jobs of a batch that want the same are launched together. While EC2 answers, GitHub's
 * installation tokens are requested; as soon as an instance exists, its runner is registered. All
 * of this runs at the same time. Then each message is settled:
 *
 *      hand-over stored     done
 *      no capacity          parked, which queues the job again with a delay
 *      refused or failed    delivered again, after what was begun for the job has been undone
 */

#include "handler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "job/job.h"
#include "job/launch.h"
#include "job/park.h"
#include "job/registration.h"
#include "job/token_requests.h"
#include "job/undo_launches.h"

/* One message, and how far its job has come. */
struct item {
        struct record *record;
        struct job job;
        bool readable;
        struct launch *launch;
        struct registration registration; /* once launched */
        bool launched;
};

struct queued {
        struct scaler *scaler;
        const struct config *config;
        struct aws *aws;
        struct token_requests token_requests;
        struct item *items;
        size_t n_items;
        struct launch *launches;
        size_t n_launches;
        const struct registration **failed; /* launches to undo */
        size_t n_failed;
};

/* -- reading the batch -- */

static int read_item(struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        struct queued *queued = userdata;
        struct item *item = &queued->items[queued->n_items++];
        int r = job_parse(record->body, strlen(record->body), &item->job, err);

        (void)scaler;
        item->record = record;
        item->readable = r == 0;
        return r;
}

static void read_items(struct queued *queued, struct batch *batch)
{
        queued->items = mem_alloc(batch->n_records * sizeof(struct item));
        queued->failed = mem_alloc(batch->n_records * sizeof(struct registration *));
        batch_each(queued->scaler, batch, read_item, queued);
}

/* Whether the batch has the same job earlier: one instance serves both messages. */
static bool is_duplicate(const struct queued *queued, const struct item *item)
{
        for (const struct item *other = queued->items; other < item; other++)
                if (other->readable && other->job.id == item->job.id &&
                        other->job.attempt == item->job.attempt)
                        return true;
        return false;
}

/* -- grouping and launching -- */

/* Whether JOB can be launched together with the jobs of LAUNCH. */
static bool wants_the_same(const struct launch *launch, const struct config_spec *spec,
        const char *scope, const struct job *job)
{
        return launch->spec == spec && strcmp(launch->scope, scope) == 0 &&
               launch->installation == job->installation &&
               strcmp(launch->instance_type, job->instance_type) == 0 &&
               launch->offer == (size_t)job->offer;
}

/* The item that holds the job. */
static struct item *item_of(const struct job *job)
{
        return (struct item *)((char *)job - offsetof(struct item, job));
}

static void on_launched(struct launch *launch, const struct ec2_instance *instance, size_t index)
{
        struct queued *queued = launch->userdata;
        struct item *item = item_of(launch->jobs[index]);

        item->launched = true;
        item->registration = (struct registration){
                .scaler = queued->scaler,
                .aws = queued->aws,
                .github = queued->token_requests.github,
                .config = queued->config,
                .spec = launch->spec,
                .job = &item->job,
                .scope = launch->scope,
                .installation = launch->installation,
                .instance = *instance,
                .launched_ms = clock_wall_ms(queued->scaler->clock),
        };
        item->registration.instance.tags = NULL;
        item->registration.instance.n_tags = 0;
        token_requests_register(&queued->token_requests, &item->registration);
}

static struct launch *launch_for(
        struct queued *queued, const struct config_spec *spec, const struct job *job)
{
        char scope[GITHUB_SCOPE_SIZE];
        struct launch *launch;

        job_scope(job, spec, scope);
        for (size_t i = 0; i < queued->n_launches; i++)
                if (wants_the_same(&queued->launches[i], spec, scope, job))
                        return &queued->launches[i];
        launch = &queued->launches[queued->n_launches++];
        *launch = (struct launch){
                .scaler = queued->scaler,
                .aws = queued->aws,
                .config = queued->config,
                .spec = spec,
                .instance_type = job->instance_type,
                .installation = job->installation,
                .offer = (size_t)job->offer,
                .jobs = mem_alloc(queued->n_items * sizeof(struct job *)),
                .launched = on_launched,
                .userdata = queued,
        };
        memcpy(launch->scope, scope, sizeof(launch->scope));
        return launch;
}

static void group_item(struct queued *queued, struct item *item)
{
        const struct config_spec *spec =
                item->job.spec ? config_spec_by_name(queued->config, item->job.spec) : NULL;
        struct err err;

        if (is_duplicate(queued, item))
                return;
        if (!spec || !item->job.instance_type) {
                record_fail(queued->scaler, item->record,
                        err_set(&err, -ENOENT,
                                "job %lld: its spec \"%s\" is not in the configuration any more",
                                (long long)item->job.id, item->job.spec ? item->job.spec : ""),
                        &err);
                return;
        }
        item->launch = launch_for(queued, spec, &item->job);
        item->launch->jobs[item->launch->n_jobs++] = &item->job;
}

static void group_items(struct queued *queued)
{
        queued->launches = mem_alloc(queued->n_items * sizeof(struct launch));
        for (size_t i = 0; i < queued->n_items; i++) {
                struct item *item = &queued->items[i];

                if (item->readable && !job_has_expired(queued->scaler, &item->job))
                        group_item(queued, item);
        }
}

/* Without a token nothing is launched: its runner could not be registered. */
static void start_launch(struct queued *queued, struct launch *launch)
{
        if (token_requests_check(&queued->token_requests, launch->installation, &launch->err) < 0)
                launch->outcome = LAUNCH_FAILED;
        else
                launch_start(launch);
}

/* -- settling -- */

static void emit_launched(struct queued *queued, const struct item *item)
{
        const struct job *job = &item->job;
        int64_t launched = item->registration.launched_ms;
        const struct metric metrics[] = {
                {"Launched", METRIC_COUNT, 1},
                {"WebhookToLaunched", METRIC_MILLISECONDS,
                        job->webhook_ms > 0 ? launched - job->webhook_ms : 0},
                {"LaunchedToHandedOver", METRIC_MILLISECONDS,
                        clock_wall_ms(queued->scaler->clock) - launched},
                {"Failovers", METRIC_COUNT, (int64_t)item->launch->offer},
        };
        const struct log_field properties[] = {
                LOG_NUMBER("job", job->id),
                LOG_TEXT("instance", item->registration.instance.id),
                LOG_TEXT("repository", job->repository),
        };

        scaler_emit_metrics(queued->scaler, item->launch->spec->name, metrics, ARRAY_SIZE(metrics),
                properties, ARRAY_SIZE(properties));
}

static void settle_launched(struct queued *queued, struct item *item)
{
        if (item->registration.state == REGISTRATION_DONE) {
                log_info(&queued->scaler->log, "handed over",
                        LOG_TEXT("instance", item->registration.instance.id),
                        LOG_NUMBER("job", item->job.id),
                        LOG_TEXT("repository", item->job.repository),
                        LOG_NUMBER("runner", item->registration.runner_id));
                emit_launched(queued, item);
                return;
        }
        err_prefix(&item->registration.err, 0, "job %lld", (long long)item->job.id);
        record_fail(
                queued->scaler, item->record, item->registration.result, &item->registration.err);
        queued->failed[queued->n_failed++] = &item->registration;
}

static void settle(struct queued *queued, struct item *item)
{
        struct err err;
        int r;

        if (item->launched) {
                settle_launched(queued, item);
                return;
        }
        if (item->launch->outcome == LAUNCH_FAILED) {
                if (&item->job == item->launch->jobs[item->launch->n_launched])
                        tell_jobs_wait(queued->scaler, item->launch);
                err = item->launch->err;
                err_prefix(&err, 0, "job %lld could not be launched", (long long)item->job.id);
                record_fail(queued->scaler, item->record, -EREMOTEIO, &err);
                return;
        }
        r = park_job(queued->scaler, &item->job, item->launch, &err);
        if (r < 0)
                record_fail(queued->scaler, item->record, r, &err);
}

static void queued_release(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++) {
                job_release(&queued->items[i].job);
                registration_release(&queued->items[i].registration);
        }
        for (size_t i = 0; i < queued->n_launches; i++)
                free(queued->launches[i].jobs);
        free(queued->items);
        free(queued->failed);
        free(queued->launches);
        token_requests_release(&queued->token_requests);
}

static int open_dependencies(struct queued *queued, struct err *err)
{
        int r = scaler_config(queued->scaler, &queued->config, err);

        if (r == 0)
                r = scaler_aws(queued->scaler, &queued->aws, err);
        if (r == 0)
                r = token_requests_init(&queued->token_requests, queued->scaler, err);
        return r;
}

void queued_handle(struct scaler *scaler, struct batch *batch)
{
        _cleanup_(queued_release) struct queued queued = {.scaler = scaler};
        struct err err;
        int r = open_dependencies(&queued, &err);

        if (r < 0) {
                batch_fail(scaler, batch, r, &err);
                return;
        }
        read_items(&queued, batch);
        group_items(&queued);
        for (size_t i = 0; i < queued.n_launches; i++)
                token_requests_add(&queued.token_requests, queued.launches[i].installation);
        for (size_t i = 0; i < queued.n_launches; i++)
                start_launch(&queued, &queued.launches[i]);
        http_finish(scaler_http(scaler));
        for (size_t i = 0; i < queued.n_items; i++)
                if (queued.items[i].launch)
                        settle(&queued, &queued.items[i]);
        undo_launches(scaler, queued.aws, queued.failed, queued.n_failed);
}
