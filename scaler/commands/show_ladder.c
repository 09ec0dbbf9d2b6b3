/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler ladder TYPE`: prints the ladder that begins with TYPE.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "commands.h"
#include "job/ladder.h"

/* Whether the table of families has TYPE; says why not. */
static bool type_is_known(const char *type)
{
        const struct instance_family *family = instance_family_find(type);
        const char *dot = strchr(type, '.');

        if (!instance_type_is_plausible(type))
                fprintf(stderr, "scaler ladder: %s is no instance type; one looks like m7i.large\n",
                        type);
        else if (!family)
                fprintf(stderr,
                        "scaler ladder: %s: no family %.*s is known, so nothing can replace it\n",
                        type, (int)strcspn(type, "."), type);
        else if (dot && !instance_size_find(family, dot + 1, strlen(dot + 1)))
                fprintf(stderr,
                        "scaler ladder: %s: %s has no size %s to start from; its sizes are %s\n",
                        type, family->name, dot + 1, family->sizes);
        else
                return true;
        return false;
}

enum { OPTION_JSON, N_OPTIONS };

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
        if (values[OPTION_JSON])
                print_json(type, rungs, count);
        else
                print_rungs(rungs, count);
        return 0;
}

static const struct cli_option options[] = {
        [OPTION_JSON] = {"json", NULL, "print one JSON object", false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {0, "done"},
        {1, "the answer could not be written"},
        {2, "wrong usage, or an unknown type"},
        {0},
};

const struct cli ladder_command = {
        .program = "scaler",
        .name = "ladder",
        .brief = "print the failover order from an instance type",
        .text = "Prints the instance types that are tried for TYPE, in order, one a line: "
                "TYPE, its sibling from the other x86 vendor, the next larger size, its sibling, "
                "and so on.",
        .operand = "TYPE",
        .options = options,
        .exits = exits,
        .main = ladder_main,
};
