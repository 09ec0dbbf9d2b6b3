/* SPDX-License-Identifier: MIT */

/*
 * The budgets that registration keeps to.
 */

#include "pace.h"

#include <stdlib.h>

/* GitHub allows an installation 900 points a minute, in which a POST counts 5. All that calls
 * GitHub for it shares them, so a part is left to others.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
#define GITHUB_POINTS 880
#define GITHUB_POINTS_PER_MINUTE 860
/* Calls of an hour that are left to others. */
#define GITHUB_HOUR_RESERVE 50

/* PutParameter in an account: 40 a second are published, 3 were seen. The first refusal tells. */
#define PARAMETER_BURST 40
#define PARAMETER_PER_MINUTE (40 * 60)
#define PARAMETER_SLOW_BURST 1
#define PARAMETER_SLOW_PER_MINUTE (3 * 60)

int64_t pace_registrar(const struct config *config, const struct job *job)
{
        const struct config_spec *spec =
                config && job->spec ? config_spec_by_name(config, job->spec) : NULL;

        return spec && spec->enterprise ? PACE_OF_ENTERPRISE : job->installation;
}

int64_t pace_apps(struct scaler *scaler)
{
        const struct config *config;
        struct err err;

        return scaler_config(scaler, &config, &err) < 0 ? 1
                                                        : 1 + (int64_t)config->n_additional_apps;
}

static struct github_budget *find_budget(struct scaler *scaler, int64_t installation)
{
        struct github_budget *found;

        for (size_t i = 0; i < scaler->n_github_budgets; i++)
                if (scaler->github_budgets[i].installation == installation)
                        return &scaler->github_budgets[i];
        scaler->github_budgets = mem_resize(scaler->github_budgets, scaler->n_github_budgets + 1,
                sizeof(*scaler->github_budgets));
        found = &scaler->github_budgets[scaler->n_github_budgets++];
        *found = (struct github_budget){.installation = installation};
        budget_init(&found->budget, GITHUB_POINTS, GITHUB_POINTS_PER_MINUTE,
                clock_monotonic_ms(scaler->clock));
        return found;
}

struct budget *pace_of_github(struct scaler *scaler, int64_t installation)
{
        return &find_budget(scaler, installation)->budget;
}

void pace_spend_github(struct scaler *scaler, int64_t installation, int64_t points)
{
        struct github_budget *found = find_budget(scaler, installation);

        budget_spend(&found->budget, clock_monotonic_ms(scaler->clock), points);
        found->hour_left--;
}

int64_t pace_hour_left(struct scaler *scaler, int64_t installation)
{
        const struct github_budget *found = find_budget(scaler, installation);

        return found->hour_ends_ms > clock_wall_ms(scaler->clock) ? found->hour_left : INT64_MAX;
}

/* What GitHub's answer says of the calls of the hour: false where it says nothing. */
static bool read_hour(const struct http_call *call, int64_t *ret_left, int64_t *ret_ends_ms)
{
        char remaining[16];
        char reset[16];

        if (!http_call_answer_header(call, "x-ratelimit-remaining", remaining, sizeof(remaining)) ||
                !http_call_answer_header(call, "x-ratelimit-reset", reset, sizeof(reset)))
                return false;
        *ret_left = strtoll(remaining, NULL, 10);
        *ret_ends_ms = strtoll(reset, NULL, 10) * MSEC_PER_SEC;
        return true;
}

/* False where the answer says nothing. */
static bool note_hour(
        struct scaler *scaler, struct github_budget *found, const struct http_call *call)
{
        int64_t now_ms = clock_wall_ms(scaler->clock);
        char limit[16];
        int64_t ends_ms;

        if (!read_hour(call, &found->hour_left, &ends_ms))
                return false;
        if (http_call_answer_header(call, "x-ratelimit-limit", limit, sizeof(limit)))
                found->hour_limit = strtoll(limit, NULL, 10);
        found->hour_ends_ms = ends_ms < now_ms + SETBACK_MAX_MS ? ends_ms : now_ms + SETBACK_MAX_MS;
        found->hour_noted_ms = now_ms;
        return true;
}

void pace_note_hour(struct scaler *scaler, int64_t installation, const struct http_call *call)
{
        (void)note_hour(scaler, find_budget(scaler, installation), call);
}

int64_t pace_used_up_until(struct scaler *scaler, int64_t installation)
{
        const struct github_budget *found = find_budget(scaler, installation);

        return found->hour_left <= 0 && found->hour_ends_ms > clock_wall_ms(scaler->clock)
                       ? found->hour_ends_ms
                       : 0;
}

static int64_t may_be_used(int64_t ms)
{
        return ms * PACE_PER_MINUTE / (60 * MSEC_PER_SEC);
}

/* How many calls are expected to be left at NOW_MS, in the hour after the one that GitHub told
 * of. */
static int64_t next_hour_room(const struct github_budget *found, int64_t now_ms)
{
        int64_t since_ms = now_ms - found->hour_ends_ms;

        if (found->hour_limit == 0 || since_ms > 60 * 60 * MSEC_PER_SEC)
                return INT64_MAX;
        return found->hour_limit - GITHUB_HOUR_RESERVE - (since_ms > 0 ? may_be_used(since_ms) : 0);
}

int64_t pace_hour_room(
        struct scaler *scaler, int64_t installation, int64_t *ret_age_ms, int64_t *ret_until_ms)
{
        const struct github_budget *found = find_budget(scaler, installation);
        int64_t now_ms = clock_wall_ms(scaler->clock);
        bool is_next = found->hour_ends_ms <= now_ms + PACE_BOOT_MS;

        if (found->hour_ends_ms == 0)
                return INT64_MAX;
        /* Nothing new can be said of the next one before it has begun. */
        *ret_age_ms = is_next && found->hour_ends_ms > now_ms ? 0 : now_ms - found->hour_noted_ms;
        *ret_until_ms =
                is_next ? found->hour_ends_ms + MSEC_PER_SEC : found->hour_ends_ms - PACE_BOOT_MS;
        if (is_next)
                return next_hour_room(found, now_ms);
        return found->hour_left - GITHUB_HOUR_RESERVE - may_be_used(*ret_age_ms);
}

static void close_budget(struct scaler *scaler, struct github_budget *found, int64_t until_ms)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        int64_t left_ms = until_ms - clock_wall_ms(scaler->clock);

        if (left_ms > 0)
                budget_empty(&found->budget, now_ms, now_ms + left_ms);
}

void pace_note_setback(struct scaler *scaler, int64_t installation, const struct setback *setback)
{
        if (setback->is_limit)
                close_budget(
                        scaler, find_budget(scaler, installation), setback_ends(scaler, setback));
}

void pace_note_github(struct scaler *scaler, int64_t installation, const struct http_call *call,
        const struct setback *setback)
{
        struct github_budget *found = find_budget(scaler, installation);

        if (note_hour(scaler, found, call) && found->hour_left <= GITHUB_HOUR_RESERVE)
                close_budget(scaler, found, found->hour_ends_ms);
        if (setback)
                pace_note_setback(scaler, installation, setback);
}

int64_t pace_next_parameter(struct scaler *scaler)
{
        struct budget *budget = &scaler->parameter_budget;
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        int64_t wait;

        if (budget->points == 0)
                budget_init(budget, PARAMETER_BURST, PARAMETER_PER_MINUTE, now_ms);
        wait = budget_wait(budget, now_ms, 1);
        budget_spend(budget, now_ms, 1);
        return wait;
}

void pace_note_throttled(struct scaler *scaler)
{
        struct budget *budget = &scaler->parameter_budget;
        int64_t now_ms = clock_monotonic_ms(scaler->clock);

        if (budget->points == PARAMETER_SLOW_BURST)
                return;
        budget_init(budget, PARAMETER_SLOW_BURST, PARAMETER_SLOW_PER_MINUTE, now_ms);
        budget_empty(budget, now_ms, 0);
}
