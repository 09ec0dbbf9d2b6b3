/* SPDX-License-Identifier: MIT */

/*
 * Second stage of a job's life, second half: from the launched instance to the registered runner
 * and the stored hand-over. The table of ways says which call is made, what its answer means, and
 * what follows; steps[] has the calls and the readers of their answers.
 */

#include "registration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exchange/handover.h"
#include "machine/stores.h"
#include "pace.h"
#include "ticket.h"
#include "token_requests.h"

enum step {
        STEP_LOOK,    /* GetParameter: an earlier try launched the instance */
        STEP_MINT,    /* generate-jitconfig */
        STEP_CHECK,   /* GetParameter: the name is taken at GitHub */
        STEP_FIND,    /* the runner of that name */
        STEP_DELETE,  /* that runner */
        STEP_STORE,   /* PutParameter */
        STEP_COMPARE, /* GetParameter: one is stored already */
        STEP_REPLACE, /* PutParameter, in place of what nobody can read */
        STEP_DISCARD, /* delete the runner that was just registered */
        STEP_DONE,
};

/* What an answer means. */
enum finding {
        IS_DONE,    /* minted, stored, or deleted */
        IS_ABSENT,  /* there is no such parameter or runner */
        IS_PRESENT, /* the parameter: the machine has or had its hand-over */
        IS_GARBLED, /* the parameter: it is no hand-over, so the machine cannot use it either */
        IS_TAKEN,   /* the name, at GitHub */
        IS_OFFLINE, /* the runner never came: nobody has its configuration */
        IS_ONLINE,  /* the runner is the machine's, with a job or without */
        IS_BUSY,    /* the runner, as it is to be deleted */
        IS_OURS,    /* the parameter is of the runner that we registered: our own lost answer */
        IS_OTHERS,
};

static const struct way {
        enum step step;
        enum finding finding;
        enum step next;
} ways[] = {
        {STEP_LOOK, IS_PRESENT, STEP_DONE},
        {STEP_LOOK, IS_ABSENT, STEP_MINT},
        {STEP_LOOK, IS_GARBLED, STEP_MINT},

        {STEP_MINT, IS_DONE, STEP_STORE},
        {STEP_MINT, IS_TAKEN, STEP_CHECK},
        {STEP_CHECK, IS_PRESENT, STEP_DONE},
        {STEP_CHECK, IS_ABSENT, STEP_FIND},
        {STEP_CHECK, IS_GARBLED, STEP_FIND},
        {STEP_FIND, IS_ABSENT, STEP_MINT},
        {STEP_FIND, IS_ONLINE, STEP_DONE},
        {STEP_FIND, IS_OFFLINE, STEP_DELETE},
        {STEP_DELETE, IS_BUSY, STEP_DONE},
        {STEP_DELETE, IS_DONE, STEP_MINT},

        {STEP_STORE, IS_DONE, STEP_DONE},
        {STEP_STORE, IS_TAKEN, STEP_COMPARE},
        {STEP_COMPARE, IS_OURS, STEP_DONE},
        {STEP_COMPARE, IS_ABSENT, STEP_STORE},
        {STEP_COMPARE, IS_OTHERS, STEP_DISCARD},
        {STEP_COMPARE, IS_GARBLED, STEP_REPLACE},
        {STEP_REPLACE, IS_DONE, STEP_DONE},
        {STEP_DISCARD, IS_DONE, STEP_DONE},
        {STEP_DISCARD, IS_BUSY, STEP_DONE},
};

/* SSM's limit is met within the event as long as this much of its time is left. */
#define THROTTLED_NEEDS_MS (20 * MSEC_PER_SEC)
#define THROTTLED_MAX 10

/* A registration may be minted, and stored, so often: again only after what was in the way is
 * gone. */
#define TIMES_MAX 2

static void take(struct registration *registration, enum step step);

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
                log_warning(&registration->scaler->log, "what is stored is no hand-over",
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
        token_note_result(
                registration->scaler, registration->github, registration->installation, r);
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

/* -- the way -- */

static const struct {
        struct http_call *(*make)(struct registration *registration);
        int (*read)(
                struct registration *registration, const struct http_call *call, struct err *err);
        int points; /* of GitHub's; 0: AWS is called */
} steps[] = {
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

static void fail(struct registration *registration, const struct setback *setback)
{
        registration->state = REGISTRATION_FAILED;
        registration->setback = *setback;
        err_prefix(&registration->setback.err, 0, "instance %s", registration->instance.id);
}

static enum step next_step(enum step step, enum finding finding)
{
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                if (ways[i].step == step && ways[i].finding == finding)
                        return ways[i].next;
        return STEP_DONE;
}

/* What GitHub has registered is to be stored, not to be registered once more: SSM's limit is met
 * here. */
static bool store_again(
        struct registration *registration, enum step step, const struct setback *setback)
{
        if (step != STEP_STORE || !setback->is_limit || store_is_s3(&registration->store))
                return false;
        pace_note_throttled(registration->scaler);
        if (registration->throttled++ == THROTTLED_MAX ||
                scaler_time_left(registration->scaler) < THROTTLED_NEEDS_MS)
                return false;
        registration->stores--;
        take(registration, STEP_STORE);
        return true;
}

static void on_answer(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct registration *registration = userdata;
        enum step step = (enum step)registration->step;
        struct scaler *scaler = registration->scaler;
        struct setback setback = {0};
        struct err err = {0};
        int found = steps[step].read(registration, call, &err);

        if (found < 0)
                setback = steps[step].points > 0
                                  ? setback_by_github(
                                            scaler, registration->installation, call, found, &err)
                                  : setback_by_aws(call, found, &err);
        if (steps[step].points > 0)
                pace_note_github(
                        scaler, registration->installation, call, found < 0 ? &setback : NULL);
        if (found >= 0)
                take(registration, next_step(step, (enum finding)found));
        else if (!store_again(registration, step, &setback))
                fail(registration, &setback);
}

/* Something that is in the way comes back each time: whoever makes it is not this program. */
static void give_up(struct registration *registration, const char *what)
{
        struct setback setback = {.result = -EEXIST, .passing = true};

        err_set(&setback.err, -EEXIST, "%s exists, and exists again after it was deleted", what);
        fail(registration, &setback);
}

static void start(struct registration *registration, enum step step, struct http_call *call)
{
        struct scaler *scaler = registration->scaler;

        if (steps[step].points > 0)
                budget_spend(pace_of_github(scaler, registration->installation),
                        clock_monotonic_ms(scaler->clock), steps[step].points);
        scaler_start_later(scaler, call,
                step == STEP_STORE && !store_is_s3(&registration->store)
                        ? pace_next_parameter(scaler)
                        : 0);
}

static void take(struct registration *registration, enum step step)
{
        struct http_call *call;

        if (step == STEP_MINT && registration->mints == TIMES_MAX) {
                give_up(registration, "a runner of this name");
        } else if (step == STEP_STORE && registration->stores == TIMES_MAX) {
                give_up(registration, "its hand-over");
        } else if (step == STEP_DONE) {
                registration->state = REGISTRATION_DONE;
        } else {
                registration->step = step;
                call = steps[step].make(registration);
                call->done = on_answer;
                call->userdata = registration;
                start(registration, step, call);
        }
}

void registration_ready(void *userdata, const struct setback *setback)
{
        struct registration *registration = userdata;

        if (setback) {
                fail(registration, setback);
                return;
        }
        stores_open(&registration->store, registration->config, registration->aws,
                registration->instance.account, registration->job->bucket);
        registration->state = REGISTRATION_UNDER_WAY;
        take(registration, registration->adopted ? STEP_LOOK : STEP_MINT);
}

void registration_release(struct registration *registration)
{
        store_release(&registration->store);
        mem_free_secret(registration->value);
}
