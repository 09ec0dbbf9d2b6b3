/* SPDX-License-Identifier: MIT */

/*
 * Takes an instance for each job from the first offer that has capacity. lib/aws/ec2_errors.c has
 * the table of EC2's error codes; here is what follows from each class.
 */

#include "launch_steps.h"

#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "launch_name.h"

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

static struct http_call *run_instances(const struct launch *launch, const struct offer *offer)
{
        const struct config_spec *spec = launch->spec;
        _cleanup_free_ char *names = launch_names_of(launch);
        _cleanup_(launch_tags_release) struct launch_tags tags = {0};
        char token[DIGEST_HEX_SIZE];

        launch_tags_init(&tags, launch, names);
        make_token(launch, offer, names, token);
        return ec2_run_instances(
                launch->aws, &(const struct ec2_launch){
                                     .launch_template = spec->launch_template,
                                     .launch_template_version = spec->launch_template_version,
                                     .instance_type = offer->type,
                                     .subnet = offer->subnet,
                                     .spot = offer->spot,
                                     .containers_metadata = spec->job_metadata,
                                     .count = (unsigned)(launch->n_jobs - launch->n_launched),
                                     .client_token = token,
                                     .tags = tags.items,
                                     .n_tags = tags.count,
                             });
}

static void try_offer(struct launch *launch);
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
                launch_tell_no_subnet(launch, offer->subnet);
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
                launch_take_new_token(launch);
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

/* After an answer that names instances. */
static void after_instances(
        struct launch *launch, const struct ec2_instances *instances, const struct offer *offer)
{
        size_t taken = launch_take(launch, instances, offer);

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

        if (launch_read_found(launch, call, &instances))
                after_instances(launch, &instances, &offer);
        if (launch_goes_on(launch, 0))
                try_offer(launch);
}

static void find_by_token(struct launch *launch, const struct offer *offer)
{
        _cleanup_free_ char *names = launch_names_of(launch);
        char token[DIGEST_HEX_SIZE];
        const char *value = token;

        make_token(launch, offer, names, token);
        launch->looking = true;
        launch_start_call(launch, ec2_find_instances(launch->aws, "client-token", &value, 1),
                on_found_by_token);
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

        if (r == 0)
                after_instances(launch, &instances, &offer);
        else if (r == AWS_REFUSED)
                handle_refusal(launch, &offer, call, &error);
        if (launch_goes_on(launch, r))
                try_offer(launch);
}

static void try_offer(struct launch *launch)
{
        struct offer offer;

        launch->offer = offers_skip_empty(&launch->offers, launch->scaler, launch->offer);
        if (launch->offer >= offers_count(&launch->offers)) {
                if (!launch->err.text[0])
                        err_set(&launch->err, 0,
                                "no type had capacity in any subnet a few minutes ago");
                launch->outcome = launch->unknown ? LAUNCH_FAILED : LAUNCH_NO_CAPACITY;
                return;
        }
        if (scaler_time_left(launch->scaler) < LAUNCH_TIME_NEEDED_MS) {
                launch->outcome = LAUNCH_NO_TIME;
                return;
        }
        offer = offer_at(&launch->offers, launch->offer);
        launch_start_request(launch, run_instances(launch, &offer), on_answer);
}

void launch_ladder(struct launch *launch)
{
        try_offer(launch);
}
