/* SPDX-License-Identifier: MIT */

/*
 * Remembers keys for a while, in a ring.
 */

#include "base/recent.h"

#include <string.h>

void recent_note(struct recent *recent, const char *key, int64_t until_ms)
{
        digest_sha256_hex(key, strlen(key), recent->items[recent->next].digest);
        recent->items[recent->next].until_ms = until_ms;
        recent->next = (recent->next + 1) % RECENT_MAX;
}

void recent_forget(struct recent *recent, const char *key)
{
        char digest[DIGEST_HEX_SIZE];

        digest_sha256_hex(key, strlen(key), digest);
        for (size_t i = 0; i < RECENT_MAX; i++)
                if (strcmp(recent->items[i].digest, digest) == 0)
                        recent->items[i].until_ms = 0;
}

int64_t recent_until(const struct recent *recent, const char *key, int64_t now_ms)
{
        int64_t until_ms = 0;
        char digest[DIGEST_HEX_SIZE];

        digest_sha256_hex(key, strlen(key), digest);
        for (size_t i = 0; i < RECENT_MAX; i++)
                if (recent->items[i].until_ms > now_ms && recent->items[i].until_ms > until_ms &&
                        strcmp(recent->items[i].digest, digest) == 0)
                        until_ms = recent->items[i].until_ms;
        return until_ms;
}

bool recent_has(const struct recent *recent, const char *key, int64_t now_ms)
{
        return recent_until(recent, key, now_ms) != 0;
}
