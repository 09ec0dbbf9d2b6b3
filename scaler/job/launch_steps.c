/* SPDX-License-Identifier: MIT */

/*
 * What both ways of launching share: what a request says, and what becomes of its instances.
 */

#include "launch_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "launch_name.h"
#include "machine/stores.h"
#include "queue/tell_people.h"

/* What a machine's life may take besides its job: boot, waiting for its hand-over, idling. */
#define LIFETIME_MARGIN_SECONDS (2 * 3600)

void launch_start_call(struct launch *launch, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata))
{
        call->done = done;
        call->userdata = launch;
        scaler_start(launch->scaler, call);
}

void launch_start_request(struct launch *launch, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata))
{
        launch->was_asked = true;
        call->tries_max = LAUNCH_THROTTLED_TRIES;
        call->timeout_ms = LAUNCH_TIME_NEEDED_MS - 5 * MSEC_PER_SEC;
        launch_start_call(launch, call, done);
}

bool launch_goes_on(struct launch *launch, int r)
{
        if (r < 0)
                launch->outcome = LAUNCH_UNSURE;
        return launch->outcome == LAUNCH_UNDER_WAY && !launch->looking;
}

bool launch_read_found(
        struct launch *launch, const struct http_call *call, struct ec2_instances *ret)
{
        launch->looking = false;
        if (ec2_describe_instances_answer(call, ret, &launch->err) >= 0)
                return true;
        launch->outcome = aws_call_is_passing(call) ? LAUNCH_UNSURE : LAUNCH_FAILED;
        return false;
}

/* The value of the tag with the names of the jobs that have no instance yet; the caller frees. */
char *launch_names_of(const struct launch *launch)
{
        return launch_names_print(
                launch->jobs + launch->n_launched, launch->n_jobs - launch->n_launched);
}

static void add_tag(struct launch_tags *tags, const char *key, const char *value)
{
        if (tags->count < LAUNCH_TAGS_MAX)
                tags->items[tags->count++] = (struct ec2_tag){key, value};
}

void launch_tags_init(struct launch_tags *tags, const struct launch *launch, const char *names)
{
        const struct config_spec *spec = launch->spec;

        *tags = (struct launch_tags){.bucket = stores_bucket(launch->config)};
        snprintf(tags->name, sizeof(tags->name), "runner %s", spec->name);
        snprintf(tags->installation, sizeof(tags->installation), "%lld",
                (long long)launch->installation);
        snprintf(tags->lifetime, sizeof(tags->lifetime), "%lld",
                (long long)spec->job_limit_seconds + LIFETIME_MARGIN_SECONDS);
        add_tag(tags, "Name", tags->name);
        add_tag(tags, "scale-agent:spec", spec->name);
        add_tag(tags, "scale-agent:scope", launch->scope);
        add_tag(tags, "scale-agent:installation", tags->installation);
        add_tag(tags, "scale-agent:prefix", launch->config->prefix);
        add_tag(tags, LAUNCH_LIFETIME_TAG, tags->lifetime);
        add_tag(tags, LAUNCH_NAMES_TAG, names);
        if (tags->bucket)
                add_tag(tags, STORE_TAG, tags->bucket);
        if (launch->repository)
                add_tag(tags, JOB_REPOSITORY_TAG, launch->repository);
        if (spec->n_instance_types > 0)
                add_tag(tags, JOB_TYPE_TAG, launch->instance_type);
        for (size_t i = 0; i < spec->n_tags; i++)
                add_tag(tags, spec->tags[i].key, spec->tags[i].value);
}

void launch_tags_release(struct launch_tags *tags)
{
        free(MEM_STEAL(tags->bucket));
}

static void log_launched(struct launch *launch, const struct ec2_instance *instance,
        const struct offer *offer, const struct job *job)
{
        log_info(&launch->scaler->log, "launched", LOG_TEXT("instance", instance->id),
                LOG_NUMBER("job", job->id), LOG_TEXT("type", offer ? offer->type : instance->type),
                LOG_TEXT("subnet", offer ? offer->subnet : instance->subnet),
                LOG_TEXT("market", (offer ? offer->spot : instance->spot) ? "spot" : "on-demand"),
                LOG_NUMBER("offer", (int64_t)launch->offer));
}

/* A subnet that was deleted stays in the configuration until a person takes it out. */
void launch_tell_no_subnet(struct launch *launch, const char *subnet)
{
        struct notification notification = {
                .severity = NOTIFICATION_WARNING,
                .text = "Its jobs are launched in the spec's other subnets. "
                        "Take it out of the configuration.",
        };
        char title[160];
        struct err err;

        snprintf(
                title, sizeof(title), "Spec %s: there is no subnet %s", launch->spec->name, subnet);
        notification.title = title;
        notification.key = title;
        (void)tell_people(launch->scaler, &notification, &err); /* logs a failure */
}

/* Moves the job at INDEX to those that have an instance. */
static void count_launched(struct launch *launch, size_t index)
{
        const struct job *job = launch->jobs[index];

        launch->jobs[index] = launch->jobs[launch->n_launched];
        launch->jobs[launch->n_launched++] = job;
}

/* The instance among INSTANCES that lives and was launched for the job numbered INDEX in the
 * request. A repeated request returns the instances of the first, even those ending. */
static const struct ec2_instance *instance_for(const struct ec2_instances *instances, size_t index)
{
        for (size_t i = 0; i < instances->count; i++)
                if (instances->items[i].launch_index == index &&
                        ec2_instance_lives(&instances->items[i]))
                        return &instances->items[i];
        return NULL;
}

size_t launch_take(
        struct launch *launch, const struct ec2_instances *instances, const struct offer *offer)
{
        size_t first = launch->n_launched;
        size_t n = launch->n_jobs - first;
        _cleanup_free_ const struct job **asked = mem_alloc(n * sizeof(*asked));

        memcpy(asked, launch->jobs + first, n * sizeof(*asked));
        for (size_t i = 0; i < n; i++) {
                const struct ec2_instance *instance = instance_for(instances, i);

                for (size_t j = launch->n_launched; instance && j < launch->n_jobs; j++) {
                        if (launch->jobs[j] != asked[i])
                                continue;
                        log_launched(launch, instance, offer, asked[i]);
                        count_launched(launch, j);
                        launch->launched(launch, instance, asked[i]);
                        break;
                }
        }
        if (launch->n_launched == launch->n_jobs)
                launch->outcome = LAUNCH_DONE;
        return launch->n_launched - first;
}
