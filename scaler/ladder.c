/* SPDX-License-Identifier: MIT */

/*
 * The failover ladder, and the command that prints one. The order is described in ladder.h; what
 * is known about families is in lib/instance_type.c.
 */

#include "ladder.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "mem.h"

struct ladder {
        struct ladder_rung *rungs;
        size_t count;
        size_t max;
};

/* Adds FAMILY.SIZE, where the family has that size and the ladder does not have it yet. */
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

/* Adds the types that stand in for FAMILY.SIZE: its sibling, and all that is larger. */
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

/* Whether TYPE is one of the table. Says why not. */
static bool type_is_known(const char *type)
{
        const struct instance_family *family = instance_family_find(type);
        const char *dot = strchr(type, '.');

        if (!instance_type_is_plausible(type))
                fprintf(stderr, "scaler ladder: %s is no instance type; one looks like m7i.large\n",
                        type);
        else if (!family)
                fprintf(stderr,
                        "scaler ladder: %s: no family %.*s is known, so nothing stands in for it\n",
                        type, (int)strcspn(type, "."), type);
        else if (dot && !instance_size_find(family, dot + 1, strlen(dot + 1)))
                fprintf(stderr,
                        "scaler ladder: %s: %s has no size %s that could be climbed from; its "
                        "sizes are %s\n",
                        type, family->name, dot + 1, family->sizes);
        else
                return true;
        return false;
}

enum { JSON, N_OPTIONS };

static void print_rungs(const struct ladder_rung *rungs, size_t count)
{
        for (size_t i = 0; i < count; i++)
                (void)puts(rungs[i].type);
}

static void print_json(const char *type, const struct ladder_rung *rungs, size_t count)
{
        _cleanup_json_ cJSON *answer = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;
        cJSON *list;

        json_add_string(answer, "type", type);
        list = cJSON_AddArrayToObject(answer, "ladder");
        for (size_t i = 0; i < count; i++)
                cJSON_AddItemToArray(list, cJSON_CreateString(rungs[i].type));
        text = json_print(answer);
        (void)puts(text);
}

static int ladder_main(int argc, char *argv[])
{
        const char *values[N_OPTIONS] = {0};
        const char *type = NULL;
        struct ladder_rung rungs[LADDER_MAX];
        size_t count;
        int code = cli_parse(&ladder_command, argc, argv, values, &type);

        if (code != CLI_GO_ON)
                return code;
        if (!type_is_known(type))
                return CLI_WRONG_USAGE;
        count = ladder_build(type, rungs, LADDER_MAX);
        if (values[JSON])
                print_json(type, rungs, count);
        else
                print_rungs(rungs, count);
        return 0;
}

static const struct cli_option options[] = {
        [JSON] = {"json", NULL, "print one JSON object", false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {0, "done"},
        {1, "the answer could not be written"},
        {2, "wrong usage, or a type that is not known"},
        {0},
};

const struct cli ladder_command = {
        .program = "scaler",
        .name = "ladder",
        .brief = "print the failover order from an instance type",
        .text = "Prints the instance types that are tried for TYPE, in order, one a line: TYPE, "
                "its "
                "sibling from the other x86 maker, the next larger size, its sibling, and so on.",
        .operand = "TYPE",
        .options = options,
        .exits = exits,
        .main = ladder_main,
};
