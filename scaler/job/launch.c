/* SPDX-License-Identifier: MIT */

/*
 * Second stage of a job's life, first half: takes an instance for each job from the first offer
 * that has capacity. lib/aws/ec2.c has the table of EC2's error codes; here is what follows from
 * each class.
 */

#include "launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "launch_name.h"
#include "machine/stores.h"
#include "queue/tell_people.h"

/* RunInstances and the hand-over must both fit into what is left of the event's time. */
#define TIME_NEEDED_MS (20 * MSEC_PER_SEC)
/* A client token whose instances have ended launches nothing: retry with up to 3 fresh ones. */
#define SALT_MAX 3
/* The account's bucket for RunInstances refills at two requests a second, so retries succeed. */
#define THROTTLED_TRIES 6
#define TAGS_MAX 50
/* What a machine's life may take besides its job: boot, waiting for its hand-over, idling. */
#define LIFETIME_MARGIN_SECONDS (2 * 3600)

const char *launch_outcome_name(enum launch_outcome outcome)
{
        static const char *const names[] = {
                [LAUNCH_UNDER_WAY] = "under way",
                [LAUNCH_DONE] = "launched",
                [LAUNCH_NO_CAPACITY] = "no capacity",
                [LAUNCH_QUOTA] = "quota reached",
                [LAUNCH_THROTTLED] = "throttled",
                [LAUNCH_UNSURE] = "no answer",
                [LAUNCH_PAUSED] = "paused",
                [LAUNCH_STOPPED] = "stopped",
                [LAUNCH_NO_TIME] = "out of time",
                [LAUNCH_FAILED] = "refused",
        };

        return names[outcome];
}

bool launch_has_room(const struct launch *launch, const struct job *job)
{
        _cleanup_free_ char *names = launch_names_print(launch->jobs, launch->n_jobs);
        char name[LAUNCH_NAME_SIZE];

        launch_name(job, name);
        return strlen(names) + strlen(name) + 1 <= LAUNCH_NAMES_MAX;
}

/* The same launches of the same offer make the same token, so that a retry after a lost answer
 * launches nothing twice. EC2 compares the tokens of an account: those of another stack are others.
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html */
static void make_token(const struct launch *launch, const struct offer *offer, const char *names,
        char token[static DIGEST_HEX_SIZE])
{
        _cleanup_free_ char *text = mem_format("%s %s %s %d %u %s", launch->config->prefix,
                offer->type, offer->subnet, offer->spot, launch->salt, names);

        digest_sha256_hex(text, strlen(text), token);
        token[64] = '\0';
}

/* The value of the tag with the names of the jobs that have no instance yet; the caller frees. */
static char *names_of(const struct launch *launch)
{
        return launch_names_print(
                launch->jobs + launch->n_launched, launch->n_jobs - launch->n_launched);
}

static struct http_call *run_instances(const struct launch *launch, const struct offer *offer)
{
        const struct config_spec *spec = launch->spec;
        _cleanup_free_ char *names = names_of(launch);
        _cleanup_free_ char *bucket = stores_bucket(launch->config);
        struct ec2_tag tags[TAGS_MAX];
        char token[DIGEST_HEX_SIZE];
        char installation[24];
        char lifetime[24];
        char name[128];
        struct http_call *call;
        size_t n = 0;

        snprintf(name, sizeof(name), "runner %s", spec->name);
        snprintf(installation, sizeof(installation), "%lld", (long long)launch->installation);
        snprintf(lifetime, sizeof(lifetime), "%lld",
                (long long)spec->job_limit_seconds + LIFETIME_MARGIN_SECONDS);
        tags[n++] = (struct ec2_tag){"Name", name};
        tags[n++] = (struct ec2_tag){"scale-agent:spec", spec->name};
        tags[n++] = (struct ec2_tag){"scale-agent:scope", launch->scope};
        tags[n++] = (struct ec2_tag){"scale-agent:installation", installation};
        tags[n++] = (struct ec2_tag){"scale-agent:prefix", launch->config->prefix};
        tags[n++] = (struct ec2_tag){LAUNCH_LIFETIME_TAG, lifetime};
        tags[n++] = (struct ec2_tag){LAUNCH_NAMES_TAG, names};
        if (bucket)
                tags[n++] = (struct ec2_tag){STORE_TAG, bucket};
        if (launch->repository)
                tags[n++] = (struct ec2_tag){JOB_REPOSITORY_TAG, launch->repository};
        for (size_t i = 0; i < spec->n_tags && n < TAGS_MAX; i++)
                tags[n++] = (struct ec2_tag){spec->tags[i].key, spec->tags[i].value};
        make_token(launch, offer, names, token);
        call = ec2_run_instances(
                launch->aws, &(const struct ec2_launch){
                                     .launch_template = spec->launch_template,
                                     .launch_template_version = spec->launch_template_version,
                                     .instance_type = offer->type,
                                     .subnet = offer->subnet,
                                     .spot = offer->spot,
                                     .containers_metadata = spec->job_metadata,
                                     .count = (unsigned)(launch->n_jobs - launch->n_launched),
                                     .client_token = token,
                                     .tags = tags,
                                     .n_tags = n,
                             });
        call->tries_max = THROTTLED_TRIES;
        call->timeout_ms = TIME_NEEDED_MS - 5 * MSEC_PER_SEC;
        return call;
}

static void try_offer(struct launch *launch);

static void log_launched(struct launch *launch, const struct ec2_instance *instance,
        const struct offer *offer, const struct job *job)
{
        log_info(&launch->scaler->log, "launched", LOG_TEXT("instance", instance->id),
                LOG_NUMBER("job", job->id), LOG_TEXT("type", offer->type),
                LOG_TEXT("subnet", offer->subnet),
                LOG_TEXT("market", offer->spot ? "spot" : "on-demand"),
                LOG_NUMBER("offer", (int64_t)launch->offer));
}

/* A subnet that was deleted stays in the configuration until a person takes it out. */
static void tell_no_subnet(struct launch *launch, const struct offer *offer)
{
        struct notification notification = {
                .severity = NOTIFICATION_WARNING,
                .text = "Its jobs are launched in the spec's other subnets. "
                        "Take it out of the configuration.",
        };
        char title[160];
        struct err err;

        snprintf(title, sizeof(title), "Spec %s: there is no subnet %s", launch->spec->name,
                offer->subnet);
        notification.title = title;
        notification.key = title;
        (void)tell_people(launch->scaler, &notification, &err); /* logs a failure */
}

static void find_by_token(struct launch *launch, const struct offer *offer);

/* Where to go on after a refusal. */
static void after_refusal(
        struct launch *launch, const struct offer *offer, enum ec2_error_class class)
{
        switch (class) {
        case EC2_ERROR_CAPACITY:
                offer_note_empty(launch->scaler, offer);
                launch->offer++;
                break;
        case EC2_ERROR_TYPE:
                launch->offer = offers_after_type(&launch->offers, launch->offer);
                break;
        case EC2_ERROR_NO_SUBNET:
                tell_no_subnet(launch, offer);
                offer_note_no_subnet(launch->scaler, offer);
                launch->offer++;
                break;
        case EC2_ERROR_SUBNET:
                launch->offer++;
                break;
        case EC2_ERROR_UNKNOWN:
                launch->unknown = true;
                launch->offer++;
                break;
        case EC2_ERROR_QUOTA:
                /* A market's limit covers all its types: only the other market may help. */
                if (offer->spot && launch->spec->on_demand_fallback)
                        launch->offer = offers_on_demand(&launch->offers);
                else
                        launch->outcome = LAUNCH_QUOTA;
                break;
        case EC2_ERROR_THROTTLED:
                launch->outcome = LAUNCH_THROTTLED;
                break;
        case EC2_ERROR_UNSURE:
                launch->outcome = LAUNCH_UNSURE;
                break;
        case EC2_ERROR_TOKEN_ENDED:
                if (++launch->salt > SALT_MAX)
                        launch->outcome = LAUNCH_FAILED;
                break;
        case EC2_ERROR_TOKEN_OTHER:
                find_by_token(launch, offer);
                break;
        case EC2_ERROR_FATAL:
        default:
                launch->outcome = LAUNCH_FAILED;
                break;
        }
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

/* Gives each job of the request its instance; returns how many there were. */
static size_t take_instances(
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

/* After an answer that names instances. */
static void after_instances(
        struct launch *launch, const struct ec2_instances *instances, const struct offer *offer)
{
        size_t taken = take_instances(launch, instances, offer);

        if (launch->outcome != LAUNCH_UNDER_WAY)
                return;
        if (taken > 0) {
                launch->offer++; /* this offer gave all that it had */
                return;
        }
        err_set(&launch->err, 0, "RunInstances: EC2 returned instances that have ended");
        after_refusal(launch, offer, EC2_ERROR_TOKEN_ENDED);
}

/* The configuration may have changed between a request and its repetition. */
static void on_found_by_token(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        struct launch *launch = userdata;
        struct offer offer = offer_at(&launch->offers, launch->offer);

        if (ec2_describe_instances_answer(call, &instances, &launch->err) < 0)
                launch->outcome = aws_call_is_passing(call) ? LAUNCH_UNSURE : LAUNCH_FAILED;
        else
                after_instances(launch, &instances, &offer);
        if (launch->outcome == LAUNCH_UNDER_WAY)
                try_offer(launch);
}

static void find_by_token(struct launch *launch, const struct offer *offer)
{
        _cleanup_free_ char *names = names_of(launch);
        char token[DIGEST_HEX_SIZE];
        const char *value = token;
        struct http_call *call;

        make_token(launch, offer, names, token);
        call = ec2_find_instances(launch->aws, "client-token", &value, 1);
        call->done = on_found_by_token;
        call->userdata = launch;
        launch->finding = true;
        scaler_start(launch->scaler, call);
}

static void handle_refusal(struct launch *launch, const struct offer *offer,
        const struct http_call *call, const struct aws_error *error)
{
        aws_refused(call, error, &launch->err);
        after_refusal(launch, offer, ec2_classify(error->code));
        log_warning(&launch->scaler->log,
                launch->outcome == LAUNCH_UNDER_WAY ? "EC2 refused the launch, trying another"
                                                    : "EC2 refused the launch",
                LOG_TEXT("code", error->code), LOG_TEXT("type", offer->type),
                LOG_TEXT("subnet", offer->subnet),
                LOG_TEXT("market", offer->spot ? "spot" : "on-demand"),
                LOG_TEXT("spec", launch->spec->name));
}

static void on_answer(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        struct launch *launch = userdata;
        struct offer offer = offer_at(&launch->offers, launch->offer);
        struct aws_error error;
        int r = ec2_run_instances_answer(call, &instances, &error, &launch->err);

        launch->finding = false;
        if (r == 0)
                after_instances(launch, &instances, &offer);
        else if (r == AWS_REFUSED)
                handle_refusal(launch, &offer, call, &error);
        else
                launch->outcome = LAUNCH_UNSURE;
        if (launch->outcome == LAUNCH_UNDER_WAY && !launch->finding)
                try_offer(launch);
}

static void try_offer(struct launch *launch)
{
        struct http_call *call;
        struct offer offer;

        launch->offer = offers_skip_empty(&launch->offers, launch->scaler, launch->offer);
        if (launch->offer >= offers_count(&launch->offers)) {
                if (!launch->err.text[0])
                        err_set(&launch->err, 0,
                                "no type had capacity in any subnet a few minutes ago");
                launch->outcome = launch->unknown ? LAUNCH_FAILED : LAUNCH_NO_CAPACITY;
                return;
        }
        if (scaler_time_left(launch->scaler) < TIME_NEEDED_MS) {
                launch->outcome = LAUNCH_NO_TIME;
                return;
        }
        offer = offer_at(&launch->offers, launch->offer);
        launch->was_asked = true;
        call = run_instances(launch, &offer);
        call->done = on_answer;
        call->userdata = launch;
        scaler_start(launch->scaler, call);
}

void launch_start(struct launch *launch)
{
        offers_init(&launch->offers, launch->spec, launch->instance_type);
        launch->outcome = LAUNCH_UNDER_WAY;
        try_offer(launch);
}
