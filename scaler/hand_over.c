/* SPDX-License-Identifier: MIT */

/*
 * Third stage of a job's life: instance launched -> runner registered -> parameter stored. Each
 * step is a call and what follows from its answer:
 *
 *      generate-jitconfig --> PutParameter --> done
 *        name taken: find the runner, delete it, ask again   (an earlier try whose answer was lost)
 *        parameter exists: delete it, put again              (the same)
 */

#include "hand_over.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/ssm.h"
#include "handover.h"

/* https://docs.github.com/en/rest/actions/self-hosted-runners: generate-jitconfig */
#define GITHUB_LABELS_MAX 100

static void ask_jitconfig(struct hand_over *hand_over);
static void put_parameter(struct hand_over *hand_over);

static void begin(struct hand_over *hand_over, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata))
{
        call->done = done;
        call->userdata = hand_over;
        http_start(scaler_http(hand_over->scaler), call);
}

void hand_over_fail(struct hand_over *hand_over, int result, const struct err *err)
{
        hand_over->state = HAND_OVER_FAILED;
        hand_over->result = result;
        if (err != &hand_over->err)
                hand_over->err = *err;
}

static void fail(struct hand_over *hand_over, int result)
{
        hand_over_fail(hand_over,
                err_prefix(&hand_over->err, result, "instance %s", hand_over->instance.id),
                &hand_over->err);
}

/* Something left by an earlier try is in the way: true if that may be cleared once more. */
static bool may_clear(struct hand_over *hand_over)
{
        if (hand_over->second_try)
                return false;
        hand_over->second_try = true;
        return true;
}

/* The instance's ARN, which its role's policy compares with the parameter's tag. */
static char *instance_arn(const struct hand_over *hand_over)
{
        const char *region = hand_over->aws->region;
        const char *partition = strncmp(region, "cn-", 3) == 0       ? "aws-cn"
                                : strncmp(region, "us-gov-", 7) == 0 ? "aws-us-gov"
                                                                     : "aws";

        return mem_format("arn:%s:ec2:%s:%s:instance/%s", partition, region,
                hand_over->instance.account, hand_over->instance.id);
}

/* -- the parameter --------------------------------------------------------------------------------
 */

static void on_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct hand_over *hand_over = userdata;
        int r = ssm_delete_parameters_answer(call, NULL, &hand_over->err);

        if (r < 0)
                fail(hand_over, r);
        else
                put_parameter(hand_over);
}

static void on_stored(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct hand_over *hand_over = userdata;
        const char *name = hand_over->parameter;
        int r = ssm_put_parameter_answer(call, &hand_over->err);

        if (r == SSM_EXISTS && may_clear(hand_over)) {
                begin(hand_over, ssm_delete_parameters(hand_over->aws, &name, 1), on_deleted);
        } else if (r == SSM_EXISTS) {
                fail(hand_over, err_set(&hand_over->err, -EEXIST,
                                        "SSM parameter %s exists, and exists again after it was "
                                        "deleted",
                                        name));
        } else if (r < 0) {
                fail(hand_over, err_prefix(&hand_over->err, r, "SSM parameter %s", name));
        } else {
                hand_over->state = HAND_OVER_DONE;
        }
}

static void put_parameter(struct hand_over *hand_over)
{
        _cleanup_free_ char *arn = instance_arn(hand_over);

        begin(hand_over,
                ssm_put_parameter(
                        hand_over->aws, hand_over->parameter, hand_over->value, HANDOVER_TAG, arn),
                on_stored);
}

static char *print_value(const struct hand_over *hand_over, const struct github_jitconfig *jit)
{
        const struct config_spec *spec = hand_over->spec;
        const struct handover handover = {
                .jit_config = jit->encoded,
                .prefix = hand_over->config->prefix,
                .spec = spec->name,
                .scope = (char *)hand_over->scope,
                .runner_id = jit->runner_id,
                .idle_limit_seconds = spec->idle_limit_seconds,
                .job_limit_seconds = spec->job_limit_seconds,
                .job = job_for_handover(hand_over->job),
                .times =
                        {
                                .queued = hand_over->job->queued_ms,
                                .webhook = hand_over->job->webhook_ms,
                                .launched = hand_over->launched_ms,
                                .handed_over = clock_wall_ms(hand_over->scaler->clock),
                        },
        };

        return handover_print(&handover);
}

/* -- the runner -----------------------------------------------------------------------------------
 */

static void on_runner_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct hand_over *hand_over = userdata;
        int r = github_delete_runner_answer(call, &hand_over->err);

        if (r == GITHUB_RUNNER_BUSY)
                r = err_set(&hand_over->err, -EBUSY, "a runner of its name runs a job already");
        if (r < 0)
                fail(hand_over, r);
        else
                ask_jitconfig(hand_over);
}

static void on_found(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct hand_over *hand_over = userdata;
        int64_t runner_id = 0;
        int r = github_find_runner_answer(
                call, hand_over->instance.id, &runner_id, &hand_over->err);

        if (r < 0)
                fail(hand_over, r);
        else if (r == GITHUB_NOT_FOUND)
                ask_jitconfig(hand_over);
        else
                begin(hand_over,
                        github_delete_runner(hand_over->github, hand_over->installation,
                                hand_over->scope, runner_id),
                        on_runner_deleted);
}

static void on_jitconfig(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(github_jitconfig_release) struct github_jitconfig jit = {0};
        struct hand_over *hand_over = userdata;
        int r = github_generate_jitconfig_answer(call, &jit, &hand_over->err);

        if (r == GITHUB_NAME_TAKEN && may_clear(hand_over)) {
                begin(hand_over,
                        github_find_runner(hand_over->github, hand_over->installation,
                                hand_over->scope, hand_over->instance.id),
                        on_found);
        } else if (r == GITHUB_NAME_TAKEN) {
                fail(hand_over, err_set(&hand_over->err, -EEXIST,
                                        "a runner of its name exists on GitHub, and exists again "
                                        "after it was deleted"));
        } else if (r < 0) {
                /* A token that was taken back must not stay in a warm process. */
                if (r == -EKEYREJECTED) {
                        github_forget_token(hand_over->github, hand_over->installation);
                        hand_over->scaler->github_refused = true;
                }
                fail(hand_over, r);
        } else {
                hand_over->scaler->github_refused = false;
                hand_over->runner_id = jit.runner_id;
                hand_over->second_try = false;
                hand_over->value = print_value(hand_over, &jit);
                put_parameter(hand_over);
        }
}

/* The spec's labels and the instance type that the job was matched with: GitHub gives a job that
 * names a type only to a runner that has it as a label, whatever type was launched in its place. */
static size_t runner_labels(const struct hand_over *hand_over, const char **labels)
{
        const struct config_spec *spec = hand_over->spec;
        const char *type = hand_over->job->instance_type;
        bool has_type = spec->n_labels >= GITHUB_LABELS_MAX;

        for (size_t i = 0; i < spec->n_labels; i++) {
                labels[i] = spec->labels[i];
                has_type = has_type || strcasecmp(spec->labels[i], type) == 0;
        }
        if (has_type)
                return spec->n_labels;
        labels[spec->n_labels] = type;
        return spec->n_labels + 1;
}

static void ask_jitconfig(struct hand_over *hand_over)
{
        _cleanup_free_ const char **labels =
                mem_alloc((hand_over->spec->n_labels + 1) * sizeof(char *));
        const struct github_runner_request request = {
                .installation = hand_over->installation,
                .scope = hand_over->scope,
                .name = hand_over->instance.id,
                .labels = labels,
                .n_labels = runner_labels(hand_over, labels),
                .runner_group_id = hand_over->spec->runner_group_id,
        };

        begin(hand_over, github_generate_jitconfig(hand_over->github, &request), on_jitconfig);
}

void hand_over_start(struct hand_over *hand_over)
{
        hand_over->state = HAND_OVER_UNDER_WAY;
        hand_over->parameter =
                handover_parameter(hand_over->config->prefix, hand_over->instance.id);
        ask_jitconfig(hand_over);
}

void hand_over_release(struct hand_over *hand_over)
{
        free(hand_over->parameter);
        mem_free_secret(hand_over->value);
}
