/* SPDX-License-Identifier: MIT */

/*
 * The middle of `register`: as which App each registration begins, and when. What GitHub refuses to
 * one is tried as another.
 */

#include "register.h"

#include <errno.h>
#include <stdio.h>

#include "job/github_limit.h"
#include "job/pace.h"

/* A batch of ten takes 3.4 seconds at GitHub's pace. */
#define PACE_MS (20 * MSEC_PER_SEC)
/* How much of the event's time the last registration needs. */
#define LAST_NEEDS_MS (25 * MSEC_PER_SEC)

/* The note of a limit needs so much, and is left out where the event may end before. All else has
 * been done by then. */
#define NOTE_NEEDS_MS (10 * MSEC_PER_SEC)

static void register_item(struct registering *registering, struct registering_job *item,
        const struct registrar *registrar)
{
        const struct launched *launched = &item->launched;

        /* Before it has a token: the next job of the batch chooses by what is left. */
        pace_spend_github(registering->scaler, registrar->budget, PACE_POINTS_POST);
        item->registers = true;
        item->registration = (struct registration){
                .scaler = registering->scaler,
                .aws = registering->aws,
                .github = registrar->tokens->github,
                .config = registering->config,
                .spec = item->spec,
                .job = &launched->job,
                .installation = registrar->installation,
                .budget = registrar->budget,
                .is_paid = true,
                .instance = launched->machine,
                .ticket_keys = registering->ticket_keys,
                .adopted = launched->adopted || item->recalled || item->registration.adopted,
                .launched_ms = launched->job.launched_ms,
        };
        snprintf(item->registration.scope, sizeof(item->registration.scope), "%s", item->scope);
        token_requests_for_scope(registrar->tokens, item->scope, registrar->installation,
                registration_ready, &item->registration);
}

/* Why no registration begins: nobody was refused for that in this batch. */
static const struct setback closed = {
        .result = -EAGAIN,
        .passing = true,
        .by_github = true,
        .is_limit = true,
        .err = {"GitHub's limit of calls is reached, or nearly: "
                "the last calls of the hour are left to others"},
};

/* The job of ITEM waits so long, to keep the pace. */
static void wait_for_pace(
        struct registering *registering, struct registering_job *item, int64_t wait)
{
        item->until_ms = clock_wall_ms(registering->scaler->clock) + wait;
        item->limit = wait > REGISTER_PACE_MOST_MS ? &closed : NULL;
}

/* Waits until the budget of a registrar allows another registration: false where that takes too
 * long, or where none is left to try, which leaves *ret_wait 0. While it waits, an answer to
 * another registration may close a budget. */
static bool keep_pace(struct registering *registering, struct registering_job *item,
        struct registrar *ret, int64_t *ret_wait)
{
        struct scaler *scaler = registering->scaler;

        *ret_wait = 0;
        while (registrars_choose(&registering->registrars, item->scope,
                item->launched.job.installation, item->tried, item->n_tried, ret, ret_wait)) {
                if (*ret_wait == 0)
                        return true;
                if (clock_monotonic_ms(scaler->clock) + *ret_wait > registering->pace_ends_ms ||
                        scaler_time_left(scaler) - *ret_wait < LAST_NEEDS_MS)
                        return false;
                http_sleep(scaler_http(scaler), *ret_wait);
        }
        return false;
}

/* Whether a job had better wait for the end of A than of B. */
static bool ends_first(
        const struct scaler *scaler, const struct setback *a, const struct setback *b)
{
        if (a->passing != b->passing)
                return a->passing;
        return a->passing && setback_ends(scaler, a) < setback_ends(scaler, b);
}

static bool was_refused(const struct registering_job *item)
{
        return item->registers && item->registration.state == REGISTRATION_FAILED &&
               item->n_tried < ARRAY_SIZE(item->tried);
}

/* What GitHub refused to one App, another may do: true if one begins to. Where the next has to wait
 * for less than the refusal lasts, the job waits for that. */
static bool try_another(struct registering *registering, struct registering_job *item)
{
        struct scaler *scaler = registering->scaler;
        const struct setback *setback = &item->registration.setback;
        struct registrar registrar;
        int64_t wait;

        if (!was_refused(item) || !registrars_pass_over(&registering->registrars, item->scope,
                                          item->registration.budget, setback))
                return false;
        if (item->n_tried == 0 || ends_first(scaler, setback, &item->refusal))
                item->refusal = *setback;
        item->tried[item->n_tried++] = item->registration.budget;
        if (keep_pace(registering, item, &registrar, &wait)) {
                registration_release(&item->registration);
                register_item(registering, item, &registrar);
                return true;
        }
        item->registration.setback = item->refusal;
        if (wait == 0 && item->refusal.is_limit)
                wait = registrars_wait_for_refused(
                        &registering->registrars, item->scope, item->launched.job.installation);
        if (wait > 0 &&
                clock_wall_ms(scaler->clock) + wait < setback_ends(scaler, &item->refusal)) {
                item->registers = false;
                wait_for_pace(registering, item, wait);
        }
        return false;
}

/* A job that is refused tries another App in the next pass; with each there is one less to try. */
static void try_others(struct registering *registering)
{
        bool goes_on = true;

        while (goes_on) {
                goes_on = false;
                for (size_t i = 0; i < registering->n_items; i++)
                        goes_on = try_another(registering, &registering->items[i]) || goes_on;
                http_finish(scaler_http(registering->scaler));
        }
}

void register_items(struct registering *registering)
{
        for (size_t i = 0; i < registering->n_items; i++) {
                struct registering_job *item = &registering->items[i];
                struct registrar registrar;
                int64_t wait;

                if (item->ignored || !item->spec)
                        continue;
                if (keep_pace(registering, item, &registrar, &wait))
                        register_item(registering, item, &registrar);
                else
                        wait_for_pace(registering, item, wait);
        }
        http_finish(scaler_http(registering->scaler));
        try_others(registering);
}

/* Calls BUDGET_DOES for the budgets that may be spent for ITEM. */
static void each_budget(struct registering *registering, const struct registering_job *item,
        void (*budget_does)(struct budget *budget, int64_t now_ms, int64_t waited_ms))
{
        struct scaler *scaler = registering->scaler;
        int64_t sent_ms = item->record->sent_ms;
        struct registrar all[REGISTRARS_MAX];
        size_t n = item->spec ? registrars_of(&registering->registrars, item->scope,
                                        item->launched.job.installation, all)
                              : 0;

        for (size_t i = 0; i < n; i++)
                budget_does(pace_of_github(scaler, all[i].budget),
                        clock_monotonic_ms(scaler->clock),
                        sent_ms > 0 ? clock_wall_ms(scaler->clock) - sent_ms : 0);
}

/* The oldest message of an installation tells how long it has had something to do. */
void register_begin_budgets(struct registering *registering)
{
        for (size_t i = 0; i < registering->n_items; i++)
                each_budget(registering, &registering->items[i], budget_begin);
        registering->pace_ends_ms = clock_monotonic_ms(registering->scaler->clock) + PACE_MS;
}

static void end_budget(struct budget *budget, int64_t now_ms, int64_t waited_ms)
{
        (void)waited_ms;
        budget_end(budget, now_ms);
}

void register_end_budgets(struct registering *registering)
{
        for (size_t i = 0; i < registering->n_items; i++)
                each_budget(registering, &registering->items[i], end_budget);
}

void register_note_limits(struct registering *registering)
{
        for (size_t i = 0; i < registering->n_items; i++) {
                const struct registering_job *item = &registering->items[i];
                const struct job *job = &item->launched.job;
                int64_t until_ms = item->spec ? registrars_limited_until(&registering->registrars,
                                                        item->scope, job->installation)
                                              : 0;

                if (until_ms > 0 && scaler_time_left(registering->scaler) > NOTE_NEEDS_MS)
                        github_limit_note(registering->scaler,
                                pace_registrar(registering->config, job), until_ms);
        }
}
