/* SPDX-License-Identifier: MIT */

/*
 * Puts watched jobs off, without a question to GitHub. A machine may boot, or be free soon; and
 * while a burst lasts, what GitHub allows is for registrations.
 */

#include "follow.h"
#include "pace.h"
#include "queue/send.h"
#include "recall.h"
#include "watch_look.h"

/* So many watches are due at once in a burst: a full batch, as the template says. */
#define MANY 10
#define BURST_SEEN_MS (5 * 60 * MSEC_PER_SEC)

/* Of whom nobody can tell, none wait. */
static int64_t count_waiting(const struct looks *looks, const char *queue)
{
        struct sqs_count waiting = {0};
        struct err err;

        if (queue_count(looks->scaler, queue, &waiting, &err) < 0)
                log_warning(&looks->scaler->log, "waiting jobs could not be counted",
                        LOG_TEXT("error", err.text));
        return waiting.visible + waiting.in_flight;
}

bool looks_burst_lasts(struct looks *looks)
{
        int64_t n;

        looks->n_registering = count_waiting(looks, "REGISTER_QUEUE_URL");
        looks->n_in_line = looks->are_many ? count_waiting(looks, "PACED_QUEUE_URL") : 0;
        n = looks->n_registering + looks->n_in_line;
        if (n >= MANY)
                looks->scaler->burst_seen_ms = clock_monotonic_ms(looks->scaler->clock);
        return n > 0;
}

/* A moment ago: then its few are asked for as its many are. */
static bool saw_burst(const struct scaler *scaler)
{
        return scaler->burst_seen_ms > 0 &&
               clock_monotonic_ms(scaler->clock) - scaler->burst_seen_ms < BURST_SEEN_MS;
}

bool looks_are_many(const struct scaler *scaler, size_t n)
{
        return n >= MANY || saw_burst(scaler);
}

bool look_has_worked(const struct look *look)
{
        if (!look->machine)
                return look->watched->job.watches > 0;
        return ec2_instance_tag(look->machine, JOB_TAG) || look_ended_itself(look);
}

/* The least that GitHub allows in an hour, 5,000 calls, registers more than one in a second. */
#define SLOWEST_MS MSEC_PER_SEC

void looks_note_put_off(const struct looks *looks, struct job *job)
{
        int64_t n = looks->n_registering + looks->n_in_line;

        if (job->burst_ends_ms == 0)
                job->burst_ends_ms = clock_wall_ms(looks->scaler->clock) +
                                     FOLLOW_SECONDS * MSEC_PER_SEC + n * SLOWEST_MS;
}

bool look_may_be_put_off(const struct looks *looks, const struct look *look)
{
        int64_t ends_ms = look->watched->job.burst_ends_ms;

        return ends_ms == 0 || clock_wall_ms(looks->scaler->clock) < ends_ms;
}

bool look_is_young(const struct looks *looks, const struct look *look)
{
        return clock_wall_ms(looks->scaler->clock) - look->watched->job.launched_ms <
               FOLLOW_SECONDS * MSEC_PER_SEC;
}

/* Whether the line ends while its jobs are fresh. Then all are launched, the taker in line as well,
 * and its machine is for this job. */
static bool line_ends_fresh(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;
        int64_t since_ms = job->queued_ms > 0 ? job->queued_ms : job->webhook_ms;
        int64_t line_ms = looks->n_in_line * 60 * MSEC_PER_SEC / PACE_PER_MINUTE;

        return clock_wall_ms(looks->scaler->clock) + line_ms - since_ms < JOB_FRESH_MS;
}

/* The machine of a taker may hang, so it is waited for so often. */
#define WAITS_FOR_TAKERS 5

/* While a burst lasts, what GitHub allows is for registrations. A job whose machine has ended can
 * be asked for later, when one answer does for all of its run. */
static enum look_wait wait_of(const struct looks *looks, const struct look *look, bool burst_lasts)
{
        if (look->runs_elsewhere)
                return WAITS_NOT;
        if ((!look->machine || look_is_idle(look)) && look_is_young(looks, look))
                return WAITS_MACHINE;
        if (look->takers == TAKERS_FREE_MACHINE && look->watched->job.waits < WAITS_FOR_TAKERS)
                return WAITS_MACHINE;
        if (look->takers == TAKERS_NO_MACHINE && looks->are_many && line_ends_fresh(looks, look))
                return WAITS_BURST;
        if (look->takers == TAKERS_NO_MACHINE)
                return looks->n_in_line > 0 ? WAITS_IN_LINE : WAITS_NOT;
        return burst_lasts && look_has_worked(look) && look_may_be_put_off(looks, look)
                       ? WAITS_BURST
                       : WAITS_NOT;
}

void looks_put_off(struct looks *looks)
{
        bool lasts = looks->are_many && looks_burst_lasts(looks);

        for (size_t i = 0; i < looks->n_items; i++) {
                struct look *look = &looks->items[i];

                look->wait = wait_of(looks, look, lasts);
                if (look->wait != WAITS_NOT)
                        look->question.state = JOB_STATE_HELD;
        }
}
