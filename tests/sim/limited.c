/* SPDX-License-Identifier: MIT */

/*
 * Limits of machines: which of them a world has, and runs of many jobs against them. Each run
 * prints how many machines lived at most, and how long jobs waited, in shares: a job's fair share
 * is the time until the limit's machines have served all that come before it when all
 * repositories get as many. The goal is that none waits more than twice that.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define REPOSITORIES_MAX 40

const char *limited_name(unsigned number)
{
        static char names[REPOSITORIES_MAX][32];

        if (number == 0)
                return "hello";
        snprintf(names[number], sizeof(names[number]), "hello-%u", number);
        return names[number];
}

const char *limited_repository(const struct world *world)
{
        return limited_name(world->n_jobs % world->n_repositories);
}

/* Functions that have read the configuration a few minutes ago still keep to them. */
static void on_limits_removed(struct world *world, void *userdata)
{
        (void)userdata;
        world_tell(world, "a person removes the limits of machines");
        world->most_machines = world->most_of_spec = world->most_of_repository = 0;
        lambda_configure(world);
}

void limited_draw(struct world *world)
{
        unsigned draw = (unsigned)(world->seed / 4);

        world->n_repositories = 1;
        if (world->is_burst || world->seed % 4 != 3)
                return;
        world->had_limits = true;
        if (draw % 5 < 2)
                world_after(world, (2 + draw % 13) * MINUTE, on_limits_removed, NULL);
        world->n_repositories = 1 + draw % 2;
        switch (draw % 3) {
        case 0:
                world->most_of_spec = 1 + draw % 2;
                return;
        case 1:
                world->most_machines = 1 + draw % 3;
                world->most_of_spec = draw % 2;
                return;
        default:
                world->most_machines = draw % 2 * 2;
                world->most_of_repository = 1;
                return;
        }
}

unsigned limited_more_jobs(const struct world *world)
{
        return world->most_machines + world->most_of_spec + world->most_of_repository > 0 ? 8 : 0;
}

unsigned limited_living(const struct world *world, const char *spec, const char *repository)
{
        unsigned n = 0;

        for (size_t i = 0; i < world->n_machines; i++) {
                const struct machine *machine = world->machines[i];
                const char *its_repository = machine_tag(machine, "scale-agent:repository");
                const char *its_spec = machine_tag(machine, "scale-agent:spec");

                if (machine->stage == MACHINE_ENDED || machine->visible_ms > world->now_ms)
                        continue;
                n += (!spec || (its_spec && strcmp(its_spec, spec) == 0)) &&
                     (!repository ||
                             (its_repository && strstr(its_repository, "octo-org/") &&
                                     strcmp(strchr(its_repository, '/') + 1, repository) == 0));
        }
        return n;
}

/* -- runs -- */

static const struct limited {
        const char *name;
        unsigned n_jobs;
        unsigned n_repositories;
        unsigned large; /* of the jobs, so many are of the first repository */
        unsigned all;
        unsigned spec;
        unsigned repository;
        int64_t spread;
        bool swaps;   /* jobs carry no label of their own, and take each other's machines */
        double worst; /* goal: shares */
} table[] = {
        {"100 jobs, max_machines 20", 100, 1, 0, 20, 0, 0, 2 * SECOND, false, 2},
        {"100 jobs, 10 repositories, 20", 100, 10, 0, 20, 0, 0, 2 * SECOND, false, 2},
        {"100 jobs, 90 of one repository, 10", 100, 5, 90, 10, 0, 0, 2 * SECOND, false, 2},
        {"60 jobs, 3 repositories, 4 for each", 60, 3, 0, 0, 0, 4, 2 * SECOND, false, 2},
        {"100 jobs that swap, 10 repositories, 20", 100, 10, 0, 20, 0, 0, 2 * SECOND, true, 3},
        {"60 jobs within an hour, spec 3", 60, 4, 0, 0, 3, 0, HOUR, false, 2},
};

struct result {
        unsigned most; /* machines at the same time */
        double worst;  /* share that a job waited */
        double mean;
        double last_s; /* when the last job began */
};

static void watch_machines(struct world *world, void *userdata)
{
        struct result *result = userdata;
        unsigned living = limited_living(world, NULL, NULL);

        if (living > result->most)
                result->most = living;
        world_after(world, SECOND, watch_machines, result);
}

#define RUNS_MS (2 * MINUTE)
/* From a job's end until its machine counts no longer, and the next look at it. */
#define END_MS (20 * SECOND)

/* For how long a machine counts, on average. */
static int64_t life_of(const struct world *world)
{
        int64_t boots_ms = 0;
        int64_t n = 0;

        for (size_t i = 0; i < world->n_machines; i++) {
                const struct machine *machine = world->machines[i];

                if (machine->started_ms == 0)
                        continue;
                boots_ms += machine->started_ms - machine->launched_ms;
                n++;
        }
        return (n > 0 ? boots_ms / n : 0) + RUNS_MS + END_MS;
}

/* When jobs would begin if there were MACHINES, each job took the same, and each machine that ends
 * made room for the repository that has the fewest. ONLY: of this repository's jobs alone; NULL: of
 * all. */
struct ideal {
        const struct world *world;
        const char *only;
        unsigned machines;
        int64_t life_ms;
        int64_t *begin_ms; /* of each job; 0: not yet */
        int64_t free_ms[100];
        const char *works_for[100]; /* repository */
        int64_t now_ms;
};

static unsigned machines_of(const struct ideal *ideal, const struct sim_job *job)
{
        unsigned n = 0;

        for (unsigned i = 0; i < ideal->machines; i++)
                n += ideal->free_ms[i] > ideal->now_ms && ideal->works_for[i] == job->repository;
        return n;
}

static bool comes_before(
        const struct ideal *ideal, const struct sim_job *a, const struct sim_job *b)
{
        unsigned of_a = machines_of(ideal, a);
        unsigned of_b = machines_of(ideal, b);

        return of_a != of_b ? of_a < of_b : a->created_ms < b->created_ms;
}

/* The job whose turn it is now: its number, or that of jobs. */
static size_t next_job(const struct ideal *ideal)
{
        const struct world *world = ideal->world;
        size_t next = world->n_jobs;

        for (size_t i = 0; i < world->n_jobs; i++) {
                const struct sim_job *job = world->jobs[i];

                if (ideal->begin_ms[i] > 0 || job->created_ms > ideal->now_ms ||
                        (ideal->only && job->repository != ideal->only))
                        continue;
                if (next == world->n_jobs || comes_before(ideal, job, world->jobs[next]))
                        next = i;
        }
        return next;
}

/* Second by second, for as long as a run takes. */
static void find_ideal(struct ideal *ideal)
{
        for (ideal->now_ms = SECOND; ideal->now_ms < 4 * HOUR; ideal->now_ms += SECOND)
                for (unsigned i = 0; i < ideal->machines; i++) {
                        size_t next = ideal->free_ms[i] <= ideal->now_ms ? next_job(ideal)
                                                                         : ideal->world->n_jobs;

                        if (next == ideal->world->n_jobs)
                                continue;
                        ideal->begin_ms[next] = ideal->now_ms;
                        ideal->works_for[i] = ideal->world->jobs[next]->repository;
                        ideal->free_ms[i] = ideal->now_ms + ideal->life_ms;
                }
}

static void find_ideals(const struct limited *run, const struct world *world, int64_t *begin_ms)
{
        unsigned machines = run->all > 0 ? run->all : run->spec > 0 ? run->spec : run->repository;

        for (unsigned i = 0; i < (run->repository > 0 ? run->n_repositories : 1); i++) {
                struct ideal ideal = {
                        .world = world,
                        .only = run->repository > 0 ? limited_name(i) : NULL,
                        .machines = machines,
                        .life_ms = life_of(world),
                        .begin_ms = begin_ms,
                };

                find_ideal(&ideal);
        }
}

static int compare(const void *a, const void *b)
{
        int64_t first = *(const int64_t *)a;
        int64_t second = *(const int64_t *)b;

        return (first > second) - (first < second);
}

/* The jobs of a repository are alike, and may take each other's machines: so of each, the first
 * that is created belongs to the first that began. */
static size_t times_of(const struct world *world, const char *repository, const int64_t *begin_ms,
        int64_t *created, int64_t *ideal, int64_t *started)
{
        size_t n = 0;

        for (size_t i = 0; i < world->n_jobs; i++) {
                if (world->jobs[i]->repository != repository)
                        continue;
                created[n] = world->jobs[i]->created_ms;
                ideal[n] = begin_ms[i];
                started[n++] = world->jobs[i]->started_ms;
        }
        qsort(created, n, sizeof(*created), compare);
        qsort(ideal, n, sizeof(*ideal), compare);
        qsort(started, n, sizeof(*started), compare);
        return n;
}

/* No machine is ended for a job, so at its limit it may have to wait for one more life. */
static void measure(const struct limited *run, const struct world *world, struct result *result)
{
        _cleanup_free_ int64_t *times = mem_alloc(4 * world->n_jobs * sizeof(*times));
        int64_t *created = times + world->n_jobs;
        int64_t *ideal = created + world->n_jobs;
        int64_t *started = ideal + world->n_jobs;
        int64_t life_ms = life_of(world);

        find_ideals(run, world, times);
        for (unsigned r = 0; r < world->n_repositories; r++) {
                size_t n = times_of(world, limited_name(r), times, created, ideal, started);

                for (size_t i = 0; i < n; i++) {
                        double share = (double)(started[i] - created[i]) /
                                       (double)(ideal[i] - created[i] + life_ms);

                        result->mean += share / (double)world->n_jobs;
                        if (share > result->worst)
                                result->worst = share;
                        if ((double)started[i] / (double)SECOND > result->last_s)
                                result->last_s = (double)started[i] / (double)SECOND;
                }
        }
}

static bool all_ran(const struct world *world)
{
        for (size_t i = 0; i < world->n_jobs; i++)
                if (!world->jobs[i]->ever_ran)
                        return false;
        return true;
}

static void add_jobs(struct world *world, const struct limited *run, char **labels)
{
        for (unsigned i = 0; i < run->n_jobs; i++) {
                job_add(world, world_between(world, 0, run->spread), " self-hosted linux x64 ");
                if (!run->swaps)
                        world->jobs[i]->labels = labels[i] =
                                mem_format(" self-hosted linux x64 run-%u ", i);
                world->jobs[i]->duration_ms = RUNS_MS;
                if (run->large > 0)
                        world->jobs[i]->repository = limited_name(
                                i < run->large ? 0 : 1 + i % (run->n_repositories - 1));
        }
}

static bool run_one(const struct limited *run, uint64_t seed)
{
        struct world *world = mem_alloc(sizeof(*world));
        char **labels = mem_alloc(run->n_jobs * sizeof(*labels));
        struct result result = {0};
        unsigned least = run->all > 0    ? run->all
                         : run->spec > 0 ? run->spec
                                         : run->repository * run->n_repositories;
        bool good;

        world_init(world, seed * 4, getenv("STORY") != NULL, 0);
        world->is_burst = true;
        world->n_repositories = run->n_repositories;
        world->most_machines = run->all;
        world->most_of_spec = run->spec;
        world->most_of_repository = run->repository;
        lambda_configure(world);
        add_jobs(world, run, labels);
        watch_machines(world, &result);
        world_run(world, 4 * HOUR);
        for (int i = 0; i < HOUR / SECOND && lambda_is_busy(world); i++)
                world_run(world, world->now_ms + SECOND);
        measure(run, world, &result);
        good = all_ran(world) && result.worst <= run->worst && world->violations == 0;
        printf("%-40s %5u %5u %6.2f %6.2f %6.0f s %6u %6u %6u %7u  %s\n", run->name, least,
                result.most, result.mean, result.worst, result.last_s, world->ran_instances,
                world->calls[0], world->calls[3], world->calls[4], good ? "good" : "MISSED");
        if (world->violations > 0)
                printf("%s\n", world->violation);
        (void)fflush(stdout);
        world_release(world);
        free(world);
        for (unsigned i = 0; i < run->n_jobs; i++)
                free(labels[i]);
        free(labels);
        return good;
}

int limited_runs(unsigned n_seeds)
{
        bool good = true;

        printf("%-40s %5s %5s %6s %6s %8s %6s %6s %6s %7s\n", "run", "limit", "most", "mean",
                "worst", "last", "machin.", "SQS", "EC2", "GitHub");
        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                for (uint64_t seed = 1; seed <= n_seeds; seed++)
                        good = run_one(&table[i], seed) && good;
        return !good;
}
