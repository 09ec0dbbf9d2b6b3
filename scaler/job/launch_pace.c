/* SPDX-License-Identifier: MIT */

/*
 * How many machines may be launched. Launched earlier than its hand-over can be expected while it
 * boots, a machine would wait, and cost, in vain. So there is room for as many as can be registered
 * in the time of a boot, less those that are launched already, or about to be; and for no more than
 * GitHub's hour allows, or EC2's pace.
 */

#include "launch_pace.h"

#include "github_limit.h"
#include "pace.h"
#include "queue/send.h"

#define ROOM (PACE_PER_MINUTE * PACE_BOOT_SECONDS / 60)

/* Instances that EC2 launches for an account: 1,000 at once, and 2 a second. Those that were
 * launched before there was a line are not known here.
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html */
#define INSTANCES (1000 - 3 * ROOM)
#define INSTANCES_PER_MINUTE 120

/* When so few calls are left of GitHub's hour, its word on how many is believed for
 * HOUR_KNOWN_MS. */
#define HOUR_ENDS_SOON 1000
#define HOUR_KNOWN_MS (20 * MSEC_PER_SEC)

/* How often to look whether a limit still pauses: an App without a limit may have been added. */
#define PAUSE_LOOK_MS (10 * 60 * MSEC_PER_SEC)

/* Functions that launch hear of a limit up to a minute late, and then send on what they launched
 * meanwhile. */
#define LIMIT_HEARD_MS (2 * 60 * MSEC_PER_SEC)

/* -- what can be registered in time -- */

/* How many of N launched jobs wait for the end of a limit of GitHub's, for up to an hour, and so
 * take no room of others. SQS does not tell whose jobs wait. But nothing more is launched for a
 * limited registrar: once all functions have heard of the limit, those that wait are taken for its
 * jobs, and their number only falls. */
static int64_t are_standing(struct scaler *scaler, int64_t n)
{
        struct standing *standing = &scaler->standing;
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        size_t n_limits = github_limits_that_pause(scaler);

        if (n_limits != standing->n_limits)
                *standing = (struct standing){
                        .n_limits = n_limits, .since_ms = now_ms, .n_jobs = INT64_MAX};
        if (n_limits == 0 || now_ms - standing->since_ms < LIMIT_HEARD_MS)
                return 0;
        if (n < standing->n_jobs)
                standing->n_jobs = n;
        return standing->n_jobs;
}

static int count(struct scaler *scaler, const char *queue, int64_t *ret, struct err *err)
{
        struct sqs_count found;
        int r = queue_count(scaler, queue, &found, err);

        if (r == 0)
                *ret = found.visible + found.in_flight;
        return r;
}

static int64_t room_beside(struct scaler *scaler, int64_t launched)
{
        return ROOM * pace_apps(scaler) - (launched - are_standing(scaler, launched));
}

int launch_pace_room(struct scaler *scaler, int64_t *ret, struct err *err)
{
        int64_t launched;
        int r = count(scaler, "REGISTER_QUEUE_URL", &launched, err);

        if (r == 0)
                *ret = room_beside(scaler, launched);
        return r;
}

int launch_pace_room_for_line(struct scaler *scaler, int64_t *ret, struct err *err)
{
        int64_t launched;
        int64_t queued;
        int r = count(scaler, "REGISTER_QUEUE_URL", &launched, err);

        if (r == 0)
                r = count(scaler, "QUEUED_QUEUE_URL", &queued, err);
        if (r == 0)
                *ret = room_beside(scaler, launched) - queued;
        return r;
}

/* -- what GitHub allows -- */

/* Until when (wall clock) nothing is launched for JOB because GitHub fails or is limited; 0:
 * launch. */
static int64_t pause_until(
        struct scaler *scaler, const struct config *config, const struct job *job)
{
        int64_t until_ms = setback_pause_until(scaler, job->installation);
        int64_t limited_ms = github_limit_pause_until(scaler, pace_registrar(config, job));

        return until_ms > limited_ms ? until_ms : limited_ms;
}

/* How many jobs were launched, or are about to be, and are not registered yet: each will use a call
 * of the hour. */
static int64_t are_under_way(int64_t room)
{
        return ROOM - room;
}

/* Whether the hour that answers about JOB tell of is the one that its registration uses up: not
 * where several Apps share, nor of an enterprise's token. */
static bool is_of_its_hour(
        struct scaler *scaler, const struct config *config, const struct job *job)
{
        return pace_apps(scaler) == 1 && pace_registrar(config, job) == job->installation;
}

/* Milliseconds until GitHub's hour has room; 0: now. */
static int64_t wait_for_hour(
        struct scaler *scaler, const struct config *config, const struct job *job, int64_t room)
{
        int64_t until_ms = 0;
        int64_t age_ms = 0;
        int64_t left = pace_hour_room(scaler, job->installation, &age_ms, &until_ms);

        if (left == INT64_MAX || !is_of_its_hour(scaler, config, job) || left > are_under_way(room))
                return 0;
        until_ms -= clock_wall_ms(scaler->clock);
        return until_ms > MSEC_PER_SEC ? until_ms : MSEC_PER_SEC;
}

static int64_t at_most(int64_t ms, int64_t most)
{
        return ms < most ? ms : most;
}

int64_t launch_pace_pause(struct scaler *scaler, const struct config *config, const struct job *job)
{
        int64_t pause_ms = pause_until(scaler, config, job);

        return pause_ms > 0 ? at_most(pause_ms - clock_wall_ms(scaler->clock), PAUSE_LOOK_MS) : 0;
}

int64_t launch_pace_wait_for_github(
        struct scaler *scaler, const struct config *config, const struct job *job, int64_t room)
{
        int64_t pause_ms = launch_pace_pause(scaler, config, job);

        return pause_ms > 0 ? pause_ms : wait_for_hour(scaler, config, job, room);
}

bool launch_pace_needs_hour(
        struct scaler *scaler, const struct config *config, const struct job *job, int64_t room)
{
        int64_t until_ms = 0;
        int64_t age_ms = 0;
        int64_t left = pace_hour_room(scaler, job->installation, &age_ms, &until_ms);

        if (!is_of_its_hour(scaler, config, job) || room <= 0 ||
                pause_until(scaler, config, job) > 0)
                return false;
        if (left == INT64_MAX)
                return github_limit_is_near(scaler, pace_registrar(config, job));
        return age_ms > HOUR_KNOWN_MS && left <= HOUR_ENDS_SOON + are_under_way(room);
}

/* -- what EC2 allows -- */

static struct budget *instances(struct scaler *scaler)
{
        if (scaler->launch_budget.points == 0)
                budget_init(&scaler->launch_budget, INSTANCES, INSTANCES_PER_MINUTE,
                        clock_monotonic_ms(scaler->clock));
        return &scaler->launch_budget;
}

int64_t launch_pace_wait_for_ec2(struct scaler *scaler, int64_t n)
{
        return budget_wait(instances(scaler), clock_monotonic_ms(scaler->clock), n);
}

void launch_pace_spend(struct scaler *scaler, int64_t n)
{
        budget_spend(instances(scaler), clock_monotonic_ms(scaler->clock), n);
}
