/* SPDX-License-Identifier: MIT */

/*
 * Webhooks that GitHub could not deliver: it never tries again by itself. An event for which no
 * attempt got an answer of ours (2xx, or 4xx: a refusal that another attempt would not change) is
 * delivered once more, with growing pauses. 429 is Lambda's: it had no free place for `webhook`.
 *
 * The list of each webhook (own_hooks.c) is read from its newest entry back, until half an hour of
 * it, or the time of three sweeps, has no failure: what failed before that was seen by an earlier
 * sweep. No pause is so long that an event falls out of that time.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "github/hooks.h"
#include "own_hooks.h"

#define QUIET_MIN_MS (30 * 60 * MSEC_PER_SEC)
#define QUIET_SWEEPS 3
#define PAGES_MAX 100
#define PAGES_BY_HAND_MAX 500
/* About a day: GitHub gives up a job that has waited for so long. */
#define ATTEMPTS_MAX 72
/* An attempt that has failed is in the list at once; one that is under way is not. */
#define PAUSE_MIN_MS (60 * MSEC_PER_SEC)
#define PAUSE_MAX_MS (15 * 60 * MSEC_PER_SEC)
/* Further ones wait for the next sweep. */
#define REDELIVERIES_MAX 100

/* Where deliveries are read, and redelivered. */
struct reading {
        struct sweep *sweep;
        struct github *github;
        const char *hook;
        size_t rounds;   /* see own_hooks.h */
        int64_t time_ms; /* that the sweep had when it began */
};

/* All attempts to deliver one event. */
struct event {
        char guid[64];
        int64_t id;       /* of the newest attempt */
        int64_t first_ms; /* the oldest attempt that was read */
        int64_t last_ms;
        unsigned attempts;
        bool is_answered;
        char what[192];
};

struct events {
        struct event *items; /* owned */
        size_t count;
};

/* However long GitHub takes: a third of the time is for reading, one for redelivering, and the last
 * one for machines. */
static bool has_time_in(const struct reading *reading, int third)
{
        return scaler_time_left(reading->sweep->scaler) >
               reading->time_ms - third * (reading->time_ms / 3);
}

static struct event *event_of(struct events *events, const struct github_delivery *delivery)
{
        struct event *event;

        for (size_t i = events->count; i > 0; i--)
                if (strcmp(events->items[i - 1].guid, delivery->guid) == 0)
                        return &events->items[i - 1];
        events->items = mem_resize(events->items, events->count + 1, sizeof(*events->items));
        event = &events->items[events->count++];
        *event = (struct event){.id = delivery->id, .last_ms = delivery->at_ms};
        memcpy(event->guid, delivery->guid, sizeof(event->guid));
        (void)snprintf(event->what, sizeof(event->what), "%s %s: %.40s", delivery->event,
                delivery->action, delivery->status);
        return event;
}

static bool is_answer(int status)
{
        return status / 100 == 2 || (status / 100 == 4 && status != 408 && status != 429);
}

/* Notes the attempts of PAGE; *failed_ms becomes the time of its oldest failure, if any. */
static void note_page(struct sweep *sweep, struct events *events,
        const struct github_deliveries *page, int64_t *failed_ms)
{
        for (size_t i = 0; i < page->count; i++) {
                const struct github_delivery *delivery = &page->items[i];
                struct event *event;

                sweep->deliveries++;
                if (strcmp(delivery->event, "workflow_job") != 0)
                        continue;
                event = event_of(events, delivery);
                event->attempts++;
                event->first_ms = delivery->at_ms;
                if (is_answer(delivery->status_code))
                        event->is_answered = true;
                else
                        *failed_ms = delivery->at_ms;
        }
}

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

/* The rule's period is a parameter of the stack. */
static int64_t quiet_ms(const struct reading *reading)
{
        const char *minutes = getenv("RECOVER_MINUTES");
        int64_t ms = QUIET_SWEEPS * 60 * MSEC_PER_SEC * (minutes ? strtoll(minutes, NULL, 10) : 0);

        return (ms > QUIET_MIN_MS ? ms : QUIET_MIN_MS) * (int64_t)reading->rounds;
}

/* Whether what is older than OLDEST_MS matters to this sweep. */
static bool goes_on(const struct reading *reading, int64_t oldest_ms, int64_t failed_ms)
{
        const struct sweep *sweep = reading->sweep;

        if (sweep->deliveries_ms > 0)
                return clock_wall_ms(sweep->scaler->clock) - oldest_ms < sweep->deliveries_ms;
        return failed_ms - oldest_ms < quiet_ms(reading);
}

static unsigned pages_max(const struct sweep *sweep)
{
        return sweep->deliveries_ms > 0 ? PAGES_BY_HAND_MAX : PAGES_MAX;
}

static int read_events(const struct reading *reading, struct events *events, struct err *err)
{
        struct sweep *sweep = reading->sweep;
        int64_t failed_ms = clock_wall_ms(sweep->scaler->clock);
        char page[sizeof(((struct github_deliveries *)NULL)->next_page)] = "";
        bool is_more = true;

        for (unsigned pages = 1; is_more; pages++) {
                _cleanup_(github_deliveries_release) struct github_deliveries list = {0};
                int r = read_page(reading, page[0] ? page : NULL, &list, err);

                if (r < 0)
                        return r;
                note_page(sweep, events, &list, &failed_ms);
                memcpy(page, list.next_page, sizeof(page));
                is_more = list.count > 0 && page[0] &&
                          goes_on(reading, list.items[list.count - 1].at_ms, failed_ms);
                if (is_more && (pages == pages_max(sweep) || !has_time_in(reading, 1))) {
                        sweep->left++;
                        return 0;
                }
        }
        return 0;
}

/* Each pause is as long as all before it, within limits. */
static bool is_due(const struct sweep *sweep, const struct event *event)
{
        int64_t pause = event->last_ms - event->first_ms;

        if (pause < PAUSE_MIN_MS)
                pause = PAUSE_MIN_MS;
        if (pause > PAUSE_MAX_MS)
                pause = PAUSE_MAX_MS;
        return !event->is_answered && event->attempts < ATTEMPTS_MAX &&
               clock_wall_ms(sweep->scaler->clock) - event->last_ms >= pause;
}

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

/* The oldest first: events of one job come in their order. Those that GitHub refuses in every sweep
 * keep no others out; a limit would. */
static void redeliver_all(const struct reading *reading, const struct events *events)
{
        struct sweep *sweep = reading->sweep;
        int r = 0;

        for (size_t i = events->count; i > 0; i--) {
                if (!is_due(sweep, &events->items[i - 1]))
                        continue;
                if (r == -EAGAIN || sweep->redelivered == REDELIVERIES_MAX ||
                        !has_time_in(reading, 2)) {
                        sweep->left++;
                        return;
                }
                r = redeliver(reading, &events->items[i - 1]);
                sweep->redelivered += r == 0;
        }
}

static void read_hook(const struct reading *reading)
{
        struct events events = {0};
        struct err err;
        int r = read_events(reading, &events, &err);

        if (r < 0)
                sweep_fail(reading->sweep, r, &err);
        else
                redeliver_all(reading, &events);
        free(events.items);
}

void sweep_undelivered(struct sweep *sweep)
{
        _cleanup_(sweep_hooks_release) struct sweep_hooks hooks = {0};
        struct reading reading = {.sweep = sweep, .time_ms = scaler_time_left(sweep->scaler)};
        struct err err;
        int r = scaler_github(sweep->scaler, &reading.github, &err);

        if (r < 0) {
                sweep_fail(sweep, r, &err);
                return;
        }
        sweep_find_hooks(sweep, reading.github, &hooks);
        reading.rounds = hooks.rounds;
        for (size_t i = 0; i < hooks.count; i++) {
                if (!has_time_in(&reading, 2)) {
                        sweep->left++;
                        return;
                }
                reading.hook = hooks.names[i];
                read_hook(&reading);
        }
}
