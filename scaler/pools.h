/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pools (type, subnet, market) that had no capacity lately. A warm process passes them over for
 * two minutes, so that a burst does not ask EC2 again for what it just refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOLS_MAX 128
#define POOLS_KEPT_MS (2 * 60 * 1000)

struct pools {
        struct {
                char name[96];
                int64_t until_ms; /* monotonic */
        } items[POOLS_MAX];
        size_t next; /* the oldest is replaced */
};

void pools_remember(
        struct pools *pools, const char *type, const char *subnet, bool spot, int64_t now_ms);
bool pools_exhausted(
        const struct pools *pools, const char *type, const char *subnet, bool spot, int64_t now_ms);
