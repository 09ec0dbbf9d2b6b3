/* SPDX-License-Identifier: MIT */

/*
 * Limits of machines, for a batch: it is counted once, at the first job for which there is a limit.
 * A job beyond it waits in line (job/line.h). So does a new job for which there is room, while any
 * line has jobs: they came before it.
 */

#include "queued.h"

#include "aws/sqs.h"
#include "queue/send.h"

/* Whether ITEM was never in a line, nor had a machine. */
static bool is_new(const struct queued_job *item)
{
        return item->job.limited == 0 && item->job.launch == 0;
}

/* A line that cannot be counted keeps nobody back. */
static bool line_has_jobs(struct queued *queued)
{
        struct sqs_count count = {0};
        struct err err;

        if (queued->line_counted)
                return queued->line_has_jobs;
        queued->line_counted = true;
        if (queue_count(queued->scaler, "LIMITED_QUEUE_URL", &count, &err) < 0)
                log_warning(&queued->scaler->log, "jobs that wait at a limit could not be counted",
                        LOG_TEXT("error", err.text));
        queued->line_has_jobs = count.visible + count.in_flight > 0;
        return queued->line_has_jobs;
}

static void count_machines(struct queued *queued)
{
        if (!queued->machines_counted)
                (void)limits_count(
                        queued->scaler, queued->aws, queued->config, 0, &queued->count_setback);
        queued->machines_counted = true;
}

bool keep_limits(struct queued *queued, struct queued_job *item, const struct config_spec *spec)
{
        if (!limits_concern(queued->config, spec))
                return true;
        count_machines(queued);
        item->uncounted = queued->count_setback.result < 0;
        if (item->uncounted)
                return false;
        limits_revoke(queued->scaler, &item->job);
        if (limits_room(queued->scaler, queued->config, spec, item->job.repository, &item->limit) >
                0)
                item->limit = is_new(item) && line_has_jobs(queued) ? LIMIT_LINE : LIMIT_NONE;
        if (item->limit != LIMIT_NONE) {
                limits_explain(
                        item->limit, queued->config, spec, item->job.repository, item->limit_text);
                return false;
        }
        limits_grant(queued->scaler, &item->job);
        item->granted = true;
        return true;
}

/* What EC2 may have launched without telling us counts until it shows. */
void settle_grants(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (!item->granted)
                        continue;
                if (item->launched)
                        limits_launched(queued->scaler, &item->job);
                else if (!item->launch || item->launch->outcome != LAUNCH_UNSURE)
                        limits_revoke(queued->scaler, &item->job);
        }
}
