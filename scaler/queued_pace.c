/* SPDX-License-Identifier: MIT */

/*
 * How many machines may be launched. A machine is launched when its hand-over can be expected while
 * it boots: what comes when there is no room for it waits in line (job/paced.h), which uses up no
 * receive and is no try for capacity.
 *
 * SQS is asked only when there is reason to: a batch is full, as in a burst, this process has
 * launched its share of what can be registered, `register` has met a limit of GitHub's a moment
 * ago, or a message comes again whose job may stand in line already.
 *
 * Whether a job that is not fresh has a machine, `queued` finds out first. One that has none waits
 * like any other: after an outage all that were parked come back together.
 */

#include "queued.h"

#include "job/github_limit.h"
#include "job/launch_pace.h"
#include "job/pace.h"
#include "job/paced.h"

/* The size of a full batch, and how many processes launch at once, as the template says. */
#define FULL 10
#define PROCESSES 5

/* Launches a minute. */
#define SHARE (PACE_PER_MINUTE / PROCESSES)

/* It may wait before anybody is asked for it: it has no machine. */
static bool may_wait(const struct queued_job *item)
{
        return !item->ignored && item->record->receive_count <= 1 && !item->job.paced &&
               (item->job.launch > 0 || !item->job.stale);
}

/* It was asked for, and has none. */
static bool may_wait_now(const struct queued_job *item)
{
        return !item->ignored && !item->job.paced && !may_wait(item) && item->recalled &&
               item->recall.verdict == RECALL_LAUNCH &&
               (!item->checked || item->fork.verdict == FORK_NO);
}

/* What GitHub's limit lets nobody register soon waits in line, where one question tells of a
 * hundred jobs of a run. */
static bool waits_for_limit(struct queued *queued, const struct queued_job *item)
{
        return github_limit_pause_until(
                       queued->scaler, pace_registrar(queued->config, &item->job)) > 0;
}

/* Near a limit, few may be too many; and one that comes again may stand in line. */
static bool is_reason_to_ask(struct queued *queued, const struct queued_job *item)
{
        return item->record->receive_count > 1 ||
               github_limit_is_near(queued->scaler, pace_registrar(queued->config, &item->job));
}

static struct budget *share(struct scaler *scaler)
{
        if (scaler->share_budget.points == 0)
                budget_init(&scaler->share_budget, SHARE, SHARE, clock_monotonic_ms(scaler->clock));
        return &scaler->share_budget;
}

/* Whether N jobs are as many as in a burst, or more than this process's share. */
static bool are_many(struct scaler *scaler, int64_t n)
{
        return n >= FULL || budget_wait(share(scaler), clock_monotonic_ms(scaler->clock), n) > 0;
}

/* Asked once for a batch. Who cannot be asked keeps nobody back. */
static void count_room(struct queued *queued)
{
        struct err err;
        int r;

        if (queued->room_counted)
                return;
        queued->room_counted = true;
        r = launch_pace_room(queued->scaler, &queued->room, &err);
        if (r == 0 && queued->room > 0)
                r = paced_are_waiting(queued->scaler, &err);
        if (r < 0) {
                queued->room = INT64_MAX;
                log_warning(&queued->scaler->log, "launched jobs could not be counted",
                        LOG_TEXT("error", err.text));
        } else if (r > 0) {
                queued->room = 0;
        }
}

/* Marks those that IS_MEANT means and for which there is no room. */
static void keep_those(struct queued *queued, bool (*is_meant)(const struct queued_job *item))
{
        struct scaler *scaler = queued->scaler;
        bool has_reason = false;
        int64_t n = 0;

        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (!is_meant(item))
                        continue;
                item->paced = waits_for_limit(queued, item);
                if (item->paced)
                        continue;
                has_reason = has_reason || is_reason_to_ask(queued, item);
                n++;
        }
        if (n == 0)
                return;
        if (has_reason || are_many(scaler, n))
                count_room(queued);
        for (size_t i = 0; queued->room_counted && i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (!is_meant(item) || item->paced)
                        continue;
                item->paced = queued->room <= 0;
                queued->room -= !item->paced;
                n -= item->paced;
        }
        budget_spend(share(scaler), clock_monotonic_ms(scaler->clock), n);
}

void keep_pace(struct queued *queued)
{
        keep_those(queued, may_wait);
}

void keep_pace_of_recalled(struct queued *queued)
{
        keep_those(queued, may_wait_now);
}
