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

/* RunInstances and the hand-over must both fit into what is left of the event's time. */
#define TIME_NEEDED_MS (20 * MSEC_PER_SEC)
/* A client token whose instances have ended launches nothing: retry with up to 3 fresh ones. */
#define SALT_MAX 3
/* The account's bucket for RunInstances refills at two requests a second, so retries succeed. */
#define THROTTLED_TRIES 6
#define TAGS_MAX 50

/* An offer without capacity is skipped for this long: a burst of jobs does not repeat the request
 * that EC2 has just refused. */
#define EMPTY_KEPT_MS (2 * 60 * MSEC_PER_SEC)
#define OFFER_NAME_SIZE 96

/* What one RunInstances asks for. */
struct offer {
        const char *type;
        const char *subnet;
        bool spot;
};

static const char *offer_name(const struct offer *offer, char name[static OFFER_NAME_SIZE])
{
        snprintf(name, OFFER_NAME_SIZE, "%s %s %s", offer->type, offer->subnet,
                offer->spot ? "spot" : "on-demand");
        return name;
}

static size_t offers_per_market(const struct launch *launch)
{
        return launch->n_rungs * launch->spec->n_subnets;
}

static size_t n_offers(const struct launch *launch)
{
        return offers_per_market(launch) * (launch->spec->on_demand_fallback ? 2 : 1);
}

static struct offer offer_at(const struct launch *launch, size_t index)
{
        size_t within = index % offers_per_market(launch);

        return (struct offer){
                .type = launch->rungs[within / launch->spec->n_subnets].type,
                .subnet = launch->spec->subnets[within % launch->spec->n_subnets],
                .spot = index < offers_per_market(launch),
        };
}

const char *launch_outcome_name(enum launch_outcome outcome)
{
        static const char *const names[] = {
                [LAUNCH_UNDER_WAY] = "under way",
                [LAUNCH_DONE] = "launched",
                [LAUNCH_NO_CAPACITY] = "no capacity",
                [LAUNCH_QUOTA] = "quota reached",
                [LAUNCH_THROTTLED] = "throttled",
                [LAUNCH_NO_TIME] = "out of time",
                [LAUNCH_FAILED] = "refused",
        };

        return names[outcome];
}

/* The same jobs and offer make the same token, so that a retry after a lost answer launches nothing
 * twice. https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html */
static void make_token(
        const struct launch *launch, const struct offer *offer, char token[static DIGEST_HEX_SIZE])
{
        _cleanup_buf_ struct buf text = BUF_INIT(64 * 1024);

        buf_add_format(&text, "%s %s %d %u", offer->type, offer->subnet, offer->spot, launch->salt);
        for (size_t i = launch->n_launched; i < launch->n_jobs; i++)
                buf_add_format(&text, " %lld-%lld-%lld-%lld", (long long)launch->jobs[i]->id,
                        (long long)launch->jobs[i]->attempt, (long long)launch->jobs[i]->tries,
                        (long long)launch->jobs[i]->relaunches);
        digest_sha256_hex(buf_string(&text), text.size, token);
        token[64] = '\0';
}

static struct http_call *run_instances(const struct launch *launch, const struct offer *offer)
{
        const struct config_spec *spec = launch->spec;
        struct ec2_tag tags[TAGS_MAX];
        char token[DIGEST_HEX_SIZE];
        char installation[24];
        char name[128];
        struct http_call *call;
        size_t n = 0;

        snprintf(name, sizeof(name), "runner %s", spec->name);
        snprintf(installation, sizeof(installation), "%lld", (long long)launch->installation);
        tags[n++] = (struct ec2_tag){"Name", name};
        tags[n++] = (struct ec2_tag){"scale-agent:spec", spec->name};
        tags[n++] = (struct ec2_tag){"scale-agent:scope", launch->scope};
        tags[n++] = (struct ec2_tag){"scale-agent:installation", installation};
        tags[n++] = (struct ec2_tag){"scale-agent:prefix", launch->config->prefix};
        for (size_t i = 0; i < spec->n_tags && n < TAGS_MAX; i++)
                tags[n++] = (struct ec2_tag){spec->tags[i].key, spec->tags[i].value};
        make_token(launch, offer, token);
        call = ec2_run_instances(
                launch->aws, &(const struct ec2_launch){
                                     .launch_template = spec->launch_template,
                                     .launch_template_version = spec->launch_template_version,
                                     .instance_type = offer->type,
                                     .subnet = offer->subnet,
                                     .spot = offer->spot,
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

static void log_launched(
        struct launch *launch, const struct ec2_instance *instance, const struct offer *offer)
{
        log_info(&launch->scaler->log, "launched", LOG_TEXT("instance", instance->id),
                LOG_NUMBER("job", launch->jobs[launch->n_launched]->id),
                LOG_TEXT("type", offer->type), LOG_TEXT("subnet", offer->subnet),
                LOG_TEXT("market", offer->spot ? "spot" : "on-demand"),
                LOG_NUMBER("offer", (int64_t)launch->offer));
}

/* RunInstances with a used token returns the instances of its first use, even those ending. */
static bool is_ending(const struct ec2_instance *instance)
{
        return instance->state[0] && strcmp(instance->state, "pending") != 0 &&
               strcmp(instance->state, "running") != 0;
}

/* Where to go on after a refusal. */
static void after_refusal(
        struct launch *launch, const struct offer *offer, enum ec2_error_class class)
{
        char name[OFFER_NAME_SIZE];

        switch (class) {
        case EC2_ERROR_CAPACITY:
                recent_note(&launch->scaler->empty_offers, offer_name(offer, name),
                        clock_monotonic_ms(launch->scaler->clock) + EMPTY_KEPT_MS);
                launch->offer++;
                break;
        case EC2_ERROR_SUBNET:
                launch->offer++;
                break;
        case EC2_ERROR_QUOTA:
                /* A market's limit covers all its types: only the other market may help. */
                if (offer->spot && launch->spec->on_demand_fallback)
                        launch->offer = offers_per_market(launch);
                else
                        launch->outcome = LAUNCH_QUOTA;
                break;
        case EC2_ERROR_RETRY:
                launch->outcome = LAUNCH_THROTTLED;
                break;
        case EC2_ERROR_TOKEN_USED:
                if (++launch->salt > SALT_MAX)
                        launch->outcome = LAUNCH_FAILED;
                break;
        case EC2_ERROR_FATAL:
        default:
                launch->outcome = LAUNCH_FAILED;
                break;
        }
}

static void take_instances(
        struct launch *launch, const struct ec2_instances *instances, const struct offer *offer)
{
        size_t before = launch->n_launched;

        for (size_t i = 0; i < instances->count && launch->n_launched < launch->n_jobs; i++) {
                if (is_ending(&instances->items[i]))
                        continue;
                log_launched(launch, &instances->items[i], offer);
                launch->launched(launch, &instances->items[i], launch->n_launched);
                launch->n_launched++;
        }
        if (launch->n_launched == launch->n_jobs) {
                launch->outcome = LAUNCH_DONE;
        } else if (launch->n_launched == before) {
                err_set(&launch->err, 0, "RunInstances: EC2 returned instances that have ended");
                after_refusal(launch, offer, EC2_ERROR_TOKEN_USED);
        } else {
                launch->offer++; /* this offer gave all that it had */
        }
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
        struct offer offer = offer_at(launch, launch->offer);
        struct aws_error error;
        int r = ec2_run_instances_answer(call, &instances, &error, &launch->err);

        if (r == 0)
                take_instances(launch, &instances, &offer);
        else if (r == AWS_REFUSED)
                handle_refusal(launch, &offer, call, &error);
        else
                launch->outcome = call->result < 0 ? LAUNCH_THROTTLED : LAUNCH_FAILED;
        if (launch->outcome == LAUNCH_UNDER_WAY)
                try_offer(launch);
}

static void skip_empty_offers(struct launch *launch)
{
        int64_t now = clock_monotonic_ms(launch->scaler->clock);
        char name[OFFER_NAME_SIZE];

        while (launch->offer < n_offers(launch)) {
                struct offer offer = offer_at(launch, launch->offer);

                if (!recent_has(&launch->scaler->empty_offers, offer_name(&offer, name), now))
                        return;
                launch->offer++;
        }
}

static void try_offer(struct launch *launch)
{
        struct http_call *call;
        struct offer offer;

        skip_empty_offers(launch);
        if (launch->offer >= n_offers(launch)) {
                if (!launch->err.text[0])
                        err_set(&launch->err, 0,
                                "no type had capacity in any subnet a few minutes ago");
                launch->outcome = LAUNCH_NO_CAPACITY;
                return;
        }
        if (scaler_time_left(launch->scaler) < TIME_NEEDED_MS) {
                launch->outcome = LAUNCH_NO_TIME;
                return;
        }
        offer = offer_at(launch, launch->offer);
        launch->was_asked = true;
        call = run_instances(launch, &offer);
        call->done = on_answer;
        call->userdata = launch;
        scaler_start(launch->scaler, call);
}

void launch_start(struct launch *launch)
{
        launch->n_rungs = ladder_build(launch->instance_type, launch->rungs, LADDER_MAX);
        launch->outcome = LAUNCH_UNDER_WAY;
        try_offer(launch);
}
