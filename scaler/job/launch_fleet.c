/* SPDX-License-Identifier: MIT */

/*
 * Has EC2 choose: asks for all jobs with one CreateFleet over the types of the ladder and the
 * subnets, first on spot, and on demand for the rest where the spec allows that. EC2 may not have
 * tried all pools, so the next call leaves out those in which it could not launch. Each request
 * follows from the configuration and the message alone, so that a second try makes the same one,
 * and each has a client token of its own.
 */

#include "launch_steps.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "launch_name.h"

/* In one event. Then the jobs are parked, and go on from there. */
#define ASKS_MAX 16

static void ask(struct launch *launch);

/* -- the request -- */

static const char *strategy_of(const struct launch *launch)
{
        if (launch_on_spot(launch))
                return launch->spec->allocation;
        return strcmp(launch->spec->allocation, CONFIG_ALLOCATION_PRIORITIES) == 0 ? "prioritized"
                                                                                   : "lowest-price";
}

/* How often each message was sent: EC2 answers a token that it knows as it did the first time, even
 * if that launched nothing, so the next message of a job needs another. The caller frees. */
static char *sends_of(const struct launch *launch)
{
        struct buf sends = BUF_INIT(16UL * 1024);

        for (size_t i = launch->n_launched; i < launch->n_jobs; i++)
                buf_add_format(&sends, " %lld", (long long)launch->jobs[i]->sends);
        return buf_steal(&sends);
}

/* See make_token() in launch_ladder.c. */
static void make_token(
        const struct launch *launch, const char *names, char token[static DIGEST_HEX_SIZE])
{
        _cleanup_free_ char *left_out = pool_set_print(&launch->left_out);
        _cleanup_free_ char *sends = sends_of(launch);
        _cleanup_free_ char *text = mem_format("%s fleet %s %s %d %s %u %lld %s%s",
                launch->config->prefix, launch->instance_type, launch->spec->allocation,
                launch_on_spot(launch), left_out ? left_out : "", launch->salt,
                (long long)launch->afresh_ms, names, sends ? sends : "");

        digest_sha256_hex(text, strlen(text), token);
        token[64] = '\0';
}

/* The value of the tag with the jobs' names, and the client token; the caller frees the former. */
static char *mark_names(const struct launch *launch, char token[static DIGEST_HEX_SIZE])
{
        _cleanup_free_ char *names = launch_names_of(launch);

        make_token(launch, names, token);
        return mem_format("%.*s%s", LAUNCH_MARK_SIZE, token, names);
}

static struct http_call *create_fleet(
        const struct launch *launch, const struct ec2_pool *pools, size_t n_pools)
{
        const struct config_spec *spec = launch->spec;
        _cleanup_(launch_tags_release) struct launch_tags tags = {0};
        char token[DIGEST_HEX_SIZE];
        _cleanup_free_ char *names = mark_names(launch, token);

        launch_tags_init(&tags, launch, names);
        return ec2_create_fleet(
                launch->aws, &(const struct ec2_fleet){
                                     .launch_template = spec->launch_template,
                                     .launch_template_version = spec->launch_template_version,
                                     .pools = pools,
                                     .n_pools = n_pools,
                                     .spot = launch_on_spot(launch),
                                     .strategy = strategy_of(launch),
                                     .count = (unsigned)(launch->n_jobs - launch->n_launched),
                                     .client_token = token,
                                     .tags = tags.items,
                                     .n_tags = tags.count,
                             });
}

/* -- the answer -- */

/* Whether ANSWER may be an old one. When a message comes again with the client token of a fleet
 * that launched nothing, EC2 repeats that answer, although there may be capacity, or a permission,
 * by now. A fleet that had launched something would have been found, since a message that comes
 * again looks for it first. */
static bool may_be_old(const struct launch *launch, const struct ec2_launched *answer)
{
        return launch->is_redelivered && launch->afresh_ms == 0 && answer->instances.count == 0;
}

/* Whether one of INSTANCES has ended. */
static bool has_ended(const struct ec2_instances *instances)
{
        for (size_t i = 0; i < instances->count; i++)
                if (!ec2_instance_lives(&instances->items[i]))
                        return true;
        return false;
}

static void after_answer(struct launch *launch, const struct ec2_launched *answer)
{
        size_t taken = launch_take(launch, &answer->instances, NULL);

        if (answer->n_errors > 0)
                launch_log_errors(launch, answer);
        if (launch->outcome != LAUNCH_UNDER_WAY)
                return;
        if (may_be_old(launch, answer)) {
                launch->afresh_ms = clock_wall_ms(launch->scaler->clock);
                return;
        }
        if (taken > 0 && has_ended(&answer->instances))
                return; /* the jobs that are left have a fleet of their own, and so its token */
        if (taken > 0 || answer->instances.count == 0) {
                launch_after_errors(launch, answer);
                return;
        }
        err_set(&launch->err, 0, "CreateFleet: EC2 returned instances that have ended");
        launch_take_new_token(launch);
}

/* EC2's answer does not say whose the instances are, nor whether they live. */
static void add_what_is_known(struct launch *launch, const struct ec2_instances *found)
{
        struct ec2_instances *instances = &launch->answered.instances;

        for (size_t i = 0; i < instances->count; i++) {
                struct ec2_instance *instance = &instances->items[i];

                memcpy(instance->account, launch->scaler->account, sizeof(instance->account));
                for (size_t j = 0; j < found->count; j++) {
                        if (strcmp(found->items[j].id, instance->id) != 0)
                                continue;
                        memcpy(instance->state, found->items[j].state, sizeof(instance->state));
                        memcpy(instance->account, found->items[j].account,
                                sizeof(instance->account));
                }
        }
}

/* Takes the stored answer to a request, with what FOUND tells of its instances, if it tells
 * anything. */
static void take_answer(struct launch *launch, const struct ec2_instances *found)
{
        _cleanup_(ec2_launched_release) struct ec2_launched answer = {0};

        add_what_is_known(launch, found);
        answer = launch->answered;
        launch->answered = (struct ec2_launched){0};
        after_answer(launch, &answer);
}

/* A machine that EC2 does not find yet was launched just now. */
static void on_looked(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(ec2_instances_release) struct ec2_instances found = {0};
        struct launch *launch = userdata;
        struct err err;

        launch->looking = false;
        if (ec2_describe_instances_answer(call, &found, &err) < 0)
                log_warning(&launch->scaler->log, "a fleet's machines could not be looked up",
                        LOG_TEXT("error", err.text));
        take_answer(launch, &found);
        if (launch_goes_on(launch, 0))
                ask(launch);
}

static void look(struct launch *launch)
{
        const struct ec2_instances *instances = &launch->answered.instances;
        _cleanup_free_ const char **ids = mem_alloc(instances->count * sizeof(*ids));

        for (size_t i = 0; i < instances->count; i++)
                ids[i] = instances->items[i].id;
        launch->looking = true;
        launch_start_call(
                launch, ec2_describe_instances(launch->aws, ids, instances->count), on_looked);
}

/* A first try's machines are new, and the function knows its account. */
static bool needs_look(const struct launch *launch)
{
        return launch->answered.instances.count > 0 &&
               (launch->is_repeated || !launch->scaler->account[0]);
}

/* -- other parameters for the same token -- */

static void on_found(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(ec2_launched_release) struct ec2_launched found = {0};
        struct launch *launch = userdata;

        if (!launch_read_found(launch, call, &found.instances))
                return;
        launch_number_fleets(&found.instances);
        if (found.instances.count > 0)
                after_answer(launch, &found);
        else
                launch_take_new_token(launch);
        if (launch_goes_on(launch, 0))
                ask(launch);
}

/* The configuration may have changed between a request and its repetition. EC2 gives the instances
 * of a fleet client tokens of its own, so they are found by their tag. */
static void find_by_names(struct launch *launch)
{
        char token[DIGEST_HEX_SIZE];
        _cleanup_free_ char *names = mark_names(launch, token);
        const char *value = names;

        launch->looking = true;
        launch_start_call(launch,
                ec2_find_instances(launch->aws, "tag:" LAUNCH_NAMES_TAG, &value, 1), on_found);
}

static void handle_refusal(
        struct launch *launch, const struct http_call *call, const struct aws_error *error)
{
        bool spot = launch_on_spot(launch);

        aws_refused(call, error, &launch->err);
        if (ec2_classify(error->code) == EC2_ERROR_TOKEN_OTHER)
                find_by_names(launch);
        else
                launch_after_refused_fleet(launch, error);
        log_warning(&launch->scaler->log, "EC2 refused the fleet", LOG_TEXT("code", error->code),
                LOG_TEXT("market", spot ? "spot" : "on-demand"),
                LOG_TEXT("spec", launch->spec->name));
}

static void on_answer(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct launch *launch = userdata;
        struct aws_error error;
        int r = ec2_create_fleet_answer(call, &launch->answered, &error, &launch->err);

        if (r == 0 && needs_look(launch))
                look(launch);
        else if (r == 0)
                take_answer(launch, &(const struct ec2_instances){0});
        else if (r == AWS_REFUSED)
                handle_refusal(launch, call, &error);
        if (launch_goes_on(launch, r))
                ask(launch);
}

/* -- asking -- */

static void ask(struct launch *launch)
{
        _cleanup_free_ struct ec2_pool *pools =
                mem_alloc(offers_on_demand(&launch->offers) * sizeof(*pools));
        size_t n = 0;

        if (scaler_time_left(launch->scaler) < LAUNCH_TIME_NEEDED_MS || launch->asks == ASKS_MAX) {
                launch->outcome = LAUNCH_NO_TIME;
                return;
        }
        if (!launch_knows_zones(launch)) {
                launch_ask_zones(launch, ask);
                return;
        }
        while (n == 0 && launch->outcome == LAUNCH_UNDER_WAY) {
                n = pools_list(&launch->offers, &launch->scaler->zones, &launch->left_out, pools);
                if (n == 0)
                        launch_leave_market(launch, LAUNCH_NO_CAPACITY);
        }
        if (n == 0)
                return;
        launch->asks++;
        launch_start_request(launch, create_fleet(launch, pools, n), on_answer);
}

void launch_fleet(struct launch *launch)
{
        ask(launch);
}
