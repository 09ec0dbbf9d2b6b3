/* SPDX-License-Identifier: MIT */

/*
 * Chooses the pools of a fleet.
 */

#include "pools.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

bool pool_set_has(const struct pool_set *set, size_t pool)
{
        return pool < POOLS_MAX && set->bits[pool / 8] & (1U << pool % 8);
}

static bool pool_set_add(struct pool_set *set, size_t pool)
{
        if (pool >= POOLS_MAX || pool_set_has(set, pool))
                return false;
        set->bits[pool / 8] |= (unsigned char)(1U << pool % 8);
        return true;
}

char *pool_set_print(const struct pool_set *set)
{
        struct buf text = BUF_INIT(POOLS_MAX);
        size_t n = sizeof(set->bits);

        while (n > 0 && set->bits[n - 1] == 0)
                n--;
        for (size_t i = 0; i < n; i++)
                buf_add_format(&text, "%02x", set->bits[i]);
        return n > 0 ? buf_steal(&text) : NULL;
}

/* The value of a hexadecimal digit, or a negative number. */
static int digit(char c)
{
        static const char digits[] = "0123456789abcdef";
        const char *found = c ? strchr(digits, c) : NULL;

        return found ? (int)(found - digits) : -1;
}

struct pool_set pool_set_parse(const char *text)
{
        struct pool_set set = {0};

        for (size_t i = 0; text && text[0] && i < sizeof(set.bits); i++, text += 2) {
                int high = digit(text[0]);
                int low = digit(text[1]);

                if (high < 0 || low < 0)
                        return (struct pool_set){0};
                set.bits[i] = (unsigned char)(high << 4 | low);
        }
        return set;
}

/* NULL: ZONES lacks it. */
static const char *zone_of(const struct ec2_subnets *zones, const char *subnet)
{
        for (size_t i = 0; i < zones->count; i++)
                if (strcmp(zones->items[i].id, subnet) == 0)
                        return zones->items[i].zone;
        return NULL;
}

/* Whether the subnet at INDEX has a pool left. */
static bool subnet_is_left(
        const struct offers *offers, const struct pool_set *left_out, size_t index)
{
        for (size_t i = 0; i < offers->n_rungs; i++)
                if (!pool_set_has(left_out, i * offers->spec->n_subnets + index))
                        return true;
        return false;
}

/* Whether the subnet at INDEX stands for its zone: it is the first of that zone which is left. */
static bool subnet_counts(const struct offers *offers, const struct ec2_subnets *zones,
        const struct pool_set *left_out, size_t index)
{
        const char *zone = zone_of(zones, offers->spec->subnets[index]);

        if (!zone || !subnet_is_left(offers, left_out, index))
                return false;
        for (size_t i = 0; i < index; i++) {
                const char *other = zone_of(zones, offers->spec->subnets[i]);

                if (other && strcmp(other, zone) == 0 && subnet_is_left(offers, left_out, i))
                        return false;
        }
        return true;
}

size_t pools_list(const struct offers *offers, const struct ec2_subnets *zones,
        const struct pool_set *left_out, struct ec2_pool *pools)
{
        size_t n_subnets = offers->spec->n_subnets;
        _cleanup_free_ bool *counts = mem_alloc(n_subnets * sizeof(*counts));
        size_t n = 0;

        for (size_t i = 0; i < n_subnets; i++)
                counts[i] = subnet_counts(offers, zones, left_out, i);
        for (size_t i = 0; n_subnets > 0 && i < offers_on_demand(offers); i++) {
                size_t subnet = i % n_subnets;

                if (pool_set_has(left_out, i) || !counts[subnet])
                        continue;
                pools[n++] = (struct ec2_pool){
                        .instance_type = offers->rungs[i / n_subnets].type,
                        .subnet = offers->spec->subnets[subnet],
                        .priority = (unsigned)(i / n_subnets),
                };
        }
        return n;
}

/* Families have the same sizes, and as many processors in each. */
static const char *size_of(const struct ladder_rung *rung)
{
        const char *dot = strchr(rung->type, '.');

        return dot ? dot : "";
}

bool pools_leave_out_from_size(
        const struct offers *offers, const char *instance_type, struct pool_set *left_out)
{
        bool is_new = false;
        size_t first = 0;

        while (first < offers->n_rungs && strcmp(offers->rungs[first].type, instance_type) != 0)
                first++;
        while (first > 0 && first < offers->n_rungs &&
                strcmp(size_of(&offers->rungs[first - 1]), size_of(&offers->rungs[first])) == 0)
                first--;
        for (size_t i = first * offers->spec->n_subnets; i < offers_on_demand(offers); i++)
                is_new = pool_set_add(left_out, i) || is_new;
        return is_new;
}

static bool is_in(const struct ec2_subnets *zones, const char *one, const char *other)
{
        const char *zone = zone_of(zones, one);
        const char *same = zone_of(zones, other);

        return zone && same && strcmp(zone, same) == 0;
}

bool pools_leave_out(const struct offers *offers, const struct ec2_subnets *zones,
        const char *instance_type, const char *subnet, bool in_zone, struct pool_set *left_out)
{
        bool is_new = false;

        for (size_t i = 0; i < offers_on_demand(offers); i++) {
                struct offer offer = offer_at(offers, i);
                bool is_type = !instance_type || !instance_type[0] ||
                               strcmp(offer.type, instance_type) == 0;
                bool is_subnet = !subnet || !subnet[0] || strcmp(offer.subnet, subnet) == 0 ||
                                 (in_zone && is_in(zones, offer.subnet, subnet));

                if (is_type && is_subnet)
                        is_new = pool_set_add(left_out, i) || is_new;
        }
        return is_new;
}
