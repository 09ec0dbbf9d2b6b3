/* SPDX-License-Identifier: MIT */

/*
 * How many machines may be launched. A machine is launched when its hand-over can be expected while
 * it boots: earlier it would wait, and cost, in vain. So launches stop while as many jobs wait in
 * register.fifo as can be registered in the time of a boot. The rest of the batch is parked, which
 * uses up no receive, is no try for capacity and asks nobody: those jobs stay fresh.
 *
 * SQS is asked when there is reason to: a batch is full, as in a burst, or holds a job that was
 * parked for the pace before. What is parked comes back at twice the pace, spread over that time:
 * so some are always at hand, and one that comes too early is parked again, which costs a few calls
 * to SQS.
 */

#include "queued.h"

#include "aws/sqs.h"
#include "job/pace.h"
#include "queue/send.h"

/* From launch to the agent's first question, and some. */
#define BOOT_SECONDS 60
#define ROOM (PACE_PER_MINUTE * BOOT_SECONDS / 60)

/* The size of a full batch, as the template says. */
#define FULL 10

#define PARKED_LEAST_SECONDS 10

/* A job that may have a machine already is not kept from it, nor one whose machine was lost. */
static bool may_be_parked(const struct queued_job *item)
{
        return !item->ignored && item->job.launch == 0 && item->record->receive_count <= 1 &&
               !item->job.stale;
}

static bool has_reason_to_ask(const struct queued *queued)
{
        size_t n = 0;

        for (size_t i = 0; i < queued->n_items; i++) {
                n += may_be_parked(&queued->items[i]);
                if (queued->items[i].job.paced > 0)
                        return true;
        }
        return n >= FULL;
}

/* All of a batch come again at the same time, so that GitHub can be asked for them by run. */
static int64_t parked_seconds(struct queued *queued)
{
        struct sqs_count parked = {0};
        struct err err;
        int64_t seconds;

        if (queue_count(queued->scaler, "PARKED_QUEUE_URL", &parked, &err) < 0)
                log_warning(&queued->scaler->log, "parked jobs could not be counted",
                        LOG_TEXT("error", err.text));
        seconds = (parked.delayed + parked.visible) * 60 / (2 * PACE_PER_MINUTE);
        return seconds > PARKED_LEAST_SECONDS ? seconds : PARKED_LEAST_SECONDS;
}

void keep_pace(struct queued *queued)
{
        struct sqs_count waiting;
        struct err err;
        int64_t room;
        bool is_full = false;

        if (!has_reason_to_ask(queued))
                return;
        if (queue_count(queued->scaler, "REGISTER_QUEUE_URL", &waiting, &err) < 0) {
                log_warning(&queued->scaler->log, "launched jobs could not be counted",
                        LOG_TEXT("error", err.text));
                return;
        }
        room = ROOM - waiting.visible - waiting.in_flight;
        for (size_t i = 0; i < queued->n_items; i++) {
                struct queued_job *item = &queued->items[i];

                if (!may_be_parked(item) || room-- > 0)
                        continue;
                item->paced = is_full = true;
        }
        if (is_full)
                queued->paced_until_ms = clock_wall_ms(queued->scaler->clock) +
                                         parked_seconds(queued) * MSEC_PER_SEC;
}
