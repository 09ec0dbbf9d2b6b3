/* SPDX-License-Identifier: MIT */

/*
 * What GitHub's answer means for a job in line.
 */

#include "turn.h"

#include <stdio.h>

/* How long to wait when nobody can tell how long. */
#define RETRY_SECONDS 15

/* GitHub may fail for the run of this job alone, and all behind it wait: no longer than this after
 * its first failure for that run. */
#define PATIENCE_MS (5 * 60 * MSEC_PER_SEC)
/* The first failure is forgotten when GitHub tells of the run, or after this time. */
#define FAILURE_KEPT_MS (60 * 60 * MSEC_PER_SEC)
#define KEY_SIZE 48

static int64_t seconds_of(const struct scaler *scaler, const struct setback *setback)
{
        int64_t left_ms = setback_ends(scaler, setback) - clock_wall_ms(scaler->clock);

        if (!setback->is_limit)
                return RETRY_SECONDS;
        return left_ms > 0 ? (left_ms + MSEC_PER_SEC - 1) / MSEC_PER_SEC : 1;
}

/* A key for all jobs of a run, which may be a thousand: when GitHub cannot tell of one, it cannot
 * tell of the others. */
static const char *run_key(const struct job *job, char key[static KEY_SIZE])
{
        if (job->run_id > 0)
                snprintf(key, KEY_SIZE, "%lld-%lld", (long long)job->run_id,
                        (long long)job->attempt);
        else
                snprintf(key, KEY_SIZE, "job %lld", (long long)job->id);
        return key;
}

/* Since when GitHub has failed to tell of JOB's run, as far as this process knows. Monotonic. */
static int64_t fails_since(struct scaler *scaler, const struct job *job, int64_t now_ms)
{
        char key[KEY_SIZE];
        int64_t until_ms = recent_until(&scaler->unanswered, run_key(job, key), now_ms);

        if (until_ms == 0) {
                until_ms = now_ms + FAILURE_KEPT_MS;
                recent_note(&scaler->unanswered, key, until_ms);
        }
        return until_ms - FAILURE_KEPT_MS;
}

/* An answer of GitHub's shows that it can tell of the run again. That a job runs may also come from
 * EC2. */
static void note_answer(struct scaler *scaler, const struct question *question)
{
        char key[KEY_SIZE];

        if (question->asked_ms > 0)
                recent_forget(&scaler->unanswered, run_key(question->job, key));
}

/* Whether the job of QUESTION waits for an answer where it is. A limit is everybody's. */
static bool waits_for_answer(struct scaler *scaler, const struct question *question)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);

        if (!question->setback.passing || question->setback.is_limit)
                return question->setback.passing;
        return now_ms - fails_since(scaler, question->job, now_ms) < PATIENCE_MS;
}

/* A job that GitHub holds back, or about which it refuses to tell for good, is sent on as well:
 * `queued` finds that out, and parks it or gives it up like any other. */
enum turn turn_of(struct scaler *scaler, const struct question *question, int64_t *ret_seconds)
{
        struct job *job = question->job;

        note_answer(scaler, question);
        switch (question->state) {
        case JOB_STATE_RUNS:
        case JOB_STATE_ENDED:
                log_info(&scaler->log, "job waits no longer: it leaves the line",
                        LOG_NUMBER("job", job->id), LOG_TEXT("repository", job->repository),
                        LOG_TEXT("state", job_state_name(question->state)));
                return TURN_LEAVES;
        case JOB_STATE_UNKNOWN:
                if (question->setback.result == 0 || !waits_for_answer(scaler, question))
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
