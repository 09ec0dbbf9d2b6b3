/* SPDX-License-Identifier: MIT */

/*
 * A token bucket.
 */

#include "base/budget.h"

#define THOUSANDTHS 1000
/* A point a minute is this part of a thousandth in a millisecond. */
#define PER_MINUTE 60

/* A process that goes on gets its next event sooner; another one's event takes longer. */
#define GAP_MS 1000
/* The first process needs as long to begin. */
#define COLD_MS 3000

void budget_init(struct budget *budget, int64_t points, int64_t per_minute, int64_t now_ms)
{
        *budget = (struct budget){
                .points = points,
                .per_minute = per_minute,
                .level = points * THOUSANDTHS,
                .level_ms = now_ms,
        };
}

static int64_t level_at(const struct budget *budget, int64_t now_ms)
{
        int64_t since_ms =
                budget->level_ms > budget->closed_ms ? budget->level_ms : budget->closed_ms;
        int64_t level = budget->level;

        if (now_ms > since_ms)
                level += (now_ms - since_ms) * budget->per_minute / PER_MINUTE;
        return level < budget->points * THOUSANDTHS ? level : budget->points * THOUSANDTHS;
}

void budget_begin(struct budget *budget, int64_t now_ms, int64_t waited_ms)
{
        int64_t gap_ms = now_ms - budget->ended_ms;

        if (budget->ended_ms == 0 ? waited_ms <= COLD_MS : gap_ms <= GAP_MS || gap_ms >= waited_ms)
                return;
        if (level_at(budget, now_ms) > 0)
                budget->level = 0;
        budget->level_ms = now_ms;
}

void budget_end(struct budget *budget, int64_t now_ms)
{
        budget->ended_ms = now_ms;
}

int64_t budget_wait(const struct budget *budget, int64_t now_ms, int64_t points)
{
        int64_t missing = points * THOUSANDTHS - level_at(budget, now_ms);
        int64_t closed = budget->closed_ms > now_ms ? budget->closed_ms - now_ms : 0;

        if (missing <= 0)
                return closed;
        return closed + (missing * PER_MINUTE + budget->per_minute - 1) / budget->per_minute;
}

void budget_spend(struct budget *budget, int64_t now_ms, int64_t points)
{
        budget->level = level_at(budget, now_ms) - points * THOUSANDTHS;
        budget->level_ms = now_ms;
}

void budget_empty(struct budget *budget, int64_t now_ms, int64_t until_ms)
{
        if (level_at(budget, now_ms) > 0)
                budget->level = 0;
        budget->level_ms = now_ms;
        if (until_ms > budget->closed_ms)
                budget->closed_ms = until_ms;
}
