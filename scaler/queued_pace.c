/* SPDX-License-Identifier: MIT */

/*
 * How many machines may be launched. A machine is launched when its hand-over can be expected while
 * it boots: what comes when there is no room for it waits in line (job/paced.h), which uses up no
 * receive and is no try for capacity.
 *
 * SQS is asked only when there is reason to: a batch is full, as in a burst, or `register` has met
 * a limit of GitHub's a moment ago.
 */

#include "queued.h"

#include "job/github_limit.h"
#include "job/pace.h"
#include "job/paced.h"

/* The size of a full batch, as the template says. */
#define FULL 10

/* A job that may have a machine already is not kept from it, nor one that has waited before. */
static bool may_wait(const struct queued_job *item)
{
        return !item->ignored && item->record->receive_count <= 1 && !item->job.paced &&
               (item->job.launch > 0 || !item->job.stale);
}

/* What GitHub's limit lets nobody register soon waits in line, where one question tells of a
 * hundred jobs of a run. */
static void wait_for_limits(struct queued *queued)
{
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                item->paced =
                        may_wait(item) && github_limit_pause_until(queued->scaler,
                                                  pace_registrar(queued->config, &item->job)) > 0;
        }
}

/* Near a limit, few may be too many. */
static bool is_burst(struct queued *queued)
{
        size_t n = 0;

        for (size_t i = 0; i < queued->n_items; i++) {
                const struct queued_job *item = &queued->items[i];

                if (!may_wait(item) || item->paced)
                        continue;
                if (github_limit_is_near(
                            queued->scaler, pace_registrar(queued->config, &item->job)))
                        return true;
                n++;
        }
        return n >= FULL;
}

void keep_pace(struct queued *queued)
{
        struct err err;
        int64_t room;
        int r;

        wait_for_limits(queued);
        if (!is_burst(queued))
                return;
        r = paced_room(queued->scaler, &room, &err);
        if (r == 0 && room > 0)
                r = paced_are_waiting(queued->scaler, &err);
        if (r < 0) {
                log_warning(&queued->scaler->log, "launched jobs could not be counted",
                        LOG_TEXT("error", err.text));
                return;
        }
        if (r > 0)
                room = 0;
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                item->paced = item->paced || (may_wait(item) && room-- <= 0);
        }
}
