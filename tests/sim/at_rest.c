/* SPDX-License-Identifier: MIT */

/*
 * What must be true at rest, long after the last fault, and whatever that was.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "world.h"

/* What a job costs where nothing goes wrong, and what a fault may add. */
#define CALLS_FOR_A_JOB 40
#define CALLS_FOR_A_FAULT 40
/* Of sweeps: every ten minutes, some calls each. */
#define CALLS_ALWAYS (60 + 6 * 6 * 5 + 60)

static bool letter_of(struct world *world, const struct sim_job *job)
{
        const struct queue *kept = sqs_queue(world, "kept-letters");
        char id[32];

        snprintf(id, sizeof(id), "\"id\":%" PRId64, job->id);
        for (size_t i = 0; i < kept->n_messages; i++)
                if (strstr(kept->messages[i]->body, id))
                        return true;
        return false;
}

/* (b) Every job that is not cancelled has run, or people were told and its letter is kept. */
static void check_jobs(struct world *world)
{
        /* What `notify` cannot tell raises an alarm. */
        bool alarm = sqs_queue(world, "notify-dead-letters.fifo")->n_messages > 0;

        for (size_t i = 0; i < world->n_jobs; i++) {
                const struct sim_job *job = world->jobs[i];

                if (job->cancelled || job->ever_ran)
                        continue;
                if (!letter_of(world, job))
                        world_violate(
                                world, "(b) job %" PRId64 " waits, and nobody knows", job->id);
                else if (world->told == 0 && !alarm)
                        world_violate(world, "(b) job %" PRId64 " is a letter, and nobody was told",
                                job->id);
        }
}

/* What passes makes no letter of a job: only what is refused for good does. */
static void check_letters(struct world *world)
{
        static const char *const sources[] = {
                "queued.fifo", "paced.fifo", "register.fifo", "parked", "limited.fifo", "watch"};

        for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
                const struct queue *queue = sqs_queue(world, sources[i]);

                if (queue->letters > 0 && !fault_is_on(world, FAULT_REFUSE))
                        world_violate(world,
                                "(h) %u messages of %s became letters, and nothing was refused "
                                "for good",
                                queue->letters, queue->name);
        }
}

/* (c) Nothing is left: no machine, */
static void check_machines(struct world *world)
{
        for (size_t i = 0; i < world->n_machines; i++)
                if (world->machines[i]->stage != MACHINE_ENDED)
                        world_violate(world, "(c) %s lives, %s", world->machines[i]->id,
                                machine_stage_name(world->machines[i]->stage));
}

/* no parameter, */
static void check_parameters(struct world *world)
{
        static const char runners[] = PREFIX "/runners/";

        for (size_t i = 0; i < world->n_parameters; i++)
                if (strncmp(world->parameters[i].name, runners, strlen(runners)) == 0 ||
                        strncmp(world->parameters[i].name, "object ", strlen("object ")) == 0)
                        world_violate(world, "(c) parameter %s is left", world->parameters[i].name);
}

/* no registration (older than a day: all are, at rest), */
static void check_registrations(struct world *world)
{
        for (size_t i = 0; i < world->n_runners; i++)
                if (!world->runners[i]->gone && !world->runners[i]->foreign)
                        world_violate(world, "(c) registration %" PRId64 " is left",
                                world->runners[i]->id);
}

/* and no message. */
static void check_messages(struct world *world)
{
        for (size_t i = 0; i < world->queues.n; i++) {
                const struct queue *queue = &world->queues.items[i];

                if (queue->function && queue->n_messages > 0)
                        world_violate(world, "(c) queue %s has a message: %.200s", queue->name,
                                queue->messages[0]->body);
        }
}

/* Faults that may cost a machine each time they strike; a stolen or repeated ticket is good for the
 * next launch of its job. */
static const enum fault costly[] = {FAULT_DIE, FAULT_HANG, FAULT_SPOT, FAULT_DROPPED, FAULT_THEFT,
        FAULT_SLOW, FAULT_KILL, FAULT_LOST, FAULT_CANCEL, FAULT_DELIVERY, FAULT_REFUSE,
        FAULT_REDELIVER, FAULT_THROTTLE, FAULT_ERROR, FAULT_IMAGE, FAULT_FORGED, FAULT_REPLAY};

/* A job that is assigned so late costs a machine each time that one has idled for it. */
#define MACHINES_FOR_A_LATE_JOB 3
/* Five with growing pauses, and then one a quarter of an hour after the other has listened. */
static unsigned machines_in_vain(const struct world *world)
{
        return 5 * world->n_very_late + (unsigned)(world->very_late_ms / (20 * MINUTE));
}

/* Faults that last, and may cost each job some. */
static const enum fault lasting[] = {
        FAULT_LIMIT, FAULT_GITHUB, FAULT_SSM, FAULT_SQS, FAULT_EC2, FAULT_EVENTS};

/* (d) Launches cost what jobs and faults explain. */
static void check_launches(struct world *world)
{
        unsigned most = (unsigned)world->n_jobs;

        for (size_t i = 0; i < ARRAY_SIZE(costly); i++)
                most += world->strikes[costly[i]];
        most += (MACHINES_FOR_A_LATE_JOB - 1) * world->strikes[FAULT_SLOW] +
                machines_in_vain(world);
        for (size_t i = 0; i < ARRAY_SIZE(lasting); i++)
                most += fault_is_on(world, lasting[i]) ? 2 * (unsigned)world->n_jobs : 0;
        if (world->ran_instances > most)
                world_violate(world, "(d) %u launches for %zu jobs, faults explain %u",
                        world->ran_instances, world->n_jobs, most);
}

/* Of the first of a line, which looks every ten seconds: as if each job were that all the time. */
#define CALLS_FOR_A_LOOK 4

static unsigned calls_of_looks(const struct world *world)
{
        int64_t waited_ms = 0;

        if (!world->had_limits)
                return 0;
        for (size_t i = 0; i < world->n_jobs; i++) {
                const struct sim_job *job = world->jobs[i];

                int64_t until_ms = job->started_ms > 0 ? job->started_ms : job->ended_ms;

                if (until_ms > job->created_ms) /* what neither ran nor ended is another rule's */
                        waited_ms += until_ms - job->created_ms;
        }
        return (unsigned)(waited_ms / (10 * SECOND)) * CALLS_FOR_A_LOOK;
}

/* (e) Calls are bounded. */
static void check_calls(struct world *world)
{
        unsigned calls = 0;
        unsigned strikes = 0;
        unsigned most;

        for (size_t i = 0; i < ARRAY_SIZE(world->calls); i++)
                calls += world->calls[i];
        for (size_t i = 0; i < N_FAULTS; i++)
                strikes += world->strikes[i];
        most = CALLS_ALWAYS + CALLS_FOR_A_JOB * (unsigned)world->n_jobs +
               CALLS_FOR_A_JOB * machines_in_vain(world) + CALLS_FOR_A_FAULT * strikes +
               calls_of_looks(world);
        if (calls > most)
                world_violate(world, "(e) %u calls for %zu jobs and %u strikes of faults", calls,
                        world->n_jobs, strikes);
}

/* (f) No secret in a log. */
static void check_log(struct world *world)
{
        static const char *const secrets[] = {
                TOKEN_MARK, JIT_MARK, HOOK_SECRET, "PRIVATE KEY", "sim-aws-secret"};
        struct stat status;
        const char *log;

        if (fstat(world->log_fd, &status) < 0 || status.st_size == 0)
                return;
        log = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, world->log_fd, 0);
        if (log == MAP_FAILED)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
                if (memmem(log, (size_t)status.st_size, secrets[i], strlen(secrets[i])))
                        world_violate(world, "(f) a log holds \"%s\"", secrets[i]);
        munmap((void *)log, (size_t)status.st_size);
}

/* -- which of them -- */

static const struct {
        const char *name;
        void (*check)(struct world *world);
        bool by_default; /* off: the scaler is known not to hold it yet */
} checks[] = {
        {"jobs", check_jobs, true},
        {"letters", check_letters, true},
        {"machines", check_machines, true},
        {"parameters", check_parameters, true},
        {"registrations", check_registrations, true},
        {"messages", check_messages, true},
        {"launches", check_launches, true},
        {"calls", check_calls, true},
        {"log", check_log, true},
};

bool invariants_parse(const char *text, uint32_t *ret_enabled)
{
        uint32_t enabled = 0;

        for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
                size_t size = strlen(checks[i].name);
                const char *at = strstr(text, checks[i].name);

                if (strcmp(text, "all") == 0 || (at && (at[size] == ',' || at[size] == '\0')))
                        enabled |= UINT32_C(1) << i;
        }
        *ret_enabled = enabled;
        return enabled != 0;
}

uint32_t invariants_default(void)
{
        uint32_t enabled = 0;

        for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
                enabled |= (uint32_t)checks[i].by_default << i;
        return enabled;
}

void invariants_at_rest(struct world *world, uint32_t enabled)
{
        for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
                if (enabled & UINT32_C(1) << i)
                        checks[i].check(world);
}
