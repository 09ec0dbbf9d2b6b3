/* SPDX-License-Identifier: MIT */

/*
 * Pools that had no capacity lately: part of launching, remembered between warm events.
 */

#include "pools.h"

#include <stdio.h>
#include <string.h>

static void name_pool(char *name, size_t size, const char *type, const char *subnet, bool spot)
{
        snprintf(name, size, "%s %s %s", type, subnet, spot ? "spot" : "on-demand");
}

void pools_remember(
        struct pools *pools, const char *type, const char *subnet, bool spot, int64_t now_ms)
{
        size_t i = pools->next;

        name_pool(pools->items[i].name, sizeof(pools->items[i].name), type, subnet, spot);
        pools->items[i].until_ms = now_ms + POOLS_KEPT_MS;
        pools->next = (i + 1) % POOLS_MAX;
}

bool pools_exhausted(
        const struct pools *pools, const char *type, const char *subnet, bool spot, int64_t now_ms)
{
        char name[sizeof(pools->items[0].name)];

        name_pool(name, sizeof(name), type, subnet, spot);
        for (size_t i = 0; i < POOLS_MAX; i++)
                if (pools->items[i].until_ms > now_ms && strcmp(pools->items[i].name, name) == 0)
                        return true;
        return false;
}
