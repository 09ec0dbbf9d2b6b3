/* SPDX-License-Identifier: MIT */

/*
 * What GitHub's answer means for a job in line.
 */

#include "turn.h"

/* When nobody can tell how long. */
#define RETRY_SECONDS 15

/* A failure of GitHub's that lasts for five minutes may be one of this job's run alone, and all
 * behind it wait. */
#define RECEIVES_OF_ITS_OWN 20

static int64_t seconds_of(const struct scaler *scaler, const struct setback *setback)
{
        int64_t left_ms = setback_ends(scaler, setback) - clock_wall_ms(scaler->clock);

        if (!setback->is_limit)
                return RETRY_SECONDS;
        return left_ms > 0 ? (left_ms + MSEC_PER_SEC - 1) / MSEC_PER_SEC : 1;
}

/* Whether it is worth while to wait for an answer where the job is. A limit is everybody's. */
static bool is_waited_for(const struct setback *setback, int64_t receives)
{
        return setback->passing && (setback->is_limit || receives < RECEIVES_OF_ITS_OWN);
}

/* What is held, or refused for good, is sent on as well: `queued` finds that out, and parks the job
 * or gives it up, as any other. */
enum turn turn_of(struct scaler *scaler, const struct question *question, int64_t receives,
        int64_t *ret_seconds)
{
        struct job *job = question->job;

        switch (question->state) {
        case JOB_STATE_RUNS:
        case JOB_STATE_ENDED:
                log_info(&scaler->log, "job waits no longer: it leaves the line",
                        LOG_NUMBER("job", job->id), LOG_TEXT("repository", job->repository),
                        LOG_TEXT("state", job_state_name(question->state)));
                return TURN_LEAVES;
        case JOB_STATE_UNKNOWN:
                if (question->setback.result == 0 || !is_waited_for(&question->setback, receives))
                        return TURN_GOES;
                *ret_seconds = seconds_of(scaler, &question->setback);
                return TURN_WAITS;
        case JOB_STATE_QUEUED:
                job->asked_ms = question->asked_ms; /* it is not asked again in queued.fifo */
                return TURN_GOES;
        case JOB_STATE_HELD:
        default:
                return TURN_GOES;
        }
}
