/* SPDX-License-Identifier: MIT */

/*
 * The simulation: `make sim` runs many seeds, each a world of its own, and checks what must be true
 * of each. README.md says how to read a story.
 *
 *      sim [--seeds N] [--first N] [--faults LIST]    N seeds; prints those that fail
 *      sim --seeds N --stop                           no further than to the first that fails
 *      sim --agent job|idle|spot|refused              what the model of the agent calls
 *      sim --seed N [--faults LIST]                   one, with its story
 *      sim --limits[=N]                               many jobs against limits of machines
 *      sim --burst[=N]                                bursts without faults, against limits
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

#define FAILURES_SHOWN 20

struct totals {
        unsigned seeds;
        unsigned failed;
        unsigned jobs;
        unsigned launches;
        unsigned calls;
        unsigned strikes[N_FAULTS];
};

static const char *const labels[] = {
        " self-hosted linux x64 ",
        " self-hosted linux ",
        " self-hosted small ",
};

static void add_totals(struct totals *totals, const struct world *world)
{
        totals->seeds++;
        totals->failed += world->violations > 0;
        totals->jobs += (unsigned)world->n_jobs;
        totals->launches += world->ran_instances;
        for (size_t i = 0; i < ARRAY_SIZE(world->calls); i++)
                totals->calls += world->calls[i];
        for (size_t i = 0; i < N_FAULTS; i++)
                totals->strikes[i] += world->strikes[i];
}

/* What all seeds of a run have in common. */
struct choice {
        uint32_t faults;
        uint32_t checks;
        bool tells;
        const char *story;
        bool stops; /* at the first world that fails */
};

static void run_seed(uint64_t seed, const struct choice *choice, struct totals *totals)
{
        struct world *world = mem_alloc(sizeof(*world));
        unsigned n_jobs;
        int64_t spread;

        world_init(world, seed, choice->tells, choice->faults);
        n_jobs = 1 + world_random(world, 8) + limited_more_jobs(world);
        spread = world_chance(world, 50) ? 2 * SECOND : HOUR;
        if (fault_is_on(world, FAULT_BURST)) {
                n_jobs += 9;
                spread = 2 * SECOND;
        }
        for (unsigned i = 0; i < n_jobs; i++)
                job_add(world, world_between(world, 0, spread),
                        labels[world_random(world, ARRAY_SIZE(labels))]);
        world_run(world, world->faults_until_ms + HOUR);
        sqs_retry_letters(world);
        world_run(world, world->faults_until_ms + REST_MS);
        invariants_at_rest(world, choice->checks);
        if (world->violations > 0 && !choice->tells && totals->failed < FAILURES_SHOWN)
                printf("seed %" PRIu64 ": %s\n", seed, world->violation);
        add_totals(totals, world);
        world_release(world);
        free(world);
}

static void print_totals(const struct totals *totals, int64_t ms)
{
        printf("%u seeds, %u failed; %u jobs, %u machines, %u calls; %lld ms\nfaults:",
                totals->seeds, totals->failed, totals->jobs, totals->launches, totals->calls,
                (long long)ms);
        for (int i = 0; i < N_FAULTS; i++)
                if (totals->strikes[i] > 0)
                        printf(" %s %u", fault_name((enum fault)i), totals->strikes[i]);
        printf("\n");
}

static int usage(void)
{
        fprintf(stderr, "usage: sim [--seeds N] [--first N] [--seed N] [--stop] [--faults LIST] "
                        "[--checks LIST]\n"
                        "       sim --agent job|idle|spot|refused\n"
                        "faults: all, none, NAME,... or +NAME,-NAME,... on top of the default\n"
                        "checks: all, or NAME,...\n");
        return 2;
}

/* Reads one option: false where it cannot be read. */
static bool read_option(int option, struct choice *choice, uint64_t *first, uint64_t *n_seeds)
{
        switch (option) {
        case 'n':
                *n_seeds = strtoull(optarg, NULL, 10);
                return true;
        case 's':
                choice->tells = true;
                *n_seeds = 1;
                *first = strtoull(optarg, NULL, 10);
                return true;
        case 'a':
                choice->story = optarg;
                return true;
        case 'e':
                choice->stops = true;
                return true;
        case 'f':
                *first = strtoull(optarg, NULL, 10);
                return true;
        case 'x':
                return faults_parse(optarg, &choice->faults);
        case 'c':
                return invariants_parse(optarg, &choice->checks);
        default:
                return false;
        }
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                {"seeds", required_argument, NULL, 'n'},
                {"first", required_argument, NULL, 'f'},
                {"seed", required_argument, NULL, 's'},
                {"stop", no_argument, NULL, 'e'},
                {"agent", required_argument, NULL, 'a'},
                {"faults", required_argument, NULL, 'x'},
                {"checks", required_argument, NULL, 'c'},
                {"limits", optional_argument, NULL, 'l'},
                {"burst", optional_argument, NULL, 'b'},
                {"drought", no_argument, NULL, 'd'},
                {0},
        };
        struct choice choice = {.faults = faults_default(), .checks = invariants_default()};
        struct totals totals = {0};
        uint64_t first = 1;
        uint64_t n_seeds = 300;
        int64_t begun = clock_monotonic_ms(&clock_system);
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
                if (option == 'b')
                        return bursts(optarg ? atoi(optarg) : 0, optarg != NULL);
                else if (option == 'd')
                        return drought_runs();
                else if (option == 'l')
                        return limited_runs(optarg ? (unsigned)atoi(optarg) : 5);
                else if (!read_option(option, &choice, &first, &n_seeds))
                        return usage();
        if (choice.story)
                return story_tell(choice.story);
        for (uint64_t seed = first; seed < first + n_seeds && !(choice.stops && totals.failed > 0);
                seed++)
                run_seed(seed, &choice, &totals);
        print_totals(&totals, clock_monotonic_ms(&clock_system) - begun);
        if (totals.failed > 0 && !choice.tells)
                printf("make sim SEED=N tells the story of a seed\n");
        return totals.failed > 0;
}
