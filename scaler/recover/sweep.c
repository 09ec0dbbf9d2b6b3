/* SPDX-License-Identifier: MIT */

/*
 * Reads what lives and what is stored, has each part act on it, and counts.
 */

#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ec2.h"
#include "base/json.h"

/* The net is coarse: what is beyond these pages waits for the next sweep. */
#define PAGES_MAX 20
/* SSM cuts its pages out of all parameters of the account, and then leaves out what the filter does
 * not want: many are empty. */
#define HANDOVER_PAGES_MAX 200
/* How often the stack's rule starts a sweep, where nobody says otherwise. */
#define PERIOD_MINUTES 10
#define PERIOD_MINUTES_MAX (24 * 60)
#define RESERVE_MS (10 * MSEC_PER_SEC)

struct http_call *sweep_call(struct sweep *sweep, struct http_call *call)
{
        sweep->calls++;
        return scaler_call(sweep->scaler, call);
}

void sweep_fail(struct sweep *sweep, int r, const struct err *err)
{
        sweep->failed++;
        log_error(&sweep->scaler->log, "recover could not do something",
                LOG_TEXT("error", err->text));
        if (sweep->result < 0)
                return;
        sweep->result = r;
        sweep->err = *err;
}

void sweep_note(struct sweep *sweep, const char *action, const char *subject, const char *reason)
{
        cJSON *note = cJSON_CreateObject();

        json_add_string(note, "action", action);
        json_add_string(note, "subject", subject);
        json_add_string(note, "reason", reason);
        cJSON_AddItemToArray(sweep->actions, note);
        log_warning(&sweep->scaler->log, sweep->is_dry ? "recover would act" : "recover acts",
                LOG_TEXT("action", action), LOG_TEXT("subject", subject),
                LOG_TEXT("reason", reason));
}

bool sweep_has_time(struct sweep *sweep)
{
        bool has_time = scaler_time_left(sweep->scaler) > RESERVE_MS;

        sweep->left += !has_time;
        return has_time;
}

int64_t sweep_period_ms(void)
{
        const char *text = getenv("RECOVER_MINUTES");
        long long minutes = text ? strtoll(text, NULL, 10) : 0;

        return (minutes > 0 && minutes <= PERIOD_MINUTES_MAX ? minutes : PERIOD_MINUTES) * 60 *
               MSEC_PER_SEC;
}

size_t sweep_first(struct sweep *sweep, size_t n, size_t max)
{
        size_t turn = (size_t)(clock_wall_ms(sweep->scaler->clock) / sweep_period_ms());

        if (n <= max)
                return n > 0 ? turn % n : 0;
        sweep->left += (unsigned)(n - max);
        return turn % n * max % n;
}

/* -- hand-overs -- */

const struct store_listed *sweep_handover(const struct sweep *sweep, const char *instance)
{
        for (size_t i = 0; i < sweep->handovers.count; i++)
                if (strcmp(sweep->handovers.items[i].instance, instance) == 0)
                        return &sweep->handovers.items[i];
        return NULL;
}

static int list_store(struct sweep *sweep, const struct store *store, struct err *err)
{
        struct store_list *all = &sweep->handovers;
        unsigned pages = 0;
        int r;

        do {
                _cleanup_(http_call_freep) struct http_call *call =
                        sweep_call(sweep, store_list(store, all->next_page));

                r = store_list_answer(store, call, all, err);
        } while (r == 0 && all->next_page && ++pages < HANDOVER_PAGES_MAX &&
                 scaler_time_left(sweep->scaler) > RESERVE_MS);
        sweep->left += r == 0 && all->next_page;
        free(MEM_STEAL(all->next_page));
        return r;
}

/* Of both stores: the configuration may have named the other one a moment ago. */
int sweep_read_handovers(struct sweep *sweep, struct err *err)
{
        int r = list_store(sweep, &sweep->stores.ssm, err);

        if (r == 0 && sweep->stores.s3.kind)
                r = list_store(sweep, &sweep->stores.s3, err);
        sweep->parameters = (unsigned)sweep->handovers.count;
        return r;
}

/* -- machines -- */

/* All of them, or some and an error: a machine that is missing here would pass for gone. */
static int list_machines(struct sweep *sweep, struct ec2_instances *all, struct err *err)
{
        unsigned pages = 0;
        int r;

        do {
                _cleanup_(ec2_instances_release) struct ec2_instances page = {0};
                _cleanup_(http_call_freep) struct http_call *call =
                        sweep_call(sweep, ec2_list_instances(sweep->aws, "scale-agent:prefix",
                                                  sweep->config->prefix, all->next_page));

                r = ec2_describe_instances_answer(call, &page, err);
                if (r == 0)
                        ec2_instances_add(all, &page);
        } while (r == 0 && all->next_page && ++pages < PAGES_MAX);
        sweep->machines = (unsigned)all->count;
        if (r == 0 && all->next_page)
                return err_set(err, -E2BIG, "there are more than %u pages of machines", pages);
        return r;
}

/* -- the sweep -- */

static int open_dependencies(struct sweep *sweep, struct err *err)
{
        int r = scaler_config(sweep->scaler, &sweep->config, err);

        if (r == 0)
                r = scaler_aws(sweep->scaler, &sweep->aws, err);
        if (r == 0)
                stores_init(&sweep->stores, sweep->config, sweep->aws);
        return r;
}

/* Notes that R is a failure: whether it is none. */
static bool is_done(struct sweep *sweep, int r, const struct err *err)
{
        if (r < 0)
                sweep_fail(sweep, r, err);
        return r == 0;
}

/* A machine that was listed is past its lifetime whatever else is known; one that was not listed is
 * gone only if all were. */
static void sweep_machines(struct sweep *sweep)
{
        _cleanup_(ec2_instances_release) struct ec2_instances machines = {0};
        struct err err;
        bool has_handovers = is_done(sweep, sweep_read_handovers(sweep, &err), &err);
        bool has_machines = is_done(sweep, list_machines(sweep, &machines, &err), &err);

        sweep_overdue(sweep, &machines);
        if (has_handovers && has_machines)
                sweep_abandoned(sweep, &machines);
}

void sweep_run(struct sweep *sweep)
{
        struct err err;
        int r = open_dependencies(sweep, &err);

        sweep->actions = cJSON_CreateArray();
        sweep->unread = cJSON_CreateArray();
        if (r < 0) {
                sweep_fail(sweep, r, &err);
                return;
        }
        sweep_undelivered(sweep);
        sweep_machines(sweep);
        log_info(&sweep->scaler->log, "recovered", LOG_NUMBER("machines", sweep->machines),
                LOG_NUMBER("parameters", sweep->parameters),
                LOG_NUMBER("deliveries", sweep->deliveries), LOG_NUMBER("ended", sweep->ended),
                LOG_NUMBER("marked", sweep->marked), LOG_NUMBER("abandoned", sweep->abandoned),
                LOG_NUMBER("redelivered", sweep->redelivered), LOG_NUMBER("left", sweep->left),
                LOG_NUMBER("failed", sweep->failed), LOG_NUMBER("calls", sweep->calls));
}

void sweep_release(struct sweep *sweep)
{
        store_list_release(&sweep->handovers);
        stores_release(&sweep->stores);
        cJSON_Delete(sweep->actions);
        cJSON_Delete(sweep->unread);
}

cJSON *sweep_print(const struct sweep *sweep)
{
        const struct {
                const char *name;
                unsigned count;
        } counts[] = {
                {"machines", sweep->machines},
                {"parameters", sweep->parameters},
                {"deliveries", sweep->deliveries},
                {"ended", sweep->ended},
                {"marked", sweep->marked},
                {"abandoned", sweep->abandoned},
                {"redelivered", sweep->redelivered},
                {"left", sweep->left},
                {"failed", sweep->failed},
                {"calls", sweep->calls},
        };
        cJSON *json = cJSON_CreateObject();

        json_add_boolean(json, "dry_run", sweep->is_dry);
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                json_add_integer(json, counts[i].name, counts[i].count);
        cJSON_AddItemToObject(json, "actions", cJSON_Duplicate(sweep->actions, true));
        cJSON_AddItemToObject(json, "unread", cJSON_Duplicate(sweep->unread, true));
        return json;
}
