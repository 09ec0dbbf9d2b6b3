/* SPDX-License-Identifier: MIT */

/*
 * Second stage of a job's life: a queued job becomes a machine. All messages come through
 * queued.fifo, where a job is a group of its own, so no two processes hold one job.
 *
 * A fresh job is launched at once. For any other, GitHub is asked whether it still waits, and EC2
 * whether it has a machine already (job/recall.h). Of a public repository's, GitHub is asked first
 * whether a fork's pull request wants it (job/fork.h). The jobs of a batch that want the same are
 * launched together. While EC2 answers, GitHub's installation tokens are requested: what `register`
 * could not register now is not launched. Then each message is settled:
 *
 *      launched, or adopted     sent on to register.fifo
 *      cannot be launched now   parked
 *      is beyond a limit        waits in line
 *      refused for good         it becomes a dead letter
 *      its machine has ended    the next launch is queued
 *      comes from a fork        people are told, and that is all
 */

#include "queued.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "job/launched.h"
#include "job/park.h"
#include "machine/stores.h"

/* -- reading the batch -- */

static int read_item(struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        struct queued *queued = userdata;
        struct queued_job *item = &queued->items[queued->n_items++];
        int r = job_parse(record->body, strlen(record->body), &item->job, err);

        (void)scaler;
        item->record = record;
        item->ignored = r < 0;
        return r;
}

static void read_items(struct queued *queued, struct batch *batch)
{
        size_t n = batch->n_records;

        queued->items = mem_alloc(n * sizeof(struct queued_job));
        queued->launches = mem_alloc(n * sizeof(struct launch));
        batch_each(queued->scaler, batch, read_item, queued);
}

/* Of the messages of one job the latest launch counts, and of one launch the message that was sent
 * last: its counter keeps the next one from being taken for it (forward.c). */
static void ignore_doubles(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                for (size_t j = 0; j < i && !item->ignored; j++) {
                        struct queued_job *other = &queued->items[j];

                        if (other->ignored || other->job.id != item->job.id ||
                                other->job.attempt != item->job.attempt)
                                continue;
                        if (other->job.launch < item->job.launch ||
                                (other->job.launch == item->job.launch &&
                                        other->job.sends < item->job.sends))
                                other->ignored = true;
                        else
                                item->ignored = true;
                }
        }
}

/* -- what is asked first -- */

static void check_items(struct queued *queued)
{
        _cleanup_free_ struct fork_check **checks = mem_alloc(queued->n_items * sizeof(*checks));
        size_t n = 0;

        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (!item->checked || item->paced)
                        continue;
                item->fork.job = &item->job;
                checks[n++] = &item->fork;
        }
        fork_check_jobs(queued->scaler, &queued->token_requests, checks, n);
}

static void recall_items(struct queued *queued)
{
        _cleanup_free_ struct recall *recalls = mem_alloc(queued->n_items * sizeof(*recalls));
        size_t n = 0;

        for (size_t i = 0; i < queued->n_items; i++)
                if (queued->items[i].recalled && !queued->items[i].paced)
                        recalls[n++].job = &queued->items[i].job;
        recall_jobs(
                queued->scaler, queued->config, queued->aws, &queued->token_requests, recalls, n);
        for (size_t i = 0; i < n; i++)
                queued_item_of(recalls[i].job)->recall = recalls[i];
}

static void launch_or_adopt(struct queued *queued, struct queued_job *item)
{
        if (item->ignored || item->paced || !(item->recalled || item->checked))
                return;
        if (item->checked && item->fork.verdict != FORK_NO)
                return;
        if (item->recall.verdict == RECALL_LAUNCH) {
                queued_group(queued, item);
        } else if (item->recall.verdict == RECALL_ADOPT && queued_spec_of(queued, item)) {
                item->launched = true;
                launched_job(&item->job, &item->recall.instance,
                        item->recall.bucket[0] ? item->recall.bucket : NULL, true,
                        clock_wall_ms(queued->scaler->clock));
        }
}

static void launch_items(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (item->ignored)
                        continue;
                item->recalled =
                        !job_is_fresh(queued->scaler, &item->job, item->record->receive_count);
                item->checked = fork_needs_check(queued->config, &item->job);
        }
        keep_pace(queued);
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (!item->ignored && !item->paced && !item->recalled && !item->checked)
                        queued_group(queued, item);
        }
        queued_start_launches(queued);
        check_items(queued);
        recall_items(queued);
        http_finish(scaler_http(queued->scaler));
        keep_pace_of_recalled(queued);
        for (size_t i = 0; i < queued->n_items; i++)
                launch_or_adopt(queued, &queued->items[i]);
        queued_start_launches(queued);
        http_finish(scaler_http(queued->scaler));
        settle_grants(queued);
}

static void queued_release(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++)
                job_release(&queued->items[i].job);
        for (size_t i = 0; i < queued->n_launches; i++)
                free(queued->launches[i].jobs);
        free(queued->items);
        free(queued->launches);
        token_requests_release(&queued->token_requests);
}

static int open_dependencies(struct queued *queued, struct err *err)
{
        int r = scaler_config(queued->scaler, &queued->config, err);

        if (r == 0)
                r = scaler_aws(queued->scaler, &queued->aws, err);
        if (r == 0)
                r = stores_check(queued->config, err);
        if (r == 0)
                r = token_requests_init(&queued->token_requests, queued->scaler, err);
        return r;
}

/* Without the configuration or GitHub's key nothing can be launched, but jobs can wait for them. */
static void park_all(struct queued *queued, const struct err *why)
{
        bool told = false;

        log_error(&queued->scaler->log, "nothing can be launched, jobs wait",
                LOG_TEXT("error", why->text));
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];
                const struct parking parking = {
                        .reason = PARK_SETTINGS, .error = why->text, .quiet = told};
                struct err err;
                int r;

                if (item->ignored)
                        continue;
                r = park_job(queued->scaler, &item->job, &parking, &err);
                if (r < 0)
                        record_fail(queued->scaler, item->record, r, &err);
                told = told || r == 0;
        }
}

void queued_handle(struct scaler *scaler, struct batch *batch)
{
        _cleanup_(queued_release) struct queued queued = {.scaler = scaler};
        struct err aws_err;
        struct err err;
        int r = open_dependencies(&queued, &err);

        if (r < 0 && !queued.aws && scaler_aws(scaler, &queued.aws, &aws_err) < 0) {
                batch_fail(scaler, batch, r, &err);
                return;
        }
        read_items(&queued, batch);
        ignore_doubles(&queued);
        if (r < 0) {
                park_all(&queued, &err);
                return;
        }
        launch_items(&queued);
        settle_jobs(&queued);
}
