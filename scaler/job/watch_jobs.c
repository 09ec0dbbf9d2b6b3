/* SPDX-License-Identifier: MIT */

/*
 * What follows from a look at a job that got a machine minutes ago (watch_look.h): it runs or has
 * ended, it is looked at again later, or it is launched again. What a machine that has ended left
 * in the store is deleted.
 */

#include "watch_jobs.h"

#include <string.h>

#include "aws/sqs.h"
#include "breaker.h"
#include "follow.h"
#include "machine/leftovers.h"
#include "machine/stores.h"
#include "pace.h"
#include "relaunch.h"
#include "watch_look.h"

/* The machine had time to listen for its whole idle limit, and then shut itself down, as EC2 says,
 * or is about to: its runner was deregistered (idle_machines.h). */
static bool listened_in_vain(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;
        const struct config_spec *spec =
                job->spec ? config_spec_by_name(looks->config, job->spec) : NULL;

        return spec && look->machine && (look->is_deregistered || look_ended_itself(look)) &&
               clock_wall_ms(looks->scaler->clock) - job->launched_ms >
                       spec->idle_limit_seconds * MSEC_PER_SEC;
}

/* Another job took its machine. */
static bool is_taken(const struct look *look)
{
        return look->machine && ec2_instance_tag(look->machine, JOB_TAG);
}

static enum relaunch_reason reason_of(const struct looks *looks, const struct look *look)
{
        if (is_taken(look))
                return RELAUNCH_TAKEN;
        return listened_in_vain(looks, look) ? RELAUNCH_IN_VAIN : RELAUNCH_ENDED;
}

/* A machine that came to nothing may be one of many. That the breaker cannot be looked after does
 * not keep its job from another machine. */
static void note_dead(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;
        const struct config_spec *spec =
                job->spec ? config_spec_by_name(looks->config, job->spec) : NULL;
        struct err err;

        if (spec && breaker_note_dead(looks->scaler, looks->aws, spec, &err) < 0)
                log_warning(&looks->scaler->log, "circuit breaker could not be looked after",
                        LOG_TEXT("spec", spec->name), LOG_TEXT("error", err.text));
}

static int relaunch(const struct looks *looks, const struct look *look, struct err *err)
{
        enum relaunch_reason reason = reason_of(looks, look);

        if (reason == RELAUNCH_ENDED)
                note_dead(looks, look);
        return relaunch_job(looks->scaler, &look->watched->job, reason, err);
}

static int watch_again(struct looks *looks, const struct look *look, struct err *err)
{
        struct job *job = &look->watched->job;

        job->watches++;
        return follow_jobs(looks->scaler, &job, 1,
                job->watches > 3 ? FOLLOW_LATE_SECONDS : FOLLOW_SECONDS, err);
}

static bool has_ended(const struct looks *looks, const struct look *look)
{
        return look->machine ? !ec2_instance_lives(look->machine) : !look_is_young(looks, look);
}

/* Of the machines whose hand-overs are in STORE. */
static int delete_from(struct looks *looks, const struct stores *stores, const struct store *store,
        struct err *err)
{
        _cleanup_free_ const char **ids = mem_alloc(looks->n_items * sizeof(char *));
        size_t n = 0;

        for (size_t i = 0; i < looks->n_items; i++) {
                const struct look *look = &looks->items[i];

                if (stores_with(stores, look->watched->job.bucket) == store &&
                        has_ended(looks, look))
                        ids[n++] = look->watched->job.instance;
        }
        return leftovers_delete_handovers(looks->scaler, store, ids, n, err);
}

/* A machine that ended before its hand-over was stored has left that: what EC2 told of its end came
 * too early. */
static int delete_handovers(struct looks *looks, struct err *err)
{
        _cleanup_(stores_release) struct stores stores = {0};
        int r;

        stores_init(&stores, looks->config, looks->aws);
        r = delete_from(looks, &stores, &stores.ssm, err);
        return r < 0 ? r : delete_from(looks, &stores, &stores.s3, err);
}

/* The tag of its machine was lost with GitHub's webhook, and GitHub says it now. */
static void note_job_ran(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;

        if (strcmp(look->question.runner, job->instance) == 0)
                looks_note_spec(looks, job->spec, job->launched_ms);
}

/* A machine of which EC2 shows only that it has ended may have worked for another job; or it died.
 */
#define WATCHES_OF_ENDED 2

/* Of a taker that ran a short job EC2 may show no machine any more, although it had one. So while
 * more than a few wait to be registered, nobody is sure to have none. */
#define MANY_REGISTERING 10

/* While a burst lasts, one of its machines may be what this job gets, and another one would wait
 * behind them. */
static bool is_served_by_another(struct looks *looks, const struct look *look)
{
        if (!look_has_worked(look) && look->watched->job.watches >= WATCHES_OF_ENDED)
                return false;
        if (!look_may_be_put_off(looks, look))
                return false;
        return looks_burst_lasts(looks) &&
               (look->takers != TAKERS_NO_MACHINE || looks->n_registering >= MANY_REGISTERING);
}

/* When a machine that boots can be expected to have taken a job, if GitHub registers as fast as it
 * can; or when the whole burst may be over. */
static unsigned seconds_until(const struct looks *looks, enum look_wait wait)
{
        int64_t n = looks->n_registering + (wait == WAITS_BURST ? looks->n_in_line : 0);
        int64_t seconds = PACE_BOOT_SECONDS + n * 60 / PACE_PER_MINUTE;

        return seconds < FOLLOW_LATE_SECONDS ? (unsigned)seconds : FOLLOW_LATE_SECONDS;
}

static int follow_later(struct looks *looks, struct job *const *jobs, size_t n_jobs,
        enum look_wait wait, struct err *err)
{
        for (size_t i = 0; i < n_jobs; i++) {
                if (wait == WAITS_MACHINE) {
                        jobs[i]->waits++;
                        continue;
                }
                jobs[i]->watches++;
                looks_note_put_off(looks, jobs[i]);
        }
        return follow_jobs(looks->scaler, jobs, n_jobs, seconds_until(looks, wait), err);
}

static int act(struct looks *looks, struct look *look, struct err *err)
{
        int r;

        switch (look->question.state) {
        case JOB_STATE_RUNS:
        case JOB_STATE_ENDED:
                note_job_ran(looks, look);
                return 0;
        case JOB_STATE_QUEUED:
                if (look_is_idle(look) && !look->has_no_runner)
                        return watch_again(looks, look, err);
                if (is_served_by_another(looks, look))
                        return follow_later(
                                looks, &(struct job *){&look->watched->job}, 1, WAITS_BURST, err);
                return relaunch(looks, look, err);
        case JOB_STATE_UNKNOWN:
                if (look_is_over_unheard(looks, look))
                        return 0;
                r = watch_again(looks, look, err);
                if (r == 0)
                        look_tell_refused(looks, look);
                return r;
        case JOB_STATE_HELD:
        default:
                return watch_again(looks, look, err);
        }
}

/* Sends what follows for the jobs of N looks that wait for the same, in one call. */
static void send_waiting(
        struct looks *looks, struct look *const *waiting, size_t n, enum look_wait wait)
{
        struct job *jobs[SQS_BATCH_MAX];
        struct err err;
        int r;

        for (size_t i = 0; i < n; i++)
                jobs[i] = &waiting[i]->watched->job;
        r = wait == WAITS_IN_LINE ? relaunch_in_line(looks->scaler, jobs, n, &err)
                                  : follow_later(looks, jobs, n, wait, &err);
        for (size_t i = 0; i < n; i++) {
                waiting[i]->watched->result = r;
                waiting[i]->watched->err = err;
        }
}

/* Of the jobs for which GitHub was not asked: those that wait for WAIT. */
static void settle_waiting(struct looks *looks, enum look_wait wait)
{
        struct look *chosen[SQS_BATCH_MAX];
        size_t n = 0;

        for (size_t i = 0; i < looks->n_items; i++) {
                if (looks->items[i].wait != wait)
                        continue;
                chosen[n++] = &looks->items[i];
                if (n < SQS_BATCH_MAX)
                        continue;
                send_waiting(looks, chosen, n, wait);
                n = 0;
        }
        if (n > 0)
                send_waiting(looks, chosen, n, wait);
}

int watch_jobs(struct scaler *scaler, struct watched *items, size_t n_items, struct err *err)
{
        _cleanup_(looks_release) struct looks looks = {.scaler = scaler};
        int r = looks_take(&looks, items, n_items, err);

        if (r == 0)
                r = delete_handovers(&looks, err);
        for (enum look_wait wait = WAITS_NOT + 1; r == 0 && wait < WAITS_N; wait++)
                settle_waiting(&looks, wait);
        for (size_t i = 0; r == 0 && i < looks.n_items; i++) {
                struct watched *watched = looks.items[i].watched;

                if (looks.items[i].wait != WAITS_NOT)
                        continue;
                watched->result = act(&looks, &looks.items[i], &watched->err);
        }
        return r;
}
