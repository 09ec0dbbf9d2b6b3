/* SPDX-License-Identifier: MIT */

/*
 * Makes the calls of a registration, and reads their answers.
 */

#include "registration_steps.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exchange/handover.h"
#include "pace.h"
#include "ticket.h"
#include "token_requests.h"

/* -- the parameter -- */

/* A report comes while the job runs, or within a day after the most that it may take. */
#define TICKET_LIFE_MS(job_limit_seconds) (((job_limit_seconds) + 86400) * MSEC_PER_SEC)

/* Signs what the hand-over says of the launch. */
static char *print_ticket(const struct registration *registration, const struct handover *handover)
{
        const struct ticket ticket = {
                /* Everything is borrowed: the ticket is printed and never released. */
                .prefix = handover->prefix,
                .account = (char *)registration->instance.account,
                .region = registration->aws->region,
                .instance = (char *)registration->instance.id,
                .type = (char *)registration->instance.type,
                .spec = handover->spec,
                .scope = handover->scope,
                .runner_id = handover->runner_id,
                .expires_ms =
                        handover->times.handed_over + TICKET_LIFE_MS(handover->job_limit_seconds),
                .job = handover->job,
                .times = handover->times,
        };

        return ticket_print(&ticket, registration->ticket_keys);
}

static char *print_handover(
        const struct registration *registration, const struct github_jitconfig *jit)
{
        const struct config_spec *spec = registration->spec;
        _cleanup_free_ char *ticket = NULL;
        struct handover handover = {
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

        ticket = print_ticket(registration, &handover);
        handover.ticket = ticket;
        return handover_print(&handover);
}

static struct http_call *make_get(struct registration *registration)
{
        return store_get(&registration->store, registration->instance.id);
}

/* A finding, or negative. *ret_runner_id is the runner of the stored hand-over. */
static int read_stored(const struct registration *registration, const struct http_call *call,
        int64_t *ret_runner_id, struct err *err)
{
        _cleanup_buf_ struct buf value = BUF_INIT(STORE_VALUE_MAX);
        _cleanup_(handover_release) struct handover handover = {0};
        struct err fault;
        int r = store_get_answer(&registration->store, call, &value, err);

        if (r != 0)
                return r < 0 ? r : IS_ABSENT;
        if (handover_parse(buf_string(&value), value.size, &handover, &fault) < 0) {
                log_warning(&registration->scaler->log, "the stored hand-over cannot be read",
                        LOG_TEXT("instance", registration->instance.id),
                        LOG_TEXT("error", fault.text));
                return IS_GARBLED;
        }
        *ret_runner_id = handover.runner_id;
        return IS_PRESENT;
}

static int read_look(
        struct registration *registration, const struct http_call *call, struct err *err)
{
        return read_stored(registration, call, &registration->runner_id, err);
}

static int read_compare(
        struct registration *registration, const struct http_call *call, struct err *err)
{
        int64_t runner_id = 0;
        int found = read_stored(registration, call, &runner_id, err);

        if (found != IS_PRESENT)
                return found;
        return runner_id == registration->runner_id ? IS_OURS : IS_OTHERS;
}

static struct http_call *make_put(struct registration *registration)
{
        registration->stores++;
        return store_put(&registration->store, registration->instance.id, registration->value);
}

/* If the parameter has another's tag, the machine ends without a hand-over, and the watch launches
 * for the job again. */
static struct http_call *make_replace(struct registration *registration)
{
        return store_replace(&registration->store, registration->instance.id, registration->value);
}

static int read_put(
        struct registration *registration, const struct http_call *call, struct err *err)
{
        _cleanup_free_ char *name = store_name(&registration->store, registration->instance.id);
        int r = store_put_answer(&registration->store, call, err);

        if (r < 0)
                return err_prefix(err, r, "%s", name);
        registration->stored = r == 0;
        return r == STORE_EXISTS ? IS_TAKEN : IS_DONE;
}

static int read_replace(
        struct registration *registration, const struct http_call *call, struct err *err)
{
        _cleanup_free_ char *name = store_name(&registration->store, registration->instance.id);
        int r = store_replace_answer(&registration->store, call, err);

        if (r < 0)
                return err_prefix(err, r, "%s", name);
        registration->stored = true;
        return IS_DONE;
}

/* -- the runner -- */

/* The spec's labels, and what the job asked for besides: the instance type, whatever type was
 * launched in its place, and its own run- label. GitHub gives a job only to a runner that has all
 * of its labels. */
static size_t runner_labels(const struct registration *registration, const char **labels)
{
        const struct config_spec *spec = registration->spec;
        const struct job *job = registration->job;
        const char *run_label = NULL;
        size_t n = spec->n_labels;
        bool has_type = false;

        for (size_t i = 0; i < spec->n_labels; i++) {
                labels[i] = spec->labels[i];
                has_type = has_type || strcasecmp(spec->labels[i], job->instance_type) == 0;
        }
        if (!has_type)
                labels[n++] = job->instance_type;
        (void)config_run_label((const char *const *)job->labels, job->n_labels, &run_label, NULL);
        if (run_label)
                labels[n++] = run_label;
        return n;
}

static struct http_call *make_jitconfig(struct registration *registration)
{
        _cleanup_free_ const char **labels =
                mem_alloc((registration->spec->n_labels + CONFIG_LABELS_FREE) * sizeof(char *));
        const struct github_runner_request request = {
                .installation = registration->installation,
                .scope = registration->scope,
                .name = registration->instance.id,
                .labels = labels,
                .n_labels = runner_labels(registration, labels),
                .runner_group_id = registration->spec->runner_group_id,
        };

        registration->mints++;
        return github_generate_jitconfig(registration->github, &request);
}

static int read_jitconfig(
        struct registration *registration, const struct http_call *call, struct err *err)
{
        _cleanup_(github_jitconfig_release) struct github_jitconfig jit = {0};
        int r = github_generate_jitconfig_answer(call, &jit, err);

        if (r == GITHUB_NAME_TAKEN)
                return IS_TAKEN;
        token_note_scope_result(registration->scaler, registration->github, registration->scope,
                registration->installation, r);
        if (r < 0)
                return r;
        registration->runner_id = jit.runner_id;
        mem_free_secret(registration->value);
        registration->value = print_handover(registration, &jit);
        return IS_DONE;
}

static struct http_call *make_find(struct registration *registration)
{
        return github_find_runner(registration->github, registration->installation,
                registration->scope, registration->instance.id);
}

static int read_find(
        struct registration *registration, const struct http_call *call, struct err *err)
{
        struct github_runner runner = {0};
        int r = github_find_runner_answer(call, registration->instance.id, &runner, err);

        if (r != 0)
                return r < 0 ? r : IS_ABSENT;
        registration->runner_id = runner.id;
        return runner.offline && !runner.busy ? IS_OFFLINE : IS_ONLINE;
}

static struct http_call *make_delete(struct registration *registration)
{
        return github_delete_runner(registration->github, registration->installation,
                registration->scope, registration->runner_id);
}

static int read_delete(
        struct registration *registration, const struct http_call *call, struct err *err)
{
        int r = github_delete_runner_answer(call, err);

        if (r == 0)
                registration->runner_id = 0;
        return r < 0 ? r : r == GITHUB_RUNNER_BUSY ? IS_BUSY : IS_DONE;
}

/* -- the steps -- */

const struct registration_step registration_steps[] = {
        [STEP_LOOK] = {make_get, read_look, 0},
        [STEP_MINT] = {make_jitconfig, read_jitconfig, PACE_POINTS_POST},
        [STEP_CHECK] = {make_get, read_look, 0},
        [STEP_FIND] = {make_find, read_find, PACE_POINTS_GET},
        [STEP_DELETE] = {make_delete, read_delete, PACE_POINTS_POST},
        [STEP_STORE] = {make_put, read_put, 0},
        [STEP_COMPARE] = {make_get, read_compare, 0},
        [STEP_REPLACE] = {make_replace, read_replace, 0},
        [STEP_DISCARD] = {make_delete, read_delete, PACE_POINTS_POST},
};
