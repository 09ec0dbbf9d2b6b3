/* SPDX-License-Identifier: MIT */

/*
 * Looks for room at a limit. EC2 tells of a machine's end when it is over, half a minute after the
 * machine stopped counting, and EventBridge may lose that: so the first of each line looks for
 * itself. A warm process counts at most once in five seconds, for all lines, and GitHub is asked
 * only about a job whose turn it is.
 */

#include "line.h"

#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "forward.h"
#include "launch_name.h"
#include "limits.h"
#include "park.h"
#include "queue/send.h"
#include "respec.h"

#define COUNT_KEPT_MS (5 * MSEC_PER_SEC)
/* Of SQS, in characters. */
#define GROUP_MAX 128

/* How long the first of a line waits between two looks: less often when it has waited for long, as
 * SQS delivers its message only so often. */
static const struct {
        int64_t receives; /* up to these */
        int64_t seconds;
} pauses[] = {
        {300, 10},  /* 50 minutes */
        {600, 30},  /* 3 hours */
        {900, 120}, /* 13 hours */
};

/* People see it waiting in logs and metrics so often. */
#define LOOKS_PER_LOG 6

#define AFTER_SETBACK_SECONDS 60

static bool waits_in_order(const struct job *job)
{
        return job->limited == 0 && job->launch == 0;
}

int line_up(struct scaler *scaler, struct job *job, struct err *err)
{
        _cleanup_free_ char *body = NULL;
        char name[LAUNCH_NAME_SIZE];
        char id[LAUNCH_NAME_SIZE + 24];
        char group[GROUP_MAX + 1];
        struct sqs_message message = {.group = group, .deduplication_id = id};
        int r;

        if (waits_in_order(job))
                snprintf(group, sizeof(group), "%s/%s", job->spec, job->repository);
        else
                snprintf(group, sizeof(group), "%lld", (long long)job->id);
        launch_name(job, name);
        snprintf(id, sizeof(id), "%s-%lld", name, (long long)job->limited);
        job->action = JOB_LIMITED;
        job->limited++;
        body = job_print(job);
        message.body = body;
        r = queue_send(scaler, "LIMITED_QUEUE_URL", &message, err);
        return r < 0 ? err_prefix(
                               err, r, "job %lld could not wait at its limit", (long long)job->id)
                     : 0;
}

static int64_t pause_after(int64_t receives)
{
        for (size_t i = 0; i < ARRAY_SIZE(pauses); i++)
                if (receives <= pauses[i].receives)
                        return pauses[i].seconds;
        return 0;
}

/* GitHub, asked for a job whose turn it is. */
static int ask_for(
        struct scaler *scaler, struct job *job, struct question *question, struct err *err)
{
        _cleanup_(token_requests_release) struct token_requests tokens = {0};
        int r = token_requests_init(&tokens, scaler, err);

        if (r < 0)
                return r;
        *question = (struct question){.scaler = scaler, .tokens = &tokens, .job = job};
        ask_start(question);
        http_finish(scaler_http(scaler));
        return 0;
}

static int64_t setback_seconds(const struct scaler *scaler, const struct setback *setback)
{
        int64_t left =
                setback->until_ms > 0
                        ? (setback->until_ms - clock_wall_ms(scaler->clock)) / MSEC_PER_SEC + 1
                        : 0;

        return left > AFTER_SETBACK_SECONDS ? left : AFTER_SETBACK_SECONDS;
}

/* There is room. What `queued` has to say of it, as of one that is held, it finds out itself. */
static int take_turn(struct scaler *scaler, struct job *job, int64_t *ret_seconds, struct err *err)
{
        struct question question;
        int r = ask_for(scaler, job, &question, err);

        if (r < 0)
                return r;
        switch (question.state) {
        case JOB_STATE_RUNS:
        case JOB_STATE_ENDED:
                log_info(&scaler->log, "job waits no longer: it leaves the line",
                        LOG_NUMBER("job", job->id), LOG_TEXT("repository", job->repository),
                        LOG_TEXT("state", job_state_name(question.state)));
                return 0;
        case JOB_STATE_UNKNOWN:
                if (!question.setback.passing)
                        break;
                *ret_seconds = setback_seconds(scaler, &question.setback);
                log_warning(&scaler->log, "there is room for a job, and GitHub cannot be asked",
                        LOG_NUMBER("job", job->id), LOG_TEXT("error", question.setback.err.text));
                return LINE_WAITS;
        case JOB_STATE_QUEUED:
                limits_grant(scaler, job);
                break;
        case JOB_STATE_HELD:
        default:
                break;
        }
        return forward_job(scaler, job, err);
}

static void tell_waits(struct scaler *scaler, const struct job *job, const char *why,
        int64_t receives, int64_t seconds)
{
        const struct parking parking = {.reason = PARK_LIMIT, .error = why, .quiet = true};

        if (receives % LOOKS_PER_LOG == 0)
                tell_job_is_kept(scaler, job, &parking, seconds);
}

int line_look(struct scaler *scaler, struct job *job, int64_t receives, int64_t *ret_seconds,
        struct err *err)
{
        const struct config_spec *spec;
        const struct config *config;
        char why[LIMIT_TEXT_SIZE];
        struct setback setback;
        struct aws *aws = NULL;
        enum limit limit;
        int r = scaler_config(scaler, &config, err);

        if (r == 0)
                r = scaler_aws(scaler, &aws, err);
        if (r < 0)
                return r;
        spec = job_respec(config, job, err);
        if (!spec || !limits_concern(config, spec))
                return forward_job(scaler, job, err);
        if (limits_count(scaler, aws, config, COUNT_KEPT_MS, &setback) < 0) {
                *ret_seconds = AFTER_SETBACK_SECONDS;
                log_warning(&scaler->log, "job waits at its limit", LOG_NUMBER("job", job->id),
                        LOG_TEXT("error", setback.err.text));
                return LINE_WAITS;
        }
        limit = limits_check(scaler, config, spec, job);
        if (limit == LIMIT_NONE)
                return take_turn(scaler, job, ret_seconds, err);
        *ret_seconds = pause_after(receives);
        if (*ret_seconds == 0)
                return line_up(scaler, job, err);
        limits_explain(limit, config, spec, job->repository, why);
        tell_waits(scaler, job, why, receives, *ret_seconds);
        return LINE_WAITS;
}
