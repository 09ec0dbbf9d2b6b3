/* SPDX-License-Identifier: MIT */

/*
 * Bursts: many jobs at once, no faults, and the limits that GitHub and AWS publish. Each prints how
 * long it takes until all jobs have their hand-over, the least that the same limits allow, and how
 * long one job a call takes without a pace: refused, each try is repeated after a minute. The goal
 * is a tenth more than the least, and a hundredth more machines than jobs.
 */

#include <stdio.h>
#include <stdlib.h>

#include "world.h"

static const struct burst {
        const char *name;
        unsigned n_jobs;
        double points; /* of GitHub a minute */
        double jitconfigs;
        double jitconfigs_per_minute;
        double jitconfigs_per_hour;
        double hour; /* GitHub's calls */
        double stores;
        double machines; /* goal: times the jobs */
        double time;     /* goal: times the bound */
        bool is_long;    /* not among the tests */
} table[] = {
        {"500 jobs, GitHub 180/min", 500, 900, 0, 0, 0, 0, 0, 1.01, 1.1, false},
        {"1,000 jobs, GitHub 180/min", 1000, 900, 0, 0, 0, 0, 0, 1.01, 1.1, false},
        {"100 jobs, PutParameter 3/s", 100, 900, 0, 0, 0, 0, 3, 1.01, 1.1, false},
        {"100 jobs, GitHub 10/min", 100, 900, 10, 10, 0, 0, 0, 1.05, 1.2, false},
        {"1,000 jobs, 80/min and 500/h", 1000, 900, 80, 80, 500, 0, 0, 1.05, 1.3, true},
        {"10,000 jobs, 5,000 calls/h", 10000, 900, 0, 0, 0, 5000, 0, 1.01, 1.1, true},
        {"10,000 jobs, 15,000 calls/h", 10000, 900, 0, 0, 0, 15000, 0, 1.01, 1.1, true},
};

static struct limits limits_of(const struct burst *burst)
{
        return (struct limits){
                .points = {.holds = burst->points, .per_second = burst->points / 60},
                .jitconfigs = {.holds = burst->jitconfigs,
                        .per_second = burst->jitconfigs_per_minute / 60},
                .hourly = {.holds = burst->jitconfigs_per_hour},
                .hour = {.holds = burst->hour},
                .launches = {.holds = 5, .per_second = 2},
                .machines = {.holds = 1000, .per_second = 2},
                .stores = {.holds = burst->stores, .per_second = burst->stores},
        };
}

static double over(double n, double holds, double per_second)
{
        return holds > 0 && n > holds ? (n - holds) / per_second : 0;
}

static double larger(double a, double b)
{
        return a > b ? a : b;
}

/* Seconds: one jitconfig and one PutParameter for each job, and nothing else. */
static double least(const struct burst *burst)
{
        double n = burst->n_jobs;
        double within = 0;
        double hours = 0;
        double an_hour = burst->hour > 0 ? burst->hour : burst->jitconfigs_per_hour;

        if (an_hour > 0 && n > an_hour) {
                hours = (double)(int64_t)((n - 1) / an_hour);
                n -= hours * an_hour;
        }
        within = larger(over(5 * n, burst->points, burst->points / 60),
                over(n, burst->jitconfigs, burst->jitconfigs_per_minute / 60));
        within = larger(within, over(n, burst->stores, burst->stores));
        within = larger(within, over((burst->n_jobs + 9) / 10, 5, 2));
        return larger(within + hours * 3600, larger(1, over(burst->n_jobs, 1000, 2)));
}

/* Seconds: RunInstances for each job alone; what GitHub refuses comes again after a minute, when as
 * many as its budget holds pass. */
static double naive(const struct burst *burst)
{
        double launches = over(burst->n_jobs, 5, 2);
        double each_minute = burst->points / 5;
        double rounds;

        if (burst->jitconfigs > 0 && burst->jitconfigs < each_minute)
                each_minute = burst->jitconfigs;
        rounds = burst->n_jobs / each_minute;
        return larger(launches, 60 * (double)(int64_t)rounds);
}

static unsigned letters_of(struct world *world)
{
        return (unsigned)sqs_queue(world, "kept-letters")->n_messages;
}

static unsigned ended_in_vain(const struct world *world)
{
        unsigned n = 0;

        for (size_t i = 0; i < world->n_machines; i++)
                n += world->machines[i]->started_ms == 0;
        return n;
}

static bool run(const struct burst *burst, bool tells)
{
        struct world *world = mem_alloc(sizeof(*world));
        double bound = least(burst);
        unsigned calls;
        double taken;
        bool good;

        world_init(world, 1, tells, 0);
        world->is_burst = true;
        world->limits = limits_of(burst);
        for (unsigned i = 0; i < burst->n_jobs; i++) {
                job_add(world, world_between(world, 0, 2 * SECOND), " self-hosted linux x64 ");
                world->jobs[i]->run = world->jobs[i - i % 100]->run;
        }
        world_run(world, (int64_t)(2 * bound) * SECOND + 2 * HOUR);
        for (int i = 0; i < HOUR / SECOND && lambda_is_busy(world); i++)
                world_run(world, world->now_ms + SECOND);
        taken = (double)world->stored_ms / (double)SECOND;
        calls = world->limits.github;
        good = world->stored == burst->n_jobs && letters_of(world) == 0 &&
               world->ran_instances <= burst->machines * burst->n_jobs &&
               taken <= burst->time * bound + 10 && ended_in_vain(world) == 0;
        printf("%-30s %6.0f s %6.0f s %6.2f %6.0f s %7u %7u %5u %5u %6u %5.1f %%  %s\n",
                burst->name, taken, bound, taken / bound, naive(burst), world->stored,
                world->ran_instances, ended_in_vain(world), letters_of(world), calls,
                100.0 * world->limits.refused / calls, good ? "good" : "MISSED");
        (void)fflush(stdout);
        world_release(world);
        free(world);
        return good;
}

int bursts(int only, bool tells)
{
        bool good = true;

        printf("%-30s %8s %8s %6s %8s %7s %7s %5s %5s %6s %7s\n", "burst", "served", "bound", "x",
                "naive", "jobs", "machin.", "vain", "dead", "GitHub", "refused");
        for (int i = 0; i < (int)ARRAY_SIZE(table); i++)
                if (only == 0 ? !table[i].is_long : only == i + 1)
                        good = run(&table[i], tells && getenv("STORY")) && good;
        return !good;
}
