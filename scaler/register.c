/* SPDX-License-Identifier: MIT */

/*
 * Third stage of a job's life: a launched machine gets its hand-over. All messages come through
 * register.fifo, where the jobs of one installation of GitHub's App are a group, so that one
 * process at a time registers for it: GitHub counts its limits by installation, and whoever keeps
 * to them has to know of all calls. Until a hand-over is stored, its message is the promise. It
 * costs nothing to wait here: the machine has been launched, and its agent waits as well.
 *
 * A message that comes again, or has waited for long, is not fresh: EC2 is asked whether its
 * machine lives (job/recall.h). GitHub is not asked for its job: equal jobs swap machines, so the
 * machine of one that has ended may be what another waits for. The registrations of a batch begin
 * in order, at the pace that the limits allow (job/pace.h), and run beside each other. After the
 * first that would have to wait for longer than an event may last, none of its installation begins.
 * Then each message is settled:
 *
 *      hand-over stored         a watch follows the job, as it does
 *      its machine has worked   where an earlier try died before it had sent one
 *      cannot go on now         it comes again, later, and those behind it wait; or it is parked,
 *                               where only this job cannot go on
 *      refused for good         the launch is undone, and the message becomes a dead letter
 *      its machine has ended    the next launch is queued; also where it looks for its hand-over in
 *                               a bucket that the stack no longer has
 */

#include "register.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job/respec.h"
#include "job/ticket_keys.h"
#include "machine/stores.h"

/* For so long, EC2 may not show an instance that it has launched. */
#define FRESH_MS (5 * 60 * MSEC_PER_SEC)

/* -- reading the batch -- */

static int read_item(struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        struct registering *registering = userdata;
        struct registering_job *item = &registering->items[registering->n_items++];
        int r = launched_parse(record->body, strlen(record->body), &item->launched, err);

        (void)scaler;
        item->record = record;
        item->ignored = r < 0;
        record->final = r < 0;
        return r;
}

static bool is_double(const struct registering_job *a, const struct registering_job *b)
{
        return !b->ignored && a->launched.job.id == b->launched.job.id &&
               a->launched.job.attempt == b->launched.job.attempt &&
               a->launched.job.launch == b->launched.job.launch;
}

/* The message that was sent last counts: where its job is parked, the counter keeps the next one
 * from being taken for one that is done (forward.c). */
static void ignore_doubles(struct registering *registering)
{
        for (size_t i = 0; i < registering->n_items; i++) {
                struct registering_job *item = &registering->items[i];

                for (size_t j = 0; j < i && !item->ignored; j++) {
                        struct registering_job *other = &registering->items[j];

                        if (!is_double(item, other))
                                continue;
                        if (other->launched.job.sends < item->launched.job.sends)
                                other->ignored = true;
                        else
                                item->ignored = true;
                }
        }
}

/* -- what is asked first -- */

static bool is_recent(const struct registering *registering, const struct registering_job *item)
{
        return clock_wall_ms(registering->scaler->clock) - item->launched.job.launched_ms <
               FRESH_MS;
}

/* Its message says SSM, or nothing, as those did that were sent before they named the bucket. */
static bool may_have_bucket(const struct job *job, const char *bucket)
{
        return bucket && !job->bucket;
}

/* EC2 knows best. */
static void take_bucket(struct job *job, const struct recall *recall)
{
        if (recall->verdict != RECALL_ADOPT)
                return;
        free(job->bucket);
        job->bucket = recall->bucket[0] ? mem_string(recall->bucket) : NULL;
}

static void recall_items(struct registering *registering)
{
        _cleanup_free_ struct recall *recalls = mem_alloc(registering->n_items * sizeof(*recalls));
        _cleanup_free_ char *bucket = stores_bucket(registering->config);
        size_t n = 0;

        for (size_t i = 0; i < registering->n_items; i++) {
                struct registering_job *item = &registering->items[i];

                item->recalled =
                        !item->ignored &&
                        (item->record->receive_count > 1 || !is_recent(registering, item) ||
                                may_have_bucket(&item->launched.job, bucket));
                if (item->recalled)
                        recalls[n++].job = &item->launched.job;
        }
        recall_machines(registering->scaler, registering->config, registering->aws, recalls, n);
        for (size_t i = 0, j = 0; i < registering->n_items; i++) {
                struct registering_job *item = &registering->items[i];

                if (!item->recalled)
                        continue;
                item->recall = recalls[j++];
                take_bucket(&item->launched.job, &item->recall);
        }
}

/* A machine that EC2 does not show yet is there; later, it has ended. */
static bool has_machine(const struct registering *registering, struct registering_job *item)
{
        if (!item->recalled || item->recall.verdict == RECALL_ADOPT)
                return true;
        if (item->recall.verdict == RECALL_LAUNCH && !is_recent(registering, item))
                item->recall.verdict = RECALL_RELAUNCH;
        return item->recall.verdict == RECALL_LAUNCH;
}

/* A machine looks where its tag says. It ends by itself where that bucket was taken from the stack
 * meanwhile. */
static bool can_be_reached(const struct registering *registering, struct registering_job *item)
{
        const struct job *job = &item->launched.job;

        if (stores_have(job->bucket))
                return true;
        log_warning(&registering->scaler->log,
                "machine given up: the bucket where it looks for its hand-over is not the stack's",
                LOG_NUMBER("job", job->id), LOG_TEXT("instance", job->instance),
                LOG_TEXT("bucket", job->bucket));
        item->recall = (struct recall){.verdict = RECALL_RELAUNCH};
        return false;
}

/* -- what is to be registered -- */

/* `queued` judges that, where the job holds up no other. */
static void park_without_spec(
        struct registering *registering, struct registering_job *item, const struct err *why)
{
        const struct parking parking = {.reason = PARK_NO_SPEC, .error = why->text};

        item->ignored = true;
        registering_job_park(registering, item, &parking);
}

/* Finds the spec and scope of each, and asks where the additional Apps are installed. */
static void prepare_items(struct registering *registering)
{
        _cleanup_free_ const char **scopes = mem_alloc(registering->n_items * sizeof(*scopes));
        size_t n = 0;

        for (size_t i = 0; i < registering->n_items; i++) {
                struct registering_job *item = &registering->items[i];
                struct err err;

                if (item->ignored || !has_machine(registering, item) ||
                        !can_be_reached(registering, item))
                        continue;
                item->spec = job_respec(
                        registering->scaler, registering->config, &item->launched.job, &err);
                if (!item->spec) {
                        park_without_spec(registering, item, &err);
                        continue;
                }
                job_scope(&item->launched.job, item->spec, item->scope);
                scopes[n++] = item->scope;
        }
        registrars_look_up(&registering->registrars, scopes, n);
}

/* -- all of it -- */

static void registering_release(struct registering *registering)
{
        for (size_t i = 0; i < registering->n_items; i++) {
                job_release(&registering->items[i].launched.job);
                registration_release(&registering->items[i].registration);
        }
        free(registering->items);
        registrars_release(&registering->registrars);
        token_requests_release(&registering->token_requests);
}

static int open_dependencies(struct registering *registering, struct err *err)
{
        int r = scaler_config(registering->scaler, &registering->config, err);

        if (r == 0)
                r = scaler_aws(registering->scaler, &registering->aws, err);
        if (r == 0)
                r = ticket_keys_make(registering->scaler, &registering->ticket_keys, err);
        if (r == 0)
                r = token_requests_init(&registering->token_requests, registering->scaler, err);
        return r;
}

void register_handle(struct scaler *scaler, struct batch *batch)
{
        _cleanup_(registering_release) struct registering registering = {
                .scaler = scaler,
                .items = mem_alloc(batch->n_records * sizeof(struct registering_job)),
        };
        struct err err;
        int r = open_dependencies(&registering, &err);

        batch_each(scaler, batch, read_item, &registering);
        ignore_doubles(&registering);
        if (r < 0) {
                wait_for_settings(&registering, r, &err);
                return;
        }
        registrars_init(
                &registering.registrars, scaler, registering.config, &registering.token_requests);
        recall_items(&registering);
        prepare_items(&registering);
        register_begin_budgets(&registering);
        register_items(&registering);
        settle_registrations(&registering);
        register_end_budgets(&registering);
        register_note_limits(&registering);
}
