/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A small set of keys that are remembered for a while: offers that had no capacity, notifications
 * that people have seen. A warm process keeps one between events. When the set is full, the key
 * that was noted first makes room. An all-zero set is empty and needs no release.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

#define RECENT_MAX 128

struct recent {
        struct {
                char digest[DIGEST_HEX_SIZE]; /* of the key, so that keys may have any length */
                int64_t until_ms;             /* monotonic */
        } items[RECENT_MAX];
        size_t next; /* where the next key goes */
};

/* Remembers KEY until UNTIL_MS. */
void recent_note(struct recent *recent, const char *key, int64_t until_ms);
/* Remembers KEY no longer. */
void recent_forget(struct recent *recent, const char *key);

/* Until when KEY is remembered, or 0 when it is not at NOW_MS. */
int64_t recent_until(const struct recent *recent, const char *key, int64_t now_ms);
/* Whether KEY is still remembered at NOW_MS. */
bool recent_has(const struct recent *recent, const char *key, int64_t now_ms);
