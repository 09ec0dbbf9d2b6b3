/* SPDX-License-Identifier: MIT */

/*
 * Reads the parameters in one call for ten machines, deregisters all runners at the same time, and
 * deletes the parameters last: they are the evidence for another try.
 */

#include "ended_machines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ssm.h"
#include "exchange/handover.h"
#include "give_back.h"
#include "job.h"
#include "machine/leftovers.h"
#include "machine/notifications.h"
#include "token_requests.h"

struct end {
        struct ended_machine *machine;
        struct ends *ends;
        struct handover handover; /* runner_id 0: none, or one that cannot be read */
        bool has_parameter;
        int64_t installation;
        char scope[GITHUB_SCOPE_SIZE];
        bool is_busy; /* GitHub thinks that its runner works */
};

struct ends {
        struct scaler *scaler;
        struct aws *aws;
        const struct config *config;
        struct token_requests tokens;
        struct end *items;
        size_t n_items;
};

static void ends_release(struct ends *ends)
{
        for (size_t i = 0; i < ends->n_items; i++)
                handover_release(&ends->items[i].handover);
        free(ends->items);
        token_requests_release(&ends->tokens);
}

static void fail(struct end *end, int r, const struct err *err)
{
        if (end->machine->result < 0)
                return;
        end->machine->result = r;
        end->machine->err = *err;
        err_prefix(&end->machine->err, r, "instance %s", end->machine->instance->id);
}

/* -- the parameters -- */

static void read_parameter(struct end *end, const char *value)
{
        struct err err;

        if (!value)
                return;
        end->has_parameter = true;
        if (handover_parse(value, strlen(value), &end->handover, &err) < 0)
                log_error(&end->ends->scaler->log,
                        "hand-over of an ended machine cannot be parsed and is deleted",
                        LOG_TEXT("instance", end->machine->instance->id),
                        LOG_TEXT("error", err.text));
}

/* As many as one call to SSM takes. */
static void read_some(struct ends *ends, size_t first, size_t n)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ssm_free_parameters) cJSON *found = NULL;
        char *names[SSM_NAMES_MAX];
        struct err err;
        int r;

        for (size_t i = 0; i < n; i++)
                names[i] = handover_parameter(
                        ends->config->prefix, ends->items[first + i].machine->instance->id);
        call = scaler_call(
                ends->scaler, ssm_get_parameters(ends->aws, (const char *const *)names, n));
        r = ssm_get_parameters_answer(call, &found, &err);
        for (size_t i = 0; i < n; i++) {
                if (r < 0)
                        fail(&ends->items[first + i], r, &err);
                else
                        read_parameter(&ends->items[first + i],
                                cJSON_GetStringValue(
                                        cJSON_GetObjectItemCaseSensitive(found, names[i])));
                free(names[i]);
        }
}

/* -- the runners -- */

static void on_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct end *end = userdata;
        struct err err;
        int r = github_delete_runner_answer(call, &err);

        token_note_result(end->ends->scaler, end->ends->tokens.github, end->installation, r);
        end->is_busy = r == GITHUB_RUNNER_BUSY;
        if (r < 0)
                fail(end, r, &err);
        else if (r == 0)
                log_info(&end->ends->scaler->log, "deregistered the runner of an ended machine",
                        LOG_TEXT("instance", end->machine->instance->id));
}

static void delete_runner(struct end *end, int64_t runner_id)
{
        struct http_call *call = github_delete_runner(
                end->ends->tokens.github, end->installation, end->scope, runner_id);

        call->done = on_deleted;
        call->userdata = end;
        scaler_start(end->ends->scaler, call);
}

static void on_found(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct end *end = userdata;
        struct github_runner runner = {0};
        struct err err;
        int r = github_find_runner_answer(call, end->machine->instance->id, &runner, &err);

        token_note_result(end->ends->scaler, end->ends->tokens.github, end->installation, r);
        if (r < 0)
                fail(end, r, &err);
        else if (r == 0)
                delete_runner(end, runner.id);
}

static void on_token(void *userdata, const struct setback *setback)
{
        struct end *end = userdata;
        struct http_call *call;

        if (setback) {
                fail(end, setback->result, &setback->err);
                return;
        }
        if (end->handover.runner_id > 0) {
                delete_runner(end, end->handover.runner_id);
                return;
        }
        call = github_find_runner(end->ends->tokens.github, end->installation, end->scope,
                end->machine->instance->id);
        call->done = on_found;
        call->userdata = end;
        scaler_start(end->ends->scaler, call);
}

/* Whether a job ran on the machine, and then it ended itself: GitHub has forgotten its runner. */
static bool has_done_its_job(const struct ec2_instance *instance)
{
        return instance && ec2_instance_tag(instance, JOB_TAG) &&
               strcmp(instance->state_reason, "Client.InstanceInitiatedShutdown") == 0;
}

static void deregister(struct end *end)
{
        const struct ec2_instance *instance = end->machine->instance;
        const char *scope = ec2_instance_tag(instance, "scale-agent:scope");
        const char *installation = ec2_instance_tag(instance, "scale-agent:installation");

        if (!scope)
                scope = end->handover.scope; /* EC2 has forgotten the machine */
        if (!scope || (!end->has_parameter && has_done_its_job(instance)))
                return;
        snprintf(end->scope, sizeof(end->scope), "%s", scope);
        end->installation =
                installation ? strtoll(installation, NULL, 10) : end->handover.job.installation;
        token_requests_add(&end->ends->tokens, end->installation);
        token_requests_await(&end->ends->tokens, end->installation, on_token, end);
}

/* -- what follows -- */

/* A machine whose runner took a job has only failed to delete its parameter. */
static int give_back(struct end *end, struct err *err)
{
        const struct ec2_instance *instance = end->machine->instance;
        bool given_back = false;
        int r;

        if (end->handover.job.id == 0 || ec2_instance_tag(instance, JOB_TAG))
                return 0;
        r = give_back_job(end->ends->scaler, &end->handover.job, end->handover.spec,
                &end->handover.times, &given_back, err);
        return r < 0 ? r
                     : tell_machine_ended_early(
                               end->ends->scaler, instance->id, &end->handover, given_back, err);
}

static void follow_up(struct end *end)
{
        struct err err;
        int r = give_back(end, &err);

        if (r == 0 && end->is_busy)
                r = tell_job_lost(
                        end->ends->scaler, end->machine->instance, "its machine ended", &err);
        if (r < 0)
                fail(end, r, &err);
}

static void delete_parameters(struct ends *ends)
{
        _cleanup_free_ const char **ids = mem_alloc(ends->n_items * sizeof(char *));
        struct err err;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < ends->n_items; i++)
                if (ends->items[i].has_parameter && ends->items[i].machine->result == 0)
                        ids[n++] = ends->items[i].machine->instance->id;
        r = leftovers_delete_parameters(
                ends->scaler, ends->aws, ends->config->prefix, ids, n, &err);
        for (size_t i = 0; r < 0 && i < ends->n_items; i++)
                if (ends->items[i].has_parameter)
                        fail(&ends->items[i], r, &err);
}

static void handle_all(struct ends *ends)
{
        for (size_t i = 0; i < ends->n_items; i += SSM_NAMES_MAX)
                read_some(ends, i,
                        ends->n_items - i < SSM_NAMES_MAX ? ends->n_items - i : SSM_NAMES_MAX);
        for (size_t i = 0; i < ends->n_items; i++)
                if (ends->items[i].machine->result == 0)
                        deregister(&ends->items[i]);
        http_finish(scaler_http(ends->scaler));
        for (size_t i = 0; i < ends->n_items; i++)
                if (ends->items[i].machine->result == 0)
                        follow_up(&ends->items[i]);
        delete_parameters(ends);
}

void handle_ended_machines(
        struct scaler *scaler, struct aws *aws, struct ended_machine *machines, size_t n_machines)
{
        _cleanup_(ends_release) struct ends ends = {.scaler = scaler, .aws = aws};
        struct err err;
        int r = scaler_config(scaler, &ends.config, &err);

        if (r == 0)
                r = token_requests_init(&ends.tokens, scaler, &err);
        ends.items = mem_alloc(n_machines * sizeof(struct end));
        for (size_t i = 0; i < n_machines; i++) {
                struct end *end = &ends.items[ends.n_items++];

                *end = (struct end){.machine = &machines[i], .ends = &ends};
                log_info(&scaler->log, "machine ended",
                        LOG_TEXT("instance", machines[i].instance->id),
                        LOG_TEXT(
                                "spec", ec2_instance_tag(machines[i].instance, "scale-agent:spec")),
                        LOG_TEXT("reason", machines[i].instance->state_reason));
                if (r < 0)
                        fail(end, r, &err);
        }
        if (r == 0)
                handle_all(&ends);
}
