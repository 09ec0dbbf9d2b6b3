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
        int spread;      /* seconds in which the jobs come, one by one; 0: all at once */
        double machines; /* goal: times the jobs */
        double time;     /* goal: times the bound */
        bool is_long;    /* not among the tests */
} table[] = {
        {"500 jobs, GitHub 180/min", 500, 900, 0, 0, 0, 0, 0, 0, 1.01, 1.1, false},
        {"1,000 jobs, GitHub 180/min", 1000, 900, 0, 0, 0, 0, 0, 0, 1.01, 1.1, false},
        {"100 jobs, PutParameter 3/s", 100, 900, 0, 0, 0, 0, 3, 0, 1.01, 1.1, false},
        {"100 jobs, GitHub 10/min", 100, 900, 10, 10, 0, 0, 0, 0, 1.05, 1.2, false},
        {"1,000 jobs, 80/min and 500/h", 1000, 900, 80, 80, 500, 0, 0, 0, 1.05, 1.3, false},
        {"10,000 jobs, 5,000 calls/h", 10000, 900, 0, 0, 0, 5000, 0, 0, 1.01, 1.1, true},
        {"10,000 jobs, 15,000 calls/h", 10000, 900, 0, 0, 0, 15000, 0, 0, 1.01, 1.1, true},
        {"300 one by one, 100 calls/h", 300, 900, 0, 0, 0, 100, 0, 3600, 1.05, 3.0, false},
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

static double larger(double a, double b)
{
        return a > b ? a : b;
}

static void add_second(struct bucket *bucket)
{
        bucket->level += bucket->per_second;
        if (bucket->level > bucket->holds)
                bucket->level = bucket->holds;
}

static void fill(struct bucket *bucket)
{
        bucket->level = bucket->holds;
}

/* Rounding has no part in it. */
static bool has(const struct bucket *bucket, double n)
{
        return bucket->holds <= 0 || bucket->level >= n - 1e-6;
}

/* Takes what one job needs: a jitconfig, a PutParameter, a machine; and of those that wait for five
 * minutes, each hundredth a question for its run. */
static bool serve(struct limits *limits, bool asks)
{
        if (!has(&limits->points, 5 + asks) || !has(&limits->jitconfigs, 1) ||
                !has(&limits->hourly, 1) || !has(&limits->hour, 1 + asks) ||
                !has(&limits->machines, 1) || !has(&limits->stores, 1))
                return false;
        limits->points.level -= 5 + asks;
        limits->jitconfigs.level--;
        limits->hourly.level--;
        limits->hour.level -= 1 + asks;
        limits->machines.level--;
        limits->stores.level--;
        return true;
}

/* When a job comes. */
static int64_t comes_ms(const struct burst *burst, unsigned job)
{
        return (burst->spread > 0 ? burst->spread : 2) * SECOND * job / burst->n_jobs;
}

/* How many have come by then; all where they come at once. */
static unsigned have_come(const struct burst *burst, int seconds)
{
        unsigned n = 0;

        while (n < burst->n_jobs &&
                (burst->spread == 0 || comes_ms(burst, n) <= (int64_t)seconds * SECOND))
                n++;
        return n;
}

/* Seconds until all could have been served by who makes no other calls. */
static double least(const struct burst *burst)
{
        struct limits limits = limits_of(burst);
        struct bucket *const buckets[] = {
                &limits.points, &limits.jitconfigs, &limits.machines, &limits.stores};
        unsigned served = 0;
        int seconds = 0;

        for (size_t i = 0; i < ARRAY_SIZE(buckets); i++)
                fill(buckets[i]);
        for (;; seconds++) {
                for (size_t i = 0; seconds > 0 && i < ARRAY_SIZE(buckets); i++)
                        add_second(buckets[i]);
                if (seconds % 3600 == 0) {
                        fill(&limits.hourly);
                        fill(&limits.hour);
                }
                while (served < have_come(burst, seconds) &&
                        serve(&limits, seconds > 300 && served % 100 == 0))
                        served++;
                if (served == burst->n_jobs)
                        return larger(1, seconds);
        }
}

/* Seconds: RunInstances for each job alone; what GitHub refuses comes again after a minute, when as
 * many as its budget holds pass, until those of the hour are used up. */
static double naive(const struct burst *burst)
{
        double launches = (burst->n_jobs - 5) / 2.0;
        double each_minute = burst->points / 5;
        double an_hour = burst->hour > 0 ? burst->hour : burst->jitconfigs_per_hour;
        double n = burst->n_jobs;
        double hours = 0;

        if (burst->jitconfigs > 0 && burst->jitconfigs < each_minute)
                each_minute = burst->jitconfigs;
        if (an_hour > 0)
                hours = (double)(int64_t)((n - 1) / an_hour);
        return larger(launches,
                hours * 3600 + 60 * (double)(int64_t)((n - hours * an_hour) / each_minute));
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

        world_init(world, 1, tells && getenv("STORY"), 0);
        world->is_burst = true;
        lambda_configure(world); /* one App */
        world->limits = limits_of(burst);
        for (unsigned i = 0; i < burst->n_jobs; i++) {
                job_add(world, comes_ms(burst, i), " self-hosted linux x64 ");
                world->jobs[i]->run = i % 100 == 0 ? world->next_id++ : world->jobs[i - 1]->run;
        }
        if (tells)
                course_start(world, (int64_t)(bound / 50 + 1) * SECOND);
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
                        good = run(&table[i], tells) && good;
        return !good;
}
