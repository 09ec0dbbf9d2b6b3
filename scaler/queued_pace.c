/* SPDX-License-Identifier: MIT */

/*
 * How many machines may be launched. A machine is launched when its hand-over can be expected while
 * it boots: what comes when there is no room for it waits in line (job/paced.h), which uses up no
 * receive and is no try for capacity.
 *
 * SQS is asked only when there is reason to: a batch is full, as in a burst.
 */

#include "queued.h"

#include "job/paced.h"

/* The size of a full batch, as the template says. */
#define FULL 10

/* A job that may have a machine already is not kept from it, nor one that has waited before. */
static bool may_wait(const struct queued_job *item)
{
        return !item->ignored && item->record->receive_count <= 1 && !item->job.paced &&
               (item->job.launch > 0 || !item->job.stale);
}

static bool is_burst(const struct queued *queued)
{
        size_t n = 0;

        for (size_t i = 0; i < queued->n_items; i++)
                n += may_wait(&queued->items[i]);
        return n >= FULL;
}

void keep_pace(struct queued *queued)
{
        struct err err;
        int64_t room;
        int r;

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
        for (size_t i = 0; i < queued->n_items; i++)
                queued->items[i].paced = may_wait(&queued->items[i]) && room-- <= 0;
}
