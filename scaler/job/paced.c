/* SPDX-License-Identifier: MIT */

/*
 * It is a job's turn when there is room for its machine (launch_pace.h). Whoever has no room stays
 * in line, hidden, and all behind it as well.
 *
 * Whoever is admitted may have waited for long. GitHub is asked for it here, where one answer does
 * for all of its run; jobs that have ended leave the line.
 */

#include "paced.h"

#include <errno.h>
#include <stdlib.h>

#include "aws/sqs.h"
#include "forward.h"
#include "launch_pace.h"
#include "pace.h"
#include "queue/send.h"
#include "recall.h"
#include "running.h"
#include "turn.h"

/* An answer that old is asked for once more: what it says has to be fresh in queued.fifo as well.
 */
#define KNOWN_MS (4 * 60 * MSEC_PER_SEC)
/* When nobody can tell how long. */
#define RETRY_SECONDS 15
#define SETTINGS_SECONDS 60

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

/* Whether they are of one line. */
static bool are_of_one_registrar(const struct admission *admission, size_t a, size_t b)
{
        return pace_registrar(admission->config, &admission->items[a].job) ==
               pace_registrar(admission->config, &admission->items[b].job);
}

/* Of its line, an earlier one has to wait. */
static int64_t waits_behind(const struct admission *admission, size_t index)
{
        for (size_t i = index; i-- > 0;)
                if (admission->items[i].hidden_seconds > 0 &&
                        are_of_one_registrar(admission, i, index))
                        return admission->items[i].hidden_seconds;
        return 0;
}

/* Seconds until there is room for the item at INDEX, and those of the batch behind it; 0: now. */
static int64_t wait_for_turn(struct admission *admission, size_t index)
{
        struct scaler *scaler = admission->scaler;
        int64_t behind = (int64_t)(admission->n_items - index);
        int64_t wait = launch_pace_wait_for_github(
                scaler, admission->config, &admission->items[index].job, admission->room);

        if (wait > 0)
                return seconds_of(wait);
        if (admission->room <= 0)
                return seconds_of(behind * 60 * MSEC_PER_SEC / PACE_PER_MINUTE);
        if (launch_pace_wait_for_ec2(scaler, admission->n_turns + 1) > 0)
                return seconds_of(launch_pace_wait_for_ec2(scaler, admission->n_turns + behind));
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

/* An answer of the last KNOWN_MS does as well. */
static void ask(
        struct admission *admission, bool (*is_to_be)(struct admission *, size_t), int64_t known_ms)
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
                        .known_since_ms = clock_wall_ms(admission->scaler->clock) - known_ms,
                };
                questions[n++] = &admission->questions[i];
        }
        ask_start_all(questions, n);
        http_finish(scaler_http(admission->scaler));
}

static bool is_first_of_line(const struct admission *admission, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (are_of_one_registrar(admission, i, index))
                        return false;
        return true;
}

static bool is_to_tell_of_hour(struct admission *admission, size_t index)
{
        return is_first_of_line(admission, index) &&
               launch_pace_needs_hour(admission->scaler, admission->config,
                       &admission->items[index].job, admission->room);
}

static bool is_admitted_unknown(struct admission *admission, size_t index)
{
        return admission->is_turn[index] &&
               !job_is_fresh(admission->scaler, &admission->items[index].job, 1);
}

/* Those that took machines of others need none: EC2 tells that sooner than GitHub is asked again,
 * and GitHub need not be asked. */
static void leave_out_running(struct admission *admission)
{
        _cleanup_(ec2_instances_release) struct ec2_instances found = {0};
        _cleanup_free_ struct job **jobs = mem_alloc((admission->n_items + 1) * sizeof(*jobs));
        struct aws *aws;
        struct err err;
        size_t n = 0;
        int r = scaler_aws(admission->scaler, &aws, &err);

        for (size_t i = 0; i < admission->n_items; i++)
                if (is_admitted_unknown(admission, i))
                        jobs[n++] = &admission->items[i].job;
        if (r == 0 && n > 0)
                r = running_find(admission->scaler, aws, jobs, n, &found, &err);
        if (r < 0)
                log_warning(&admission->scaler->log, "jobs that run were not looked for",
                        LOG_TEXT("error", err.text));
        for (size_t i = 0; i < admission->n_items; i++)
                if (is_admitted_unknown(admission, i) &&
                        running_machine(&found, &admission->items[i].job))
                        admission->questions[i] = (struct question){
                                .scaler = admission->scaler,
                                .job = &admission->items[i].job,
                                .state = JOB_STATE_RUNS,
                        };
}

/* -- what becomes of them -- */

/* Whether it is to be sent on. One that GitHub was not asked for is fresh. */
static bool settle(struct admission *admission, struct paced *item, const struct question *question)
{
        return !question->scaler ||
               turn_of(admission->scaler, question, &item->hidden_seconds) == TURN_GOES;
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
        launch_pace_spend(scaler, (int64_t)n);
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

        if (scaler_config(scaler, &admission.config, &err) < 0 ||
                token_requests_init(&admission.tokens, scaler, &err) < 0)
                hide_all(&admission, SETTINGS_SECONDS, &err);
        else if (launch_pace_room_for_line(scaler, &admission.room, &err) < 0)
                hide_all(&admission, RETRY_SECONDS, &err);
        else {
                ask(&admission, is_to_tell_of_hour, 0);
                choose(&admission);
                leave_out_running(&admission);
                ask(&admission, is_admitted_unknown, KNOWN_MS);
                settle_all(&admission);
        }
}
