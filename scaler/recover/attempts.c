/* SPDX-License-Identifier: MIT */

/*
 * Gathers attempts to deliver, and decides which events are to be delivered again.
 */

#include "attempts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* About a day: GitHub gives up a job that has waited for so long. */
#define ATTEMPTS_MAX 72
/* An attempt that has failed is in the list at once; one that is under way is not. */
#define PAUSE_MIN_MS (60 * MSEC_PER_SEC)
/* Shorter than what is read of the list: no event falls out of it. */
#define PAUSE_MAX_MS (15 * 60 * MSEC_PER_SEC)

#define UNSIGNED 401

static bool is_taken(int status)
{
        return status / 100 == 2;
}

/* Whether `webhook` gives this answer to what another attempt would not change. Others are of
 * Lambda (403: the URL is not open to the public; 429: it had no place for the function), or of who
 * had been at the webhook's URL. */
static bool is_refusal(int status)
{
        static const int refusals[] = {400, 405, 413, 422};

        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
                if (status == refusals[i])
                        return true;
        return false;
}

static struct event *event_of(struct events *events, const struct github_delivery *delivery)
{
        struct event *event;

        for (size_t i = events->count; i > 0; i--)
                if (strcmp(events->items[i - 1].guid, delivery->guid) == 0)
                        return &events->items[i - 1];
        events->items = mem_resize(events->items, events->count + 1, sizeof(*events->items));
        event = &events->items[events->count++];
        *event = (struct event){
                .id = delivery->id,
                .last_ms = delivery->at_ms,
                .is_unsigned = delivery->status_code == UNSIGNED,
        };
        memcpy(event->guid, delivery->guid, sizeof(event->guid));
        (void)snprintf(event->what, sizeof(event->what), "%s %s: %.40s", delivery->event,
                delivery->action, delivery->status);
        return event;
}

/* What was delivered again shows that an outage is being worked off: there may be more behind it.
 * While signatures are refused, nothing behind them is due. */
static bool is_trouble(const struct events *events, const struct github_delivery *delivery)
{
        int status = delivery->status_code;

        if (status == UNSIGNED)
                return events->taken_ms > 0;
        return delivery->is_redelivery || !(is_taken(status) || is_refusal(status));
}

void events_note(struct events *events, const struct github_delivery *delivery)
{
        int status = delivery->status_code;
        struct event *event;

        if (delivery->id <= 0 || !delivery->guid[0] || delivery->at_ms <= 0)
                return;
        events->oldest_ms = delivery->at_ms;
        if (is_taken(status) && delivery->at_ms > events->taken_ms)
                events->taken_ms = delivery->at_ms;
        if (strcmp(delivery->event, "workflow_job") != 0)
                return;
        if (is_trouble(events, delivery))
                events->trouble_ms = delivery->at_ms;
        event = event_of(events, delivery);
        event->attempts++;
        event->first_ms = delivery->at_ms;
        event->is_answered |= is_taken(status) || is_refusal(status);
}

void events_release(struct events *events)
{
        free(events->items);
        *events = (struct events){0};
}

/* The newest event whose signature was refused; NULL: none was. */
static const struct event *newest_unsigned(const struct events *events)
{
        for (size_t i = 0; i < events->count; i++)
                if (events->items[i].is_unsigned && !events->items[i].is_answered)
                        return &events->items[i];
        return NULL;
}

bool event_is_due(const struct events *events, const struct event *event, int64_t now_ms)
{
        int64_t pause = event->last_ms - event->first_ms;

        if (event->is_unsigned && events->taken_ms <= event->last_ms &&
                event != newest_unsigned(events))
                return false;
        if (pause < PAUSE_MIN_MS)
                pause = PAUSE_MIN_MS;
        if (pause > PAUSE_MAX_MS)
                pause = PAUSE_MAX_MS;
        return !event->is_answered && event->attempts < ATTEMPTS_MAX &&
               now_ms - event->last_ms >= pause;
}

bool events_are_unsigned(const struct events *events)
{
        const struct event *event = newest_unsigned(events);

        return event && events->taken_ms <= event->last_ms;
}
