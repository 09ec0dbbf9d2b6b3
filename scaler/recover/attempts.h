/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What became of a webhook's events: the attempts to deliver each, gathered from GitHub's list,
 * which begins with the newest. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "github/hooks.h"

/* All attempts to deliver one event that were read. */
struct event {
        char guid[64];
        int64_t id;       /* of the newest attempt */
        int64_t first_ms; /* the oldest one */
        int64_t last_ms;  /* the newest one */
        unsigned attempts;
        bool is_answered; /* another attempt would change nothing */
        bool is_unsigned; /* the newest one did not have the secret's signature */
        char what[192];
};

struct events {
        struct event *items; /* by their newest attempts, the newest first; owned */
        size_t count;
        int64_t trouble_ms; /* the oldest entry that shows that something may be left to do; the
                               caller sets it to the present */
        int64_t oldest_ms;  /* of all entries; 0: none was read */
        int64_t taken_ms;   /* the newest delivery, of whatever event, that was taken; 0: none */
};

/* Notes the next entry of the list. One that nobody could deliver again is left out. */
void events_note(struct events *events, const struct github_delivery *delivery);
void events_release(struct events *events);

/*
 * Whether EVENT is to be delivered again at NOW_MS: no attempt got an answer of ours, and the pause
 * since the newest is as long as all before it, within limits.
 *
 * Where the signature was refused, a delivery that was taken later shows that the secret has been
 * mended. Until then, the newest of these events is tried alone, so that it is noticed also where
 * GitHub has nothing else to tell.
 */
bool event_is_due(const struct events *events, const struct event *event, int64_t now_ms);

/* Whether the newest that GitHub tells of is that signatures are refused. */
bool events_are_unsigned(const struct events *events);
