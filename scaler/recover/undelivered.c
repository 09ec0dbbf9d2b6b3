/* SPDX-License-Identifier: MIT */

/*
 * Webhooks that GitHub could not deliver: it never tries again by itself. An event for which no
 * attempt got an answer of ours (attempts.h) is delivered once more, with growing pauses.
 *
 * The list of each webhook (own_hooks.c) is read from its newest entry back, until half an hour of
 * it, or the time of three sweeps, has no failure, and nothing that was delivered again: what
 * failed before that was seen by an earlier sweep, and there was no more of it than a sweep could
 * do. No pause is so long that an event falls out of that time.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attempts.h"
#include "github/hooks.h"
#include "own_hooks.h"
#include "queue/tell_people.h"

#define QUIET_MIN_MS (30 * 60 * MSEC_PER_SEC)
#define QUIET_SWEEPS 3
#define PAGES_MAX 100
#define PAGES_BY_HAND_MAX 500
/* Further ones wait for the next sweep. */
#define REDELIVERIES_MAX 100

/* Where deliveries are read, and redelivered. */
struct reading {
        struct sweep *sweep;
        struct github *github;
        const char *hook;
        size_t rounds;   /* see own_hooks.h */
        int64_t time_ms; /* that the sweep had when it began */
        bool is_over;    /* GitHub takes no more calls for now */
};

/* However long GitHub takes: a third of the time is for reading, one for redelivering, and the last
 * one for machines. */
static bool has_time_in(const struct reading *reading, int third)
{
        return scaler_time_left(reading->sweep->scaler) >
               reading->time_ms - third * (reading->time_ms / 3);
}

/* Notes what a call whose result was R means for the next ones: a key that was refused is read
 * again by the next sweep, since it may have been replaced. */
static void note_refusal(struct reading *reading, int r)
{
        reading->is_over = r == -EAGAIN || r == -EKEYREJECTED;
        if (r == -EKEYREJECTED)
                reading->sweep->scaler->github_refused = true;
}

/* -- reading -- */

static int read_page(const struct reading *reading, const char *page, struct github_deliveries *ret,
        struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        int r = github_list_deliveries(reading->github, reading->hook, page, &call, err);

        if (r < 0)
                return r;
        sweep_call(reading->sweep, call);
        return github_list_deliveries_answer(call, ret, err);
}

static int64_t quiet_ms(const struct reading *reading)
{
        int64_t ms = QUIET_SWEEPS * sweep_period_ms();

        return (ms > QUIET_MIN_MS ? ms : QUIET_MIN_MS) * (int64_t)reading->rounds;
}

/* Whether what is older than all of EVENTS matters to this sweep. */
static bool goes_on(const struct reading *reading, const struct events *events)
{
        const struct sweep *sweep = reading->sweep;

        if (sweep->deliveries_ms > 0)
                return clock_wall_ms(sweep->scaler->clock) - events->oldest_ms <
                       sweep->deliveries_ms;
        return events->trouble_ms - events->oldest_ms < quiet_ms(reading);
}

static unsigned pages_max(const struct sweep *sweep)
{
        return sweep->deliveries_ms > 0 ? PAGES_BY_HAND_MAX : PAGES_MAX;
}

static int read_events(const struct reading *reading, struct events *events, struct err *err)
{
        struct sweep *sweep = reading->sweep;
        char page[sizeof(((struct github_deliveries *)NULL)->next_page)] = "";
        bool is_more = true;

        for (unsigned pages = 1; is_more; pages++) {
                _cleanup_(github_deliveries_release) struct github_deliveries list = {0};
                int r = read_page(reading, page[0] ? page : NULL, &list, err);

                if (r < 0)
                        return r;
                sweep->deliveries += (unsigned)list.count;
                for (size_t i = 0; i < list.count; i++)
                        events_note(events, &list.items[i]);
                memcpy(page, list.next_page, sizeof(page));
                is_more = list.count > 0 && page[0] && goes_on(reading, events);
                if (is_more && (pages == pages_max(sweep) || !has_time_in(reading, 1))) {
                        sweep->left++;
                        return 0;
                }
        }
        return 0;
}

/* -- redelivering -- */

static int redeliver(const struct reading *reading, const struct event *event)
{
        struct sweep *sweep = reading->sweep;
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct err err;
        int r;

        sweep_note(sweep, "redeliver", event->guid, event->what);
        if (sweep->is_dry)
                return 0;
        r = github_redeliver(reading->github, reading->hook, event->id, &call, &err);
        if (r == 0)
                r = github_redeliver_answer(sweep_call(sweep, call), &err);
        if (r < 0)
                sweep_fail(sweep, r, &err);
        return r;
}

/* Whether a refusal with R is one of all events, not of one. */
static bool is_of_all(int r)
{
        return r == -EAGAIN || r == -EACCES || r == -EKEYREJECTED;
}

/* The oldest first: events of one job come in their order. Those that GitHub refuses in every sweep
 * keep no others out. */
static void redeliver_all(struct reading *reading, const struct events *events)
{
        struct sweep *sweep = reading->sweep;
        int64_t now_ms = clock_wall_ms(sweep->scaler->clock);
        int r = 0;

        for (size_t i = events->count; i > 0; i--) {
                if (!event_is_due(events, &events->items[i - 1], now_ms))
                        continue;
                if (is_of_all(r) || sweep->redelivered == REDELIVERIES_MAX ||
                        !has_time_in(reading, 2)) {
                        sweep->left++;
                        break;
                }
                r = redeliver(reading, &events->items[i - 1]);
                sweep->redelivered += r == 0;
        }
        note_refusal(reading, r);
}

/* Nobody else tells of that: GitHub shows it on a page that people do not look at. */
static void tell_refused(const struct reading *reading)
{
        struct scaler *scaler = reading->sweep->scaler;
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        _cleanup_free_ char *key = mem_format("unsigned %s", reading->hook);
        struct notification notification = {
                .severity = NOTIFICATION_ERROR,
                .title = "GitHub's webhooks are refused: their signature does not match",
                .text = "The webhook's secret on GitHub is not the one that is stored, "
                        "or its URL is not the stack's. Jobs wait until that is mended: `scaler "
                        "setup` stores a "
                        "secret. Once one webhook is accepted, those that were refused are "
                        "delivered again.",
                .key = key,
        };
        struct err err;

        if (reading->sweep->is_dry || recent_has(&scaler->unread_hooks, key, now_ms))
                return;
        notification_fact(&notification, "Webhook", reading->hook);
        if (tell_people(scaler, &notification, &err) == 0)
                recent_note(&scaler->unread_hooks, key, now_ms + OWN_HOOKS_SAID_MS);
}

/* -- all of it -- */

/* What was read before a page failed is delivered again all the same. An App may have no webhook:
 * that of a repository or organization tells of its jobs. */
static void read_hook(struct reading *reading)
{
        struct events events = {.trouble_ms = clock_wall_ms(reading->sweep->scaler->clock)};
        struct err err;
        int r = read_events(reading, &events, &err);

        if (r == -ENOENT)
                sweep_note_unread(reading->sweep, reading->hook, err.text);
        else if (r < 0)
                sweep_fail(reading->sweep, r, &err);
        note_refusal(reading, r);
        if (!is_of_all(r))
                redeliver_all(reading, &events);
        if (events_are_unsigned(&events))
                tell_refused(reading);
        events_release(&events);
}

/* With a personal token, one repository after the other, as long as there is time. */
static void read_hooks_of_token(struct reading *reading)
{
        struct sweep *sweep = reading->sweep;
        struct sweep_scopes scopes;

        sweep_find_scopes(sweep, &scopes);
        reading->rounds = scopes.rounds;
        for (size_t i = 0; i < scopes.count; i++) {
                _cleanup_free_ char *hook = NULL;
                int r;

                if (reading->is_over || !has_time_in(reading, 2)) {
                        sweep->left += (unsigned)(scopes.count - i);
                        return;
                }
                r = sweep_own_hook(sweep, reading->github, &scopes, i, &hook);
                note_refusal(reading, r);
                reading->hook = hook;
                if (r == 0)
                        read_hook(reading);
        }
}

void sweep_undelivered(struct sweep *sweep)
{
        struct reading reading = {.sweep = sweep,
                .hook = GITHUB_APP_HOOK,
                .rounds = 1,
                .time_ms = scaler_time_left(sweep->scaler)};
        struct err err;
        int r = scaler_github(sweep->scaler, &reading.github, &err);

        if (r < 0)
                sweep_fail(sweep, r, &err);
        else if (sweep->config->app_id)
                read_hook(&reading);
        else
                read_hooks_of_token(&reading);
}
