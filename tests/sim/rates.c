/* SPDX-License-Identifier: MIT */

/*
 * How often a function gets a job, and what it calls for it, in a minute: what goes round without a
 * pause does not show in totals, as long as something ends it.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* A question to GitHub takes up to three tries, and so does the token for it. No function asks more
 * than four questions a minute about one job. */
#define GITHUB_FOR_A_JOB (4 * (3 + 3))

/* What GitHub publishes for an installation: points a minute, and the least that any has an hour.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
#define POINTS_A_MINUTE 900
#define CALLS_AN_HOUR 5000

/* What one job may cost in a minute. With faults, a webhook comes up to three times and a message
 * twice, a function begins again when its process has ended, and after an outage of SQS everything
 * comes at once. */
static const struct {
        const char *function;
        unsigned deliveries;
        unsigned calls; /* to AWS: of a process that has just begun, ten */
} bounds[N_RATED] = {
        {"queued", 10, 60},   /* a job sent back to `admit` waits for ten seconds */
        {"admit", 66, 240},   /* the first in paced.fifo looks each second, with three calls */
        {"register", 10, 60}, /* a failure that is no limit comes again after 15 seconds */
        {"watch", 20, 100},   /* a minute lies between two watches, each of which may have twins */
        {"in_progress", 30, 90}, /* what fails comes again after 15 seconds, and then after 60 */
        {"completed", 30, 90},
        {"instance", 24, 90}, /* a machine has six events, some of which an agent repeats */
};

/* Whether N more are beyond MOST, for the first time within SPAN. */
static bool exceeds(
        struct rate *rate, const struct world *world, int64_t span_ms, double n, unsigned most)
{
        if (world->now_ms - rate->since_ms >= span_ms)
                *rate = (struct rate){.since_ms = world->now_ms};
        rate->n += n;
        return rate->n > most && rate->n - n <= most;
}

static size_t row_of(const char *function)
{
        size_t row = 0;

        while (row < N_RATED && strcmp(bounds[row].function, function) != 0)
                row++;
        return row;
}

/* -- each job -- */

static void add_job(struct invocation *invocation, struct sim_job *job)
{
        for (size_t i = 0; i < invocation->n_jobs; i++)
                if (invocation->jobs[i] == job)
                        return;
        if (job)
                invocation->jobs[invocation->n_jobs++] = job;
}

/* Its messages are JSON within JSON. */
static void find_jobs(struct invocation *invocation, const char *event)
{
        static const char member[] = "\\\"id\\\":";
        const char *at = event;

        while (invocation->n_jobs < ARRAY_SIZE(invocation->jobs) && (at = strstr(at, member))) {
                at += strlen(member);
                add_job(invocation, job_find(invocation->world, strtoll(at, NULL, 10)));
        }
}

void rates_deliver(struct invocation *invocation, const char *event)
{
        size_t row = row_of(invocation->function);

        if (row == N_RATED)
                return;
        find_jobs(invocation, event);
        for (size_t i = 0; i < invocation->n_jobs; i++) {
                struct sim_job *job = invocation->jobs[i];

                if (exceeds(&job->rates[row].deliveries, job->world, MINUTE, 1,
                            bounds[row].deliveries))
                        world_violate(job->world,
                                "(k) %s gets job %" PRId64 " more than %u times in a minute",
                                invocation->function, job->id, bounds[row].deliveries);
        }
}

/* The jobs of a batch share its calls. */
static void count_for_jobs(struct invocation *invocation, bool is_github)
{
        size_t row = row_of(invocation->function);
        double share = 1.0 / (double)invocation->n_jobs;

        for (size_t i = 0; row < N_RATED && i < invocation->n_jobs; i++) {
                struct sim_job *job = invocation->jobs[i];
                struct job_rates *rates = &job->rates[row];
                unsigned most = is_github ? GITHUB_FOR_A_JOB : bounds[row].calls;

                if (exceeds(is_github ? &rates->github : &rates->aws, job->world, MINUTE, share,
                            most))
                        world_violate(job->world,
                                "(k) %s calls %s more than %u times in a minute for job %" PRId64,
                                invocation->function, is_github ? "GitHub" : "AWS", most, job->id);
        }
}

/* -- each App -- */

/* Worlds with limits of their own refuse what is too much. */
static void count_for_app(struct world *world, const struct http_call *call)
{
        struct app_rates *rates = &world->app_rates[apps_is_second(buf_string(&call->headers))];
        double points = strcmp(call->method, "GET") == 0 ? 1 : 5;

        if (world->is_burst)
                return;
        if (exceeds(&rates->points, world, MINUTE, points, POINTS_A_MINUTE))
                world_violate(world, "(k) GitHub is asked for more than %u points in a minute",
                        POINTS_A_MINUTE);
        if (exceeds(&rates->calls, world, HOUR, 1, CALLS_AN_HOUR))
                world_violate(
                        world, "(k) GitHub is called more than %u times in an hour", CALLS_AN_HOUR);
}

void rates_call(struct invocation *invocation, enum service service, const struct http_call *call)
{
        count_for_jobs(invocation, service == SERVICE_GITHUB);
        if (service == SERVICE_GITHUB)
                count_for_app(invocation->world, call);
}
