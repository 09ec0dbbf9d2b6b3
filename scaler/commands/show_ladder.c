/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler ladder TYPE`: prints the ladder that begins with TYPE, and what is asked for
 * in which subnets.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "commands.h"
#include "config/config.h"
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

enum { OPTION_ALLOCATION, OPTION_SUBNETS, OPTION_JSON, N_OPTIONS };

/* What is printed. */
struct shown {
        const char *type;
        struct ladder_rung rungs[LADDER_MAX];
        size_t n_rungs;
        const char *allocation; /* NULL: only the types were asked for */
        const char **subnets;   /* owned; the texts are in `list` */
        size_t n_subnets;
        char *list; /* owned */
};

static void shown_release(struct shown *shown)
{
        free(shown->subnets);
        free(shown->list);
}

/* Whether TEXT is a list of subnets' ids; says why not. */
static bool take_subnets(struct shown *shown, const char *text)
{
        char *left;
        const char *subnet;

        shown->list = mem_string(text);
        shown->subnets = mem_alloc((strlen(text) + 1) * sizeof(char *));
        left = shown->list;
        while ((subnet = strsep(&left, ","))) {
                if (!config_is_subnet(subnet)) {
                        fprintf(stderr,
                                "scaler ladder: --subnets: \"%s\" is no subnet's id; "
                                "one looks like subnet-0123456789abcdef0\n",
                                subnet);
                        return false;
                }
                shown->subnets[shown->n_subnets++] = subnet;
        }
        return true;
}

/* Whether the options can be used together; says why not. */
static bool take_options(struct shown *shown, const char *const values[static N_OPTIONS])
{
        shown->allocation = values[OPTION_ALLOCATION];
        if (shown->allocation && !config_is_allocation(shown->allocation)) {
                fprintf(stderr,
                        "scaler ladder: --allocation: \"ladder\", \"" CONFIG_ALLOCATION_PRICE
                        "\" or \"" CONFIG_ALLOCATION_PRIORITIES "\" is needed, found \"%s\"\n",
                        shown->allocation);
                return false;
        }
        if (!values[OPTION_SUBNETS])
                return true;
        if (!shown->allocation)
                shown->allocation = CONFIG_ALLOCATION_LADDER;
        return take_subnets(shown, values[OPTION_SUBNETS]);
}

/* Only that strategy of EC2's looks at priorities. */
static bool has_priorities(const struct shown *shown)
{
        return shown->allocation && strcmp(shown->allocation, CONFIG_ALLOCATION_PRIORITIES) == 0;
}

static void print_rung(const struct shown *shown, size_t rung, const char *subnet)
{
        if (has_priorities(shown))
                printf("%zu ", rung);
        printf("%s%s%s\n", shown->rungs[rung].type, subnet ? " " : "", subnet ? subnet : "");
}

static void print_lines(const struct shown *shown)
{
        for (size_t i = 0; i < shown->n_rungs; i++) {
                if (shown->n_subnets == 0)
                        print_rung(shown, i, NULL);
                for (size_t j = 0; j < shown->n_subnets; j++)
                        print_rung(shown, i, shown->subnets[j]);
        }
}

static void add_pool(cJSON *list, const struct shown *shown, size_t rung, const char *subnet)
{
        cJSON *pool = cJSON_CreateObject();

        json_add_string(pool, "instance_type", shown->rungs[rung].type);
        json_add_string(pool, "subnet", subnet);
        if (has_priorities(shown))
                json_add_integer(pool, "priority", (int64_t)rung);
        cJSON_AddItemToArray(list, pool);
}

static void print_json(const struct shown *shown)
{
        _cleanup_json_ cJSON *answer = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;
        cJSON *list;

        json_add_string(answer, "type", shown->type);
        list = cJSON_AddArrayToObject(answer, "ladder");
        for (size_t i = 0; i < shown->n_rungs; i++)
                cJSON_AddItemToArray(list, cJSON_CreateString(shown->rungs[i].type));
        json_add_string(answer, "allocation", shown->allocation);
        if (shown->n_subnets > 0)
                list = cJSON_AddArrayToObject(answer, "pools");
        for (size_t i = 0; i < shown->n_rungs * shown->n_subnets; i++)
                add_pool(list, shown, i / shown->n_subnets, shown->subnets[i % shown->n_subnets]);
        text = json_print(answer);
        (void)puts(text);
}

static int ladder_main(int argc, char *argv[])
{
        _cleanup_(shown_release) struct shown shown = {0};
        const char *values[N_OPTIONS] = {0};
        int code = cli_parse(&ladder_command, argc, argv, values, &shown.type);

        if (code != CLI_GO_ON)
                return code;
        if (!type_is_known(shown.type) || !take_options(&shown, values))
                return CLI_WRONG_USAGE;
        shown.n_rungs = ladder_build(shown.type, shown.rungs, LADDER_MAX);
        if (values[OPTION_JSON])
                print_json(&shown);
        else
                print_lines(&shown);
        return 0;
}

static const struct cli_option options[] = {
        [OPTION_ALLOCATION] = {"allocation", "STRATEGY",
                "who chooses, as in the configuration; with capacity-optimized-prioritized each "
                "line begins with its priority",
                false},
        [OPTION_SUBNETS] = {"subnets", "SUBNET,...",
                "print each type once for each of these subnets", false},
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
                "and so on.\n"
                "With the ladder, this is the order. With another STRATEGY, EC2 gets all of them "
                "in one call and chooses; of subnets that share a zone, the call has one.",
        .operand = "TYPE",
        .options = options,
        .exits = exits,
        .main = ladder_main,
};
