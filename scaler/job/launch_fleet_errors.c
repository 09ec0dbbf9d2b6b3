/* SPDX-License-Identifier: MIT */

/*
 * What follows from what a fleet could not launch: the errors in its answer, of which each is of
 * one pool, or the refusal of the whole of it. lib/aws/ec2_errors.c has the table of EC2's error
 * codes.
 */

#include "launch_steps.h"

#include <ctype.h>
#include <string.h>

bool launch_on_spot(const struct launch *launch)
{
        return launch->offer < offers_on_demand(&launch->offers);
}

void launch_leave_market(struct launch *launch, enum launch_outcome outcome)
{
        if (launch->at_quota && outcome == LAUNCH_NO_CAPACITY)
                outcome = LAUNCH_QUOTA;
        if (launch_on_spot(launch) && launch->spec->on_demand_fallback) {
                launch->offer = offers_on_demand(&launch->offers);
                launch->left_out = (struct pool_set){0};
                launch->at_quota = false;
                return;
        }
        if (outcome == LAUNCH_NO_CAPACITY && launch->unknown)
                outcome = LAUNCH_FAILED;
        launch->outcome = outcome;
}

void launch_take_new_token(struct launch *launch)
{
        if (++launch->salt > LAUNCH_SALT_MAX)
                launch->outcome = LAUNCH_FAILED;
}

/* An error that names no pool, such as UnfulfillableCapacity, is of the whole and leaves out none.
 */
static bool leave_out(
        struct launch *launch, const char *instance_type, const char *subnet, bool in_zone)
{
        if (!(instance_type && instance_type[0]) && !(subnet && subnet[0]))
                return false;
        return pools_leave_out(&launch->offers, &launch->scaler->zones, instance_type, subnet,
                in_zone, &launch->left_out);
}

/* What the errors of an answer say together. */
struct judgement {
        bool is_new; /* a pool was left out that was not before */
        bool quota;
        bool throttled;
        bool unsure;
        bool failed;
};

static void judge_error(
        struct launch *launch, const struct ec2_fleet_error *error, struct judgement *judgement)
{
        bool names_pool = error->instance_type[0] && error->subnet[0];
        bool is_new = false;

        switch (ec2_classify(error->code)) {
        case EC2_ERROR_CAPACITY:
                is_new = leave_out(launch, error->instance_type, error->subnet, true);
                break;
        case EC2_ERROR_TYPE:
                is_new = leave_out(launch, error->instance_type, NULL, false);
                break;
        case EC2_ERROR_NO_SUBNET:
                is_new = leave_out(launch, NULL, error->subnet, false);
                if (is_new)
                        launch_tell_no_subnet(launch, error->subnet);
                break;
        case EC2_ERROR_SUBNET:
                is_new = leave_out(launch, NULL, error->subnet, false);
                break;
        case EC2_ERROR_QUOTA: /* of processors: a smaller type may fit */
                launch->at_quota = true;
                if (error->instance_type[0])
                        is_new = pools_leave_out_from_size(
                                &launch->offers, error->instance_type, &launch->left_out);
                else
                        judgement->quota = true;
                break;
        case EC2_ERROR_THROTTLED:
                judgement->throttled = true;
                break;
        case EC2_ERROR_UNSURE:
                judgement->unsure = true;
                break;
        case EC2_ERROR_FATAL:
                judgement->failed = judgement->failed || !names_pool;
                __attribute__((fallthrough));
        case EC2_ERROR_UNKNOWN:
        case EC2_ERROR_TOKEN_ENDED:
        case EC2_ERROR_TOKEN_OTHER:
        default: /* of one pool: others may do */
                launch->unknown = true;
                is_new = leave_out(launch, error->instance_type, error->subnet, false);
                break;
        }
        judgement->is_new = judgement->is_new || is_new;
}

void launch_log_errors(const struct launch *launch, const struct ec2_launched *answer)
{
        const struct ec2_fleet_error *first = &answer->errors[0];

        log_warning(&launch->scaler->log, "EC2 could not launch everywhere",
                LOG_TEXT("code", first->code), LOG_TEXT("type", first->instance_type),
                LOG_TEXT("subnet", first->subnet),
                LOG_TEXT("market", launch_on_spot(launch) ? "spot" : "on-demand"),
                LOG_NUMBER("errors", (int64_t)answer->n_errors),
                LOG_NUMBER("instances", (int64_t)answer->instances.count),
                LOG_TEXT("spec", launch->spec->name));
}

void launch_after_errors(struct launch *launch, const struct ec2_launched *answer)
{
        struct judgement judgement = {0};

        err_set(&launch->err, 0, "CreateFleet: EC2 launched fewer machines than were asked for");
        if (answer->n_errors > 0)
                err_set(&launch->err, 0, "CreateFleet: %s: %s", answer->errors[0].code,
                        answer->errors[0].message);
        for (size_t i = 0; i < answer->n_errors; i++)
                judge_error(launch, &answer->errors[i], &judgement);
        if (judgement.failed)
                launch->outcome = LAUNCH_FAILED;
        else if (judgement.throttled)
                launch->outcome = LAUNCH_THROTTLED;
        else if (judgement.unsure)
                launch->outcome = LAUNCH_UNSURE;
        else if (judgement.quota)
                launch_leave_market(launch, LAUNCH_QUOTA);
        else if (!judgement.is_new)
                launch_leave_market(launch, LAUNCH_NO_CAPACITY);
}

static bool has_word(const char *text, const char *word)
{
        const char *found = strstr(text, word);

        return found && !isalnum((unsigned char)found[strlen(word)]) &&
               (found == text || !isalnum((unsigned char)found[-1]));
}

/* EC2 refuses a whole fleet for types that the region lacks, and names them in its words. */
static bool leave_out_named(struct launch *launch, const char *message)
{
        bool is_new = false;

        for (size_t i = 0; i < launch->offers.n_rungs; i++) {
                const char *type = launch->offers.rungs[i].type;

                if (has_word(message, type))
                        is_new = leave_out(launch, type, NULL, false) || is_new;
        }
        return is_new;
}

void launch_after_refused_fleet(struct launch *launch, const struct aws_error *error)
{
        enum ec2_error_class class = ec2_classify(error->code);

        if ((class == EC2_ERROR_FATAL || class == EC2_ERROR_UNKNOWN) &&
                leave_out_named(launch, error->message)) {
                launch->unknown = true;
                return;
        }
        switch (class) {
        case EC2_ERROR_THROTTLED:
                launch->outcome = LAUNCH_THROTTLED;
                break;
        case EC2_ERROR_UNSURE:
                launch->outcome = LAUNCH_UNSURE;
                break;
        case EC2_ERROR_TOKEN_ENDED:
                launch_take_new_token(launch);
                break;
        case EC2_ERROR_QUOTA:
                launch_leave_market(launch, LAUNCH_QUOTA);
                break;
        case EC2_ERROR_NO_SUBNET: /* one was deleted since: ask again which there are */
                ec2_subnets_release(&launch->scaler->zones);
                launch->knows_zones = false;
                break;
        case EC2_ERROR_UNKNOWN:
                launch->unknown = true;
                launch_leave_market(launch, LAUNCH_NO_CAPACITY);
                break;
        case EC2_ERROR_CAPACITY:
        case EC2_ERROR_TYPE:
        case EC2_ERROR_SUBNET:
                launch_leave_market(launch, LAUNCH_NO_CAPACITY);
                break;
        case EC2_ERROR_TOKEN_OTHER:
        case EC2_ERROR_FATAL:
        default:
                launch->outcome = LAUNCH_FAILED;
                break;
        }
}
