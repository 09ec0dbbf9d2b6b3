/* SPDX-License-Identifier: MIT */

/*
 * It is a job's turn when its hand-over can be expected while its machine boots. Launched earlier,
 * the machine would wait, and cost, in vain. So there is room for as many as can be registered in
 * the time of a boot, less those that are launched already, or about to be; and for no more than
 * GitHub's hour allows, or EC2's pace. Whoever has no room stays in line, hidden, and all behind it
 * as well.
 *
 * Whoever is admitted may have waited for long. GitHub is asked for it here, where one answer does
 * for all of its run; jobs that have ended leave the line.
 */

#include "paced.h"

#include <errno.h>
#include <stdlib.h>

#include "aws/sqs.h"
#include "forward.h"
#include "github_limit.h"
#include "pace.h"
#include "park.h"
#include "queue/send.h"
#include "recall.h"

#define ROOM (PACE_PER_MINUTE * PACE_BOOT_SECONDS / 60)

/* Instances that EC2 launches for an account: 1,000 at once, and 2 a second. Those that were
 * launched before there was a line are not known here.
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html */
#define INSTANCES (1000 - 3 * ROOM)
#define INSTANCES_PER_MINUTE 120

/* An answer that old is asked for once more: what it says has to be fresh in queued.fifo as well.
 */
#define KNOWN_MS (4 * 60 * MSEC_PER_SEC)
/* So close to the end of GitHub's hour, what it said is asked for more often. */
#define HOUR_ENDS_SOON 1000
#define HOUR_KNOWN_MS (20 * MSEC_PER_SEC)

/* When nobody can tell how long. */
#define RETRY_SECONDS 15
#define SETTINGS_SECONDS 60

/* -- room -- */

/* Of GitHub's Apps, each has limits of its own. */
static int64_t apps(struct scaler *scaler)
{
        const struct config *config;
        struct err err;

        return scaler_config(scaler, &config, &err) < 0 ? 1
                                                        : 1 + (int64_t)config->n_additional_apps;
}

int paced_room(struct scaler *scaler, int64_t *ret, struct err *err)
{
        struct sqs_count launched;
        int r = queue_count(scaler, "REGISTER_QUEUE_URL", &launched, err);

        if (r == 0)
                *ret = ROOM * apps(scaler) - launched.visible - launched.in_flight;
        return r;
}

/* What is left by those that were admitted before, and by the jobs among which they wait. */
static int room_in_line(struct scaler *scaler, int64_t *ret, struct err *err)
{
        struct sqs_count queued;
        int r = paced_room(scaler, ret, err);

        if (r == 0)
                r = queue_count(scaler, "QUEUED_QUEUE_URL", &queued, err);
        if (r == 0)
                *ret -= queued.visible + queued.in_flight;
        return r;
}

int paced_are_waiting(struct scaler *scaler, struct err *err)
{
        struct sqs_count waiting;
        int r = queue_count(scaler, "PACED_QUEUE_URL", &waiting, err);

        return r < 0 ? r : waiting.visible + waiting.in_flight > 0;
}

int paced_send(struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err)
{
        int r;

        for (size_t i = 0; i < n_jobs; i++) {
                jobs[i]->action = JOB_PACED;
                jobs[i]->paced = 1;
        }
        r = jobs_send(scaler, "PACED_QUEUE_URL", jobs, n_jobs, GROUP_OF_REGISTRAR, err);
        return r < 0 ? err_prefix(err, r, "jobs could not be sent to wait in line") : 0;
}

/* -- whose turn it is -- */

struct admission {
        struct scaler *scaler;
        const struct config *config;
        struct token_requests tokens;
        struct paced *items;
        size_t n_items;
        struct question *questions; /* of each item */
        bool *is_turn;
        int64_t n_turns;
        int64_t room;
};

static int64_t seconds_of(int64_t ms)
{
        int64_t seconds = (ms + MSEC_PER_SEC - 1) / MSEC_PER_SEC;

        return seconds > 1 ? seconds : 1;
}

/* Of its installation, an earlier one has to wait. */
static int64_t waits_behind(const struct admission *admission, size_t index)
{
        for (size_t i = index; i-- > 0;)
                if (admission->items[i].hidden_seconds > 0 &&
                        admission->items[i].job.installation ==
                                admission->items[index].job.installation)
                        return admission->items[i].hidden_seconds;
        return 0;
}

/* Of those that were launched, or are about to be: each will use a call. */
static int64_t are_under_way(const struct admission *admission)
{
        return ROOM - admission->room;
}

/* Whether the hour that answers about JOB tell of is the one that its registration uses up: not
 * where several Apps share, nor of an enterprise's token. */
static bool is_of_its_hour(const struct admission *admission, const struct job *job)
{
        return apps(admission->scaler) == 1 &&
               pace_registrar(admission->config, job) == job->installation;
}

/* Milliseconds until GitHub's hour has room; 0: now. */
static int64_t wait_for_hour(const struct admission *admission, const struct job *job)
{
        int64_t until_ms = 0;
        int64_t age_ms = 0;
        int64_t left = pace_hour_room(admission->scaler, job->installation, &age_ms, &until_ms);

        if (left == INT64_MAX || !is_of_its_hour(admission, job) || left > are_under_way(admission))
                return 0;
        until_ms -= clock_wall_ms(admission->scaler->clock);
        return until_ms > MSEC_PER_SEC ? until_ms : MSEC_PER_SEC;
}

/* Wall clock; 0: it need not wait for GitHub. */
static int64_t pause_until(const struct admission *admission, const struct job *job)
{
        struct scaler *scaler = admission->scaler;
        int64_t until_ms = setback_pause_until(scaler, job->installation);
        int64_t limited_ms =
                github_limit_pause_until(scaler, pace_registrar(admission->config, job));

        return until_ms > limited_ms ? until_ms : limited_ms;
}

/* Seconds until there is room for the item at INDEX, and those of the batch behind it; 0: now. */
static int64_t wait_for_turn(struct admission *admission, size_t index)
{
        struct scaler *scaler = admission->scaler;
        struct budget *budget = &scaler->launch_budget;
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        int64_t behind = (int64_t)(admission->n_items - index);
        int64_t pause = pause_until(admission, &admission->items[index].job);
        int64_t wait = 0;

        if (pause > 0)
                return seconds_of(pause - clock_wall_ms(scaler->clock));
        wait = wait_for_hour(admission, &admission->items[index].job);
        if (wait > 0)
                return seconds_of(wait);
        if (admission->room <= 0)
                return seconds_of(behind * 60 * MSEC_PER_SEC / PACE_PER_MINUTE);
        if (budget_wait(budget, now_ms, admission->n_turns + 1) > 0)
                return seconds_of(budget_wait(budget, now_ms, admission->n_turns + behind));
        return 0;
}

static void choose(struct admission *admission)
{
        for (size_t i = 0; i < admission->n_items; i++) {
                struct paced *item = &admission->items[i];

                item->hidden_seconds = waits_behind(admission, i);
                if (item->hidden_seconds == 0)
                        item->hidden_seconds = wait_for_turn(admission, i);
                if (item->hidden_seconds > 0)
                        continue;
                admission->is_turn[i] = true;
                admission->n_turns++;
                admission->room--;
        }
}

/* -- whether they still wait -- */

/* Since when GitHub's answers do: near the end of its hour they also tell what is left. */
static int64_t known_since(const struct admission *admission, int64_t installation)
{
        int64_t age_ms = 0;
        int64_t until_ms = 0;
        int64_t left = pace_hour_room(admission->scaler, installation, &age_ms, &until_ms);
        int64_t now_ms = clock_wall_ms(admission->scaler->clock);

        return left < HOUR_ENDS_SOON && age_ms > HOUR_KNOWN_MS ? now_ms : now_ms - KNOWN_MS;
}

static void ask(struct admission *admission, bool (*is_to_be)(struct admission *, size_t))
{
        _cleanup_free_ struct question **questions =
                mem_alloc((admission->n_items + 1) * sizeof(*questions));
        size_t n = 0;

        for (size_t i = 0; i < admission->n_items; i++) {
                struct job *job = &admission->items[i].job;

                if (admission->questions[i].scaler || !is_to_be(admission, i))
                        continue;
                admission->questions[i] = (struct question){
                        .scaler = admission->scaler,
                        .tokens = &admission->tokens,
                        .job = job,
                        .known_since_ms = known_since(admission, job->installation),
                };
                questions[n++] = &admission->questions[i];
        }
        ask_start_all(questions, n);
        http_finish(scaler_http(admission->scaler));
}

static bool is_first_of_installation(const struct admission *admission, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (admission->items[i].job.installation ==
                        admission->items[index].job.installation)
                        return false;
        return true;
}

/* Whether only a fresh answer tells whether GitHub's hour has room: the last one is old, or there
 * is none although a limit is near. */
static bool is_to_tell_of_hour(struct admission *admission, size_t index)
{
        struct scaler *scaler = admission->scaler;
        const struct job *job = &admission->items[index].job;
        int64_t until_ms = 0;
        int64_t age_ms = 0;
        int64_t left = pace_hour_room(scaler, job->installation, &age_ms, &until_ms);

        if (!is_of_its_hour(admission, job) || admission->room <= 0 ||
                !is_first_of_installation(admission, index) || pause_until(admission, job) > 0)
                return false;
        if (left == INT64_MAX)
                return github_limit_is_near(scaler, pace_registrar(admission->config, job));
        return age_ms > HOUR_KNOWN_MS && left <= are_under_way(admission);
}

static bool is_admitted_unknown(struct admission *admission, size_t index)
{
        return admission->is_turn[index] &&
               !job_is_fresh(admission->scaler, &admission->items[index].job, 1);
}

/* -- what becomes of them -- */

static void settle_unknown(
        struct admission *admission, struct paced *item, const struct setback *setback)
{
        struct scaler *scaler = admission->scaler;
        struct parking parking = {.reason = PARK_HELD};

        if (setback->result < 0 && setback->passing) {
                item->hidden_seconds = setback->is_limit
                                               ? seconds_of(setback_ends(scaler, setback) -
                                                            clock_wall_ms(scaler->clock))
                                               : RETRY_SECONDS;
                return;
        }
        if (setback->result < 0)
                parking = parking_for(setback);
        item->result = park_job(scaler, &item->job, &parking, &item->err);
        if (item->result < 0)
                item->hidden_seconds = RETRY_SECONDS;
}

/* Whether it is to be sent on. */
static bool settle(struct admission *admission, struct paced *item, const struct question *question)
{
        switch (question->scaler ? question->state : JOB_STATE_QUEUED) {
        case JOB_STATE_QUEUED:
                item->job.asked_ms = question->asked_ms;
                return true;
        case JOB_STATE_RUNS:
        case JOB_STATE_ENDED:
                log_info(&admission->scaler->log, "job waits no longer: nothing is launched for it",
                        LOG_NUMBER("job", item->job.id),
                        LOG_TEXT("repository", item->job.repository),
                        LOG_TEXT("state", job_state_name(question->state)));
                return false;
        case JOB_STATE_HELD:
        case JOB_STATE_UNKNOWN:
        default:
                settle_unknown(admission, item, &question->setback);
                return false;
        }
}

/* EC2's pace is spent by those alone that are launched: many that were cancelled leave at once. */
static void send_on(struct admission *admission, struct paced *const *items, size_t n)
{
        struct scaler *scaler = admission->scaler;
        struct job *jobs[SQS_BATCH_MAX];
        struct err err;
        int r;

        for (size_t i = 0; i < n; i++)
                jobs[i] = &items[i]->job;
        r = n > 0 ? forward_jobs(scaler, jobs, n, &err) : 0;
        budget_spend(&scaler->launch_budget, clock_monotonic_ms(scaler->clock), (int64_t)n);
        for (size_t i = 0; r < 0 && i < n; i++) {
                items[i]->result = r;
                items[i]->err = err;
                items[i]->hidden_seconds = RETRY_SECONDS;
        }
}

static void settle_all(struct admission *admission)
{
        struct paced *admitted[SQS_BATCH_MAX];
        size_t n = 0;

        for (size_t i = 0; i < admission->n_items; i++) {
                if (!admission->is_turn[i] ||
                        !settle(admission, &admission->items[i], &admission->questions[i]))
                        continue;
                admitted[n++] = &admission->items[i];
                if (n < SQS_BATCH_MAX)
                        continue;
                send_on(admission, admitted, n);
                n = 0;
        }
        send_on(admission, admitted, n);
}

/* -- all of it -- */

static void admission_release(struct admission *admission)
{
        token_requests_release(&admission->tokens);
        free(admission->questions);
        free(admission->is_turn);
}

static void hide_all(struct admission *admission, int64_t seconds, const struct err *why)
{
        log_warning(
                &admission->scaler->log, "no job can be admitted", LOG_TEXT("error", why->text));
        for (size_t i = 0; i < admission->n_items; i++)
                admission->items[i].hidden_seconds = seconds;
}

void paced_admit(struct scaler *scaler, struct paced *items, size_t n_items)
{
        _cleanup_(admission_release) struct admission admission = {
                .scaler = scaler,
                .items = items,
                .n_items = n_items,
                .questions = mem_alloc((n_items + 1) * sizeof(struct question)),
                .is_turn = mem_alloc((n_items + 1) * sizeof(bool)),
        };
        struct err err;

        if (scaler->launch_budget.points == 0)
                budget_init(&scaler->launch_budget, INSTANCES, INSTANCES_PER_MINUTE,
                        clock_monotonic_ms(scaler->clock));
        if (scaler_config(scaler, &admission.config, &err) < 0 ||
                token_requests_init(&admission.tokens, scaler, &err) < 0)
                hide_all(&admission, SETTINGS_SECONDS, &err);
        else if (room_in_line(scaler, &admission.room, &err) < 0)
                hide_all(&admission, RETRY_SECONDS, &err);
        else {
                ask(&admission, is_to_tell_of_hour);
                choose(&admission);
                ask(&admission, is_admitted_unknown);
                settle_all(&admission);
        }
}
