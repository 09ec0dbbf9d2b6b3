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

#define FOLLOW_LATE_SECONDS (15 * 60)
/* GitHub cancels a job that has waited for a day in its queue, some only after two.
 * https://docs.github.com/en/actions/reference/limits */
#define WAITS_MAX_MS (48 * 3600 * MSEC_PER_SEC)

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

/* Of the machines whose hand-overs are in STORE. */
static int delete_from(struct looks *looks, const struct stores *stores, const struct store *store,
        struct err *err)
{
        _cleanup_free_ const char **ids = mem_alloc(looks->n_items * sizeof(char *));
        size_t n = 0;

        for (size_t i = 0; i < looks->n_items; i++) {
                const struct look *look = &looks->items[i];

                if (stores_with(stores, look->watched->job.bucket) == store &&
                        (!look->machine || !ec2_instance_lives(look->machine)))
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

/* GitHub refuses to tell, as of a suspended installation or a renamed repository, for longer than
 * it lets a job wait. */
static bool is_over_unheard(const struct looks *looks, const struct look *look)
{
        const struct setback *setback = &look->question.setback;
        const struct job *job = &look->watched->job;

        if (setback->result == 0 || setback->passing || job->launched_ms == 0 ||
                clock_wall_ms(looks->scaler->clock) - job->launched_ms <= WAITS_MAX_MS)
                return false;
        log_warning(&looks->scaler->log, "job is followed no longer: GitHub does not tell of it",
                LOG_NUMBER("job", job->id), LOG_TEXT("repository", job->repository),
                LOG_TEXT("error", setback->err.text));
        return true;
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

/* While a burst lasts, one of its machines may be what this job gets, and another one would wait
 * behind them. */
static bool is_served_by_another(struct looks *looks, const struct look *look)
{
        if (!look_has_worked(look) && look->watched->job.watches >= WATCHES_OF_ENDED)
                return false;
        return looks_burst_lasts(looks);
}

static int act(struct looks *looks, struct look *look, struct err *err)
{
        switch (look->question.state) {
        case JOB_STATE_RUNS:
        case JOB_STATE_ENDED:
                note_job_ran(looks, look);
                return 0;
        case JOB_STATE_QUEUED:
                if ((look_is_idle(look) && !look->has_no_runner) ||
                        is_served_by_another(looks, look))
                        return watch_again(looks, look, err);
                return relaunch(looks, look, err);
        case JOB_STATE_UNKNOWN:
                if (is_over_unheard(looks, look))
                        return 0;
                return watch_again(looks, look, err);
        case JOB_STATE_HELD:
        default:
                return watch_again(looks, look, err);
        }
}

/* When the burst may be over, if GitHub registers as fast as it can. */
static unsigned seconds_of_burst(const struct looks *looks)
{
        int64_t seconds = (looks->n_registering + looks->n_in_line) * 60 / PACE_PER_MINUTE;

        if (seconds < FOLLOW_SECONDS)
                return FOLLOW_SECONDS;
        return seconds < FOLLOW_LATE_SECONDS ? (unsigned)seconds : FOLLOW_LATE_SECONDS;
}

static int follow_later(
        struct looks *looks, struct job *const *jobs, size_t n_jobs, struct err *err)
{
        for (size_t i = 0; i < n_jobs; i++)
                jobs[i]->watches++;
        return follow_jobs(looks->scaler, jobs, n_jobs, seconds_of_burst(looks), err);
}

/* Found by trying: the bursts of tests/sim/burst.c end sooner with less, and of those that end
 * slowly one launches a machine too many. */
#define SHORT_LINE 40

/* While the line is long, whoever took the machine came from there, most likely, and leaves it
 * without one: this job takes that place. Where the line is short, whoever took the machine has one
 * that is still to come, and that is for this job. */
static bool lines_up(const struct looks *looks, const struct look *look)
{
        return is_taken(look) && looks->n_in_line > SHORT_LINE + looks->n_registering;
}

/* Sends what follows for the jobs of N looks, in one call. */
static void send_put_off(struct looks *looks, struct look *const *put_off, size_t n, bool to_line)
{
        struct job *jobs[SQS_BATCH_MAX];
        struct err err;
        int r;

        for (size_t i = 0; i < n; i++)
                jobs[i] = &put_off[i]->watched->job;
        r = to_line ? relaunch_in_line(looks->scaler, jobs, n, &err)
                    : follow_later(looks, jobs, n, &err);
        for (size_t i = 0; i < n; i++) {
                put_off[i]->watched->result = r;
                put_off[i]->watched->err = err;
        }
}

/* Of the jobs for which GitHub was not asked: those that line up, or those that are looked at again
 * when the burst may be over. */
static void settle_put_off(struct looks *looks, bool to_line)
{
        struct look *chosen[SQS_BATCH_MAX];
        size_t n = 0;

        for (size_t i = 0; i < looks->n_items; i++) {
                struct look *look = &looks->items[i];

                if (!look->is_put_off || lines_up(looks, look) != to_line)
                        continue;
                chosen[n++] = look;
                if (n < SQS_BATCH_MAX)
                        continue;
                send_put_off(looks, chosen, n, to_line);
                n = 0;
        }
        if (n > 0)
                send_put_off(looks, chosen, n, to_line);
}

int watch_jobs(struct scaler *scaler, struct watched *items, size_t n_items, struct err *err)
{
        _cleanup_(looks_release) struct looks looks = {.scaler = scaler};
        int r = looks_take(&looks, items, n_items, err);

        if (r == 0)
                r = delete_handovers(&looks, err);
        if (r == 0) {
                settle_put_off(&looks, false);
                settle_put_off(&looks, true);
        }
        for (size_t i = 0; r == 0 && i < looks.n_items; i++) {
                struct watched *watched = looks.items[i].watched;

                if (looks.items[i].is_put_off)
                        continue;
                watched->result = act(&looks, &looks.items[i], &watched->err);
        }
        return r;
}
