/* SPDX-License-Identifier: MIT */

/*
 * Reads the hand-overs, and deletes the runners of all machines at the same time.
 */

#include "deregister.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ssm.h"
#include "machine/leftovers.h"

void deregistration_fail(struct deregistration *item, int r, const struct err *err)
{
        if (item->machine->result < 0)
                return;
        item->machine->result = r;
        item->machine->err = *err;
        err_prefix(&item->machine->err, r, "instance %s", item->machine->instance->id);
}

/* -- the hand-overs -- */

static void read_handover(struct deregistration *item, const char *value)
{
        struct err err;

        if (!value)
                return;
        item->has_parameter = true;
        if (handover_parse(value, strlen(value), &item->handover, &err) < 0)
                log_error(&item->all->scaler->log, "hand-over of a machine cannot be parsed",
                        LOG_TEXT("instance", item->machine->instance->id),
                        LOG_TEXT("error", err.text));
}

/* As many as one call to SSM takes. */
static void read_parameters(
        struct deregistrations *all, struct deregistration *const *items, size_t n)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ssm_free_parameters) cJSON *found = NULL;
        char *names[SSM_NAMES_MAX];
        struct err err;
        int r;

        for (size_t i = 0; i < n; i++)
                names[i] = handover_parameter(all->config->prefix, items[i]->machine->instance->id);
        call = scaler_call(
                all->scaler, ssm_get_parameters(all->aws, (const char *const *)names, n));
        r = ssm_get_parameters_answer(call, &found, &err);
        for (size_t i = 0; i < n; i++) {
                if (r < 0)
                        deregistration_fail(items[i], r, &err);
                else
                        read_handover(items[i],
                                cJSON_GetStringValue(
                                        cJSON_GetObjectItemCaseSensitive(found, names[i])));
                free(names[i]);
        }
}

/* All at the same time: S3 reads one object with a call. */
static void read_objects(struct deregistrations *all, struct deregistration *const *items, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                items[i]->read = store_get(items[i]->store, items[i]->machine->instance->id);
                scaler_start(all->scaler, items[i]->read);
        }
        for (size_t i = 0; i < n; i++) {
                _cleanup_(http_call_freep) struct http_call *call = MEM_STEAL(items[i]->read);
                _cleanup_buf_ struct buf value = BUF_INIT(STORE_VALUE_MAX);
                struct err err;
                int r;

                http_await(scaler_http(all->scaler), call);
                r = store_get_answer(items[i]->store, call, &value, &err);
                if (r < 0)
                        deregistration_fail(items[i], r, &err);
                else if (r == 0)
                        read_handover(items[i], buf_string(&value));
        }
}

/* Reads what is in STORE. */
static void read_store(struct deregistrations *all, const struct store *store)
{
        _cleanup_free_ struct deregistration **items = mem_alloc(all->n_items * sizeof(*items));
        size_t n = 0;

        for (size_t i = 0; i < all->n_items; i++)
                if (all->items[i].store == store)
                        items[n++] = &all->items[i];
        for (size_t i = 0; i < n; i += SSM_NAMES_MAX) {
                size_t some = n - i < SSM_NAMES_MAX ? n - i : SSM_NAMES_MAX;

                if (store_is_s3(store))
                        read_objects(all, items + i, some);
                else
                        read_parameters(all, items + i, some);
        }
}

void deregistrations_init(struct deregistrations *all, struct scaler *scaler, struct aws *aws,
        struct runner_machine *machines, size_t n_machines)
{
        struct err err;
        int r;

        *all = (struct deregistrations){.scaler = scaler, .aws = aws, .n_items = n_machines};
        r = scaler_config(scaler, &all->config, &err);
        if (r == 0) {
                stores_init(&all->stores, all->config, aws);
                r = token_requests_init(&all->tokens, scaler, &err);
        }
        all->items = mem_alloc(n_machines * sizeof(struct deregistration));
        for (size_t i = 0; i < n_machines; i++) {
                all->items[i] = (struct deregistration){.machine = &machines[i], .all = all};
                if (r < 0)
                        deregistration_fail(&all->items[i], r, &err);
                else
                        all->items[i].store = machines[i].is_in_s3 ? &all->stores.s3
                                                                   : stores_of(&all->stores,
                                                                             machines[i].instance);
        }
        if (r < 0)
                return;
        read_store(all, &all->stores.ssm);
        read_store(all, &all->stores.s3);
}

void deregistrations_release(struct deregistrations *all)
{
        for (size_t i = 0; i < all->n_items; i++)
                handover_release(&all->items[i].handover);
        free(all->items);
        token_requests_release(&all->tokens);
        stores_release(&all->stores);
}

/* Of those in STORE. */
static void delete_from(struct deregistrations *all, const struct store *store,
        bool (*may)(const struct deregistration *item))
{
        _cleanup_free_ struct deregistration **items = mem_alloc(all->n_items * sizeof(*items));
        _cleanup_free_ const char **ids = mem_alloc(all->n_items * sizeof(char *));
        struct err err;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < all->n_items; i++) {
                struct deregistration *item = &all->items[i];

                if (item->store != store || !item->has_parameter || item->machine->result < 0 ||
                        !may(item))
                        continue;
                items[n] = item;
                ids[n++] = item->machine->instance->id;
        }
        if (n == 0)
                return;
        r = leftovers_delete_handovers(all->scaler, store, ids, n, &err);
        for (size_t i = 0; r < 0 && i < n; i++)
                deregistration_fail(items[i], r, &err);
}

void deregistrations_delete_handovers(
        struct deregistrations *all, bool (*may)(const struct deregistration *item))
{
        delete_from(all, &all->stores.ssm, may);
        delete_from(all, &all->stores.s3, may);
}

/* -- the runners -- */

static void on_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct deregistration *item = userdata;
        struct err err;
        int r = github_delete_runner_answer(call, &err);

        token_note_scope_result(
                item->all->scaler, item->all->tokens.github, item->scope, item->installation, r);
        item->is_busy = r == GITHUB_RUNNER_BUSY;
        item->is_done = r >= 0 && !item->is_busy;
        if (r < 0)
                deregistration_fail(item, r, &err);
        else if (r == 0)
                log_info(&item->all->scaler->log, "deregistered the runner of a machine",
                        LOG_TEXT("instance", item->machine->instance->id));
}

static void delete_runner(struct deregistration *item, int64_t runner_id)
{
        struct http_call *call = github_delete_runner(
                item->all->tokens.github, item->installation, item->scope, runner_id);

        call->done = on_deleted;
        call->userdata = item;
        scaler_start(item->all->scaler, call);
}

static void on_found(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct deregistration *item = userdata;
        struct github_runner runner = {0};
        struct err err;
        int r = github_find_runner_answer(call, item->machine->instance->id, &runner, &err);

        token_note_scope_result(
                item->all->scaler, item->all->tokens.github, item->scope, item->installation, r);
        item->is_done = r > 0;
        if (r < 0)
                deregistration_fail(item, r, &err);
        else if (r == 0)
                delete_runner(item, runner.id);
}

static void on_token(void *userdata, const struct setback *setback)
{
        struct deregistration *item = userdata;
        struct http_call *call;

        if (setback) {
                deregistration_fail(item, setback->result, &setback->err);
                return;
        }
        if (item->handover.runner_id > 0) {
                delete_runner(item, item->handover.runner_id);
                return;
        }
        call = github_find_runner(item->all->tokens.github, item->installation, item->scope,
                item->machine->instance->id);
        call->done = on_found;
        call->userdata = item;
        scaler_start(item->all->scaler, call);
}

void deregister(struct deregistration *item)
{
        const struct ec2_instance *instance = item->machine->instance;
        const char *scope = ec2_instance_tag(instance, "scale-agent:scope");
        const char *installation = ec2_instance_tag(instance, "scale-agent:installation");

        if (!scope)
                scope = item->handover.scope; /* EC2 has forgotten the machine */
        if (!scope)
                return;
        snprintf(item->scope, sizeof(item->scope), "%s", scope);
        item->installation =
                installation ? strtoll(installation, NULL, 10) : item->handover.job.installation;
        token_requests_for_scope(
                &item->all->tokens, item->scope, item->installation, on_token, item);
}
