/* SPDX-License-Identifier: MIT */

/*
 * Looks for room at a limit. EC2 tells of a machine's end when it is over, half a minute after the
 * machine stopped counting, and EventBridge may lose that: so the first of each line looks for
 * itself. A warm process counts at most once in five seconds, for all lines, and GitHub is asked
 * only about a job whose turn it is.
 */

#include "line_look.h"

#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "forward.h"
#include "known_jobs.h"
#include "launch_pace.h"
#include "limits.h"
#include "line.h"
#include "park.h"
#include "respec.h"
#include "turn.h"

#define COUNT_KEPT_MS (5 * MSEC_PER_SEC)

/* Between two looks of the first of a line. */
#define LOOK_SECONDS 10
/* The longest wait of a job that `queued` has sent back, until its next look. */
#define SENT_BACK_SECONDS_MAX 60
/* Who has not looked within this time has got its turn. */
#define HEAD_MS ((LOOK_SECONDS + 5) * MSEC_PER_SEC)
#define HEADS_MAX 1000

/* People see it waiting in logs and metrics so often. */
#define LOOKS_PER_LOG 6

#define AFTER_SETBACK_SECONDS 60

/* -- taking turns -- */

/*
 * Several lines may wait for the same room. Then it belongs to the repository that has the fewest
 * machines, and of equal ones to the line whose first has looked the most often: so all get the
 * same share. A warm process knows the other firsts from their looks. It leaves them as much room
 * as they have before they come, which they do within LOOK_SECONDS.
 */

/* One that had its turn before, or lost its machine, comes before the lines. */
static int64_t rank_of(const struct job *job, int64_t receives)
{
        return receives + (job->limited > 1 || job->launch > 0 ? LINE_RECEIVES_MAX : 0);
}

static void forget_heads(struct machine_limits *limits, const struct job *job, int64_t now_ms)
{
        size_t n = 0;

        for (size_t i = 0; i < limits->n_heads; i++)
                if (limits->heads[i].job != job->id && now_ms - limits->heads[i].seen_ms < HEAD_MS)
                        limits->heads[n++] = limits->heads[i];
        limits->n_heads = n;
}

static void note_head(struct scaler *scaler, const struct job *job, int64_t rank)
{
        struct machine_limits *limits = &scaler->limits;
        struct limit_head *head;

        if (limits->n_heads == HEADS_MAX)
                return;
        limits->heads = mem_resize(limits->heads, limits->n_heads + 1, sizeof(*limits->heads));
        head = &limits->heads[limits->n_heads++];
        *head = (struct limit_head){.job = job->id, .rank = rank};
        head->seen_ms = clock_monotonic_ms(scaler->clock);
        snprintf(head->spec, sizeof(head->spec), "%s", job->spec);
        snprintf(head->repository, sizeof(head->repository), "%s", job->repository);
}

/* How many machines HEAD comes before JOB for. */
static int64_t lead_of(const struct scaler *scaler, const struct limit_head *head,
        const struct job *job, int64_t rank)
{
        const char *spec = strcmp(head->spec, job->spec) == 0 ? job->spec : NULL;
        int64_t lead = limits_living(scaler, spec, job->repository) -
                       limits_living(scaler, spec, head->repository) + (head->rank > rank);

        return lead > 0 ? lead : 0;
}

/* As many machines as others, for which there is room as well, come before JOB for. */
static int64_t count_before(const struct scaler *scaler, const struct config *config,
        const struct job *job, int64_t rank)
{
        const struct machine_limits *limits = &scaler->limits;
        int64_t n = 0;

        for (size_t i = 0; i < limits->n_heads; i++) {
                const struct limit_head *head = &limits->heads[i];
                const struct config_spec *spec = config_spec_by_name(config, head->spec);
                enum limit limit;

                if (spec && limits_room(scaler, config, spec, head->repository, &limit) > 0)
                        n += lead_of(scaler, head, job, rank);
        }
        return n;
}

/* -- a turn -- */

/* Of a run that was cancelled, many jobs may wait in line: one look at it does for all of them. */
static void look_at_run(struct question *question)
{
        struct question all = {
                .scaler = question->scaler,
                .tokens = question->tokens,
                .job = question->job,
                .known_since_ms = clock_wall_ms(question->scaler->clock),
        };

        ask_start_all(&(struct question *){&all}, 1);
        http_finish(scaler_http(question->scaler));
}

/* GitHub, asked for a job whose turn it is. */
static int ask_for(
        struct scaler *scaler, struct job *job, struct question *question, struct err *err)
{
        _cleanup_(token_requests_release) struct token_requests tokens = {0};
        int64_t known_ms;
        int r;

        *question = (struct question){.scaler = scaler, .tokens = &tokens, .job = job};
        question->state = known_job(scaler, job->id, &known_ms);
        if (question->state == JOB_STATE_ENDED)
                return 0;
        r = token_requests_init(&tokens, scaler, err);
        if (r < 0)
                return r;
        ask_start(question);
        http_finish(scaler_http(scaler));
        if (question->state == JOB_STATE_ENDED)
                look_at_run(question);
        return 0;
}

/* While GitHub fails or refuses, no line asks it. After a pause, the first that looks asks for all.
 */
static bool waits_for_github(struct scaler *scaler, const struct config *config,
        const struct job *job, int64_t *ret_seconds)
{
        int64_t pause_ms = launch_pace_pause(scaler, config, job);

        if (pause_ms == 0)
                return false;
        log_info(&scaler->log, "there is room for a job, and GitHub is left alone for a while",
                LOG_NUMBER("job", job->id), LOG_NUMBER("milliseconds", pause_ms));
        *ret_seconds = (pause_ms + MSEC_PER_SEC - 1) / MSEC_PER_SEC;
        return true;
}

/* There is room. */
static int take_turn(struct scaler *scaler, const struct config *config, struct job *job,
        int64_t *ret_seconds, struct err *err)
{
        struct question question;
        int r;

        if (waits_for_github(scaler, config, job, ret_seconds))
                return LINE_WAITS;
        r = ask_for(scaler, job, &question, err);
        if (r < 0)
                return r;
        switch (turn_of(scaler, &question, ret_seconds)) {
        case TURN_LEAVES:
                return 0;
        case TURN_WAITS:
                log_warning(&scaler->log, "there is room for a job, and GitHub cannot be asked",
                        LOG_NUMBER("job", job->id), LOG_TEXT("error", question.setback.err.text));
                return LINE_WAITS;
        case TURN_GOES:
        default:
                if (question.state == JOB_STATE_QUEUED)
                        limits_grant(scaler, job);
                return forward_job(scaler, job, err);
        }
}

static void tell_waits(struct scaler *scaler, const struct job *job, const char *why,
        int64_t receives, int64_t seconds)
{
        const struct parking parking = {.reason = PARK_MACHINES, .error = why, .quiet = true};

        if (receives % LOOKS_PER_LOG == 0)
                tell_job_is_kept(scaler, job, &parking, seconds);
}

/* `queued` has only now found no room for JOB. Until both count the same, and have read the same
 * configuration, its next look would send it there again at once, with a question to GitHub. */
static bool has_just_looked(const struct job *job, int64_t receives)
{
        return job->limited > 1 && receives <= 1;
}

/* How long JOB waits for its next look: longer each time that `queued` has sent it back. */
static int64_t seconds_until_look(const struct job *job, int64_t receives)
{
        int64_t seconds = (job->limited - 1) * LOOK_SECONDS;

        if (!has_just_looked(job, receives))
                return LOOK_SECONDS;
        return seconds < SENT_BACK_SECONDS_MAX ? seconds : SENT_BACK_SECONDS_MAX;
}

/* A job's look, with the machines counted. */
static int look(struct scaler *scaler, const struct config *config, const struct config_spec *spec,
        struct job *job, int64_t receives, int64_t *ret_seconds, struct err *err)
{
        int64_t rank = rank_of(job, receives);
        char why[LIMIT_TEXT_SIZE];
        enum limit limit;
        int64_t room;

        forget_heads(&scaler->limits, job, clock_monotonic_ms(scaler->clock));
        limits_revoke(scaler, job);
        room = limits_room(scaler, config, spec, job->repository, &limit);
        if (!has_just_looked(job, receives) && room > count_before(scaler, config, job, rank))
                return take_turn(scaler, config, job, ret_seconds, err);
        if (room > 0)
                limit = LIMIT_LINE;
        note_head(scaler, job, rank);
        *ret_seconds = seconds_until_look(job, receives);
        limits_explain(limit, config, spec, job->repository, why);
        tell_waits(scaler, job, why, receives, *ret_seconds);
        return LINE_WAITS;
}

int line_look(struct scaler *scaler, struct job *job, int64_t receives, int64_t *ret_seconds,
        struct err *err)
{
        const struct config_spec *spec;
        const struct config *config;
        struct setback setback;
        struct aws *aws = NULL;
        int r = scaler_config(scaler, &config, err);

        if (r == 0)
                r = scaler_aws(scaler, &aws, err);
        if (r < 0)
                return r;
        spec = job_respec(scaler, config, job, err);
        *ret_seconds = seconds_until_look(job, receives);
        if (!spec || !limits_concern(config, spec))
                return has_just_looked(job, receives) ? LINE_WAITS : forward_job(scaler, job, err);
        if (limits_count(scaler, aws, config, COUNT_KEPT_MS, &setback) < 0) {
                *ret_seconds = AFTER_SETBACK_SECONDS;
                log_warning(&scaler->log, "job waits at its limit", LOG_NUMBER("job", job->id),
                        LOG_TEXT("error", setback.err.text));
                return LINE_WAITS;
        }
        return look(scaler, config, spec, job, receives, ret_seconds, err);
}
