/* SPDX-License-Identifier: MIT */

/*
 * Builds ladders. ladder.h describes the order; lib/aws/instance_type.c has the table of families.
 */

#include "ladder.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct ladder {
        struct ladder_rung *rungs;
        size_t count;
        size_t max;
};

/* Adds FAMILY.SIZE if the family has that size and the ladder does not have it yet. */
static void ladder_add(struct ladder *ladder, const struct instance_family *family,
        const char *size, size_t length)
{
        char type[INSTANCE_TYPE_SIZE];

        if (!family || !instance_size_find(family, size, length) || ladder->count == ladder->max)
                return;
        (void)snprintf(type, sizeof(type), "%s.%.*s", family->name, (int)length, size);
        for (size_t i = 0; i < ladder->count; i++)
                if (strcmp(ladder->rungs[i].type, type) == 0)
                        return;
        memcpy(ladder->rungs[ladder->count++].type, type, sizeof(type));
}

static const struct instance_family *family_or_null(const char *name)
{
        return name ? instance_family_find(name) : NULL;
}

/* Adds the types that may replace FAMILY.SIZE: its sibling, and all larger ones. */
static void ladder_climb(
        struct ladder *ladder, const struct instance_family *family, const char *size)
{
        const struct instance_family *sibling = family_or_null(family->sibling);
        const struct instance_family *climbed =
                family->climbs ? family_or_null(family->climbs) : family;
        const char *word = climbed ? instance_size_find(climbed, size, strlen(size)) : NULL;

        ladder_add(ladder, sibling, size, strlen(size));
        while (word && *word != '\0') {
                size_t length = strcspn(word, " ");

                ladder_add(ladder, climbed, word, length);
                ladder_add(ladder, sibling, word, length);
                word += length + strspn(word + length, " ");
        }
}

size_t ladder_build(const char *type, struct ladder_rung *rungs, size_t max)
{
        const struct instance_family *family = instance_family_find(type);
        struct ladder ladder = {.rungs = rungs, .max = max};
        const char *dot = strchr(type, '.');

        if (max == 0 || strlen(type) >= INSTANCE_TYPE_SIZE)
                return 0;
        memcpy(rungs[ladder.count++].type, type, strlen(type) + 1);
        if (family && dot)
                ladder_climb(&ladder, family, dot + 1);
        return ladder.count;
}
