/* SPDX-License-Identifier: MIT */

/*
 * Second stage of a job's life, second half: from the launched instance to the registered runner
 * and the stored hand-over. Each step is a call and what follows from its answer:
 *
 *      generate-jitconfig --> PutParameter --> done
 *        name taken: find the runner, delete it, ask again
 *        parameter exists: delete it, put it again
 *
 * An earlier try whose answer was lost leaves such a runner or parameter behind.
 */

#include "registration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/ssm.h"
#include "exchange/handover.h"

static void ask_jitconfig(struct registration *registration);
static void put_parameter(struct registration *registration);

static void start_call(struct registration *registration, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata))
{
        call->done = done;
        call->userdata = registration;
        scaler_start(registration->scaler, call);
}

void registration_fail(struct registration *registration, int result, const struct err *err)
{
        registration->state = REGISTRATION_FAILED;
        registration->result = result;
        if (err != &registration->err)
                registration->err = *err;
}

static void fail(struct registration *registration, int result)
{
        registration_fail(registration,
                err_prefix(&registration->err, result, "instance %s", registration->instance.id),
                &registration->err);
}

/* An earlier try left something in the way: true if it may be deleted, which is done once. */
static bool may_clear(struct registration *registration)
{
        if (registration->cleared)
                return false;
        registration->cleared = true;
        return true;
}

/* The instance's ARN, which the policy of its role compares with the tag of the parameter. */
static char *instance_arn(const struct registration *registration)
{
        const char *region = registration->aws->region;

        return mem_format("arn:%s:ec2:%s:%s:instance/%s", aws_partition(region), region,
                registration->instance.account, registration->instance.id);
}

/* -- the parameter -- */

static void on_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct registration *registration = userdata;
        int r = ssm_delete_parameters_answer(call, NULL, &registration->err);

        if (r < 0)
                fail(registration, r);
        else
                put_parameter(registration);
}

static void on_stored(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct registration *registration = userdata;
        const char *name = registration->parameter;
        int r = ssm_put_parameter_answer(call, &registration->err);

        if (r == SSM_EXISTS && may_clear(registration)) {
                start_call(registration, ssm_delete_parameters(registration->aws, &name, 1),
                        on_deleted);
        } else if (r == SSM_EXISTS) {
                r = err_set(&registration->err, -EEXIST,
                        "SSM parameter %s exists, and exists again after it was deleted", name);
                fail(registration, r);
        } else if (r < 0) {
                fail(registration, err_prefix(&registration->err, r, "SSM parameter %s", name));
        } else {
                registration->state = REGISTRATION_DONE;
        }
}

static void put_parameter(struct registration *registration)
{
        _cleanup_free_ char *arn = instance_arn(registration);

        start_call(registration,
                ssm_put_parameter(registration->aws, registration->parameter, registration->value,
                        HANDOVER_TAG, arn),
                on_stored);
}

static char *print_handover(
        const struct registration *registration, const struct github_jitconfig *jit)
{
        const struct config_spec *spec = registration->spec;
        const struct handover handover = {
                .jit_config = jit->encoded,
                .prefix = registration->config->prefix,
                .spec = spec->name,
                .scope = (char *)registration->scope,
                .runner_id = jit->runner_id,
                .idle_limit_seconds = spec->idle_limit_seconds,
                .job_limit_seconds = spec->job_limit_seconds,
                .job = job_for_handover(registration->job),
                .times =
                        {
                                .queued = registration->job->queued_ms,
                                .webhook = registration->job->webhook_ms,
                                .launched = registration->launched_ms,
                                .handed_over = clock_wall_ms(registration->scaler->clock),
                        },
        };

        return handover_print(&handover);
}

/* -- the runner -- */

static void on_runner_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct registration *registration = userdata;
        int r = github_delete_runner_answer(call, &registration->err);

        if (r == GITHUB_RUNNER_BUSY)
                r = err_set(&registration->err, -EBUSY,
                        "a runner of this name is already running a job");
        if (r < 0)
                fail(registration, r);
        else
                ask_jitconfig(registration);
}

static void on_found(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct registration *registration = userdata;
        int64_t runner_id = 0;
        int r = github_find_runner_answer(
                call, registration->instance.id, &runner_id, &registration->err);

        if (r < 0)
                fail(registration, r);
        else if (r == GITHUB_NOT_FOUND)
                ask_jitconfig(registration);
        else
                start_call(registration,
                        github_delete_runner(registration->github, registration->installation,
                                registration->scope, runner_id),
                        on_runner_deleted);
}

static void on_jitconfig(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_(github_jitconfig_release) struct github_jitconfig jit = {0};
        struct registration *registration = userdata;
        int r = github_generate_jitconfig_answer(call, &jit, &registration->err);

        if (r == GITHUB_NAME_TAKEN && may_clear(registration)) {
                start_call(registration,
                        github_find_runner(registration->github, registration->installation,
                                registration->scope, registration->instance.id),
                        on_found);
        } else if (r == GITHUB_NAME_TAKEN) {
                r = err_set(&registration->err, -EEXIST,
                        "a runner of this name exists on GitHub, "
                        "and exists again after it was deleted");
                fail(registration, r);
        } else if (r < 0) {
                /* A warm process must not keep a token that was revoked. */
                if (r == -EKEYREJECTED) {
                        github_forget_token(registration->github, registration->installation);
                        registration->scaler->github_refused = true;
                }
                fail(registration, r);
        } else {
                registration->scaler->github_refused = false;
                registration->runner_id = jit.runner_id;
                registration->cleared = false;
                registration->value = print_handover(registration, &jit);
                put_parameter(registration);
        }
}

/* The spec's labels, and the instance type that the job asked for: GitHub gives such a job only to
 * a runner that has the type as a label, whatever type was launched in its place. */
static size_t runner_labels(const struct registration *registration, const char **labels)
{
        const struct config_spec *spec = registration->spec;
        const char *type = registration->job->instance_type;
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

static void ask_jitconfig(struct registration *registration)
{
        _cleanup_free_ const char **labels =
                mem_alloc((registration->spec->n_labels + 1) * sizeof(char *));
        const struct github_runner_request request = {
                .installation = registration->installation,
                .scope = registration->scope,
                .name = registration->instance.id,
                .labels = labels,
                .n_labels = runner_labels(registration, labels),
                .runner_group_id = registration->spec->runner_group_id,
        };

        start_call(registration, github_generate_jitconfig(registration->github, &request),
                on_jitconfig);
}

void registration_start(struct registration *registration)
{
        registration->state = REGISTRATION_UNDER_WAY;
        registration->parameter =
                handover_parameter(registration->config->prefix, registration->instance.id);
        ask_jitconfig(registration);
}

void registration_release(struct registration *registration)
{
        free(registration->parameter);
        mem_free_secret(registration->value);
}
