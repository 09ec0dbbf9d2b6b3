/* SPDX-License-Identifier: MIT */

/*
 * Second stage of a job's life, second half: from the launched instance to the registered runner
 * and the stored hand-over. The table of ways says which call is made, what its answer means, and
 * what follows; registration_steps.c has the calls and the readers of their answers.
 */

#include "registration.h"

#include <errno.h>
#include <stdlib.h>

#include "machine/stores.h"
#include "pace.h"
#include "registration_steps.h"
#include "token_requests.h"

static const struct way {
        enum step step;
        enum finding finding;
        enum step next;
} ways[] = {
        {STEP_LOOK, IS_PRESENT, STEP_DONE},
        {STEP_LOOK, IS_ABSENT, STEP_MINT},
        {STEP_LOOK, IS_GARBLED, STEP_MINT},

        {STEP_MINT, IS_DONE, STEP_STORE},
        {STEP_MINT, IS_TAKEN, STEP_CHECK},
        {STEP_CHECK, IS_PRESENT, STEP_DONE},
        {STEP_CHECK, IS_ABSENT, STEP_FIND},
        {STEP_CHECK, IS_GARBLED, STEP_FIND},
        {STEP_FIND, IS_ABSENT, STEP_MINT},
        {STEP_FIND, IS_ONLINE, STEP_DONE},
        {STEP_FIND, IS_OFFLINE, STEP_DELETE},
        {STEP_DELETE, IS_BUSY, STEP_DONE},
        {STEP_DELETE, IS_DONE, STEP_MINT},

        {STEP_STORE, IS_DONE, STEP_DONE},
        {STEP_STORE, IS_TAKEN, STEP_COMPARE},
        {STEP_COMPARE, IS_OURS, STEP_DONE},
        {STEP_COMPARE, IS_ABSENT, STEP_STORE},
        {STEP_COMPARE, IS_OTHERS, STEP_DISCARD},
        {STEP_COMPARE, IS_GARBLED, STEP_REPLACE},
        {STEP_REPLACE, IS_DONE, STEP_DONE},
        {STEP_DISCARD, IS_DONE, STEP_DONE},
        {STEP_DISCARD, IS_BUSY, STEP_DONE},
};

/* SSM's limit is met within the event as long as this much of its time is left. */
#define THROTTLED_NEEDS_MS (20 * MSEC_PER_SEC)
#define THROTTLED_MAX 10

/* A registration may be minted, and stored, so often: again only after what was in the way is
 * gone. */
#define TIMES_MAX 2

static void take(struct registration *registration, enum step step);

static void fail(struct registration *registration, const struct setback *setback)
{
        registration->state = REGISTRATION_FAILED;
        registration->setback = *setback;
        err_prefix(&registration->setback.err, 0, "instance %s", registration->instance.id);
}

static enum step next_step(enum step step, enum finding finding)
{
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                if (ways[i].step == step && ways[i].finding == finding)
                        return ways[i].next;
        return STEP_DONE;
}

/* Stores again after a pause if SSM has throttled PutParameter; false: it does not. The runner is
 * registered already, and must not be registered a second time. */
static bool store_again(
        struct registration *registration, enum step step, const struct setback *setback)
{
        if (step != STEP_STORE || !setback->is_limit || store_is_s3(&registration->store))
                return false;
        pace_note_throttled(registration->scaler);
        if (registration->throttled++ == THROTTLED_MAX ||
                scaler_time_left(registration->scaler) < THROTTLED_NEEDS_MS)
                return false;
        registration->stores--;
        take(registration, STEP_STORE);
        return true;
}

/* Whether the machine may have its hand-over, of an earlier try or of one whose answer was lost. */
static bool shows_hand_over(enum step step, int found)
{
        return step == STEP_COMPARE ? found != IS_GARBLED : step == STEP_MINT && found == IS_TAKEN;
}

static void on_answer(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct registration *registration = userdata;
        enum step step = (enum step)registration->step;
        struct scaler *scaler = registration->scaler;
        struct setback setback = {0};
        struct err err = {0};
        int found = registration_steps[step].read(registration, call, &err);

        if (found < 0)
                setback =
                        registration_steps[step].points > 0
                                ? setback_by_github(scaler, registration->budget, call, found, &err)
                                : setback_by_aws(call, found, &err);
        if (registration_steps[step].points > 0)
                pace_note_github(scaler, registration->budget, call, found < 0 ? &setback : NULL);
        if (shows_hand_over(step, found))
                registration->adopted = true;
        if (found >= 0)
                take(registration, next_step(step, (enum finding)found));
        else if (!store_again(registration, step, &setback))
                fail(registration, &setback);
}

/* Something that is in the way comes back each time: whoever makes it is not this program. */
static void give_up(struct registration *registration, const char *what)
{
        struct setback setback = {.result = -EEXIST, .passing = true};

        err_set(&setback.err, -EEXIST, "%s exists, and exists again after it was deleted", what);
        fail(registration, &setback);
}

static void start(struct registration *registration, enum step step, struct http_call *call)
{
        struct scaler *scaler = registration->scaler;

        if (step == STEP_MINT && registration->is_paid)
                registration->is_paid = false;
        else if (registration_steps[step].points > 0)
                pace_spend_github(scaler, registration->budget, registration_steps[step].points);
        scaler_start_later(scaler, call,
                step == STEP_STORE && !store_is_s3(&registration->store)
                        ? pace_next_parameter(scaler)
                        : 0);
}

static void take(struct registration *registration, enum step step)
{
        struct http_call *call;

        if (step == STEP_MINT && registration->mints == TIMES_MAX) {
                give_up(registration, "a runner of this name");
        } else if (step == STEP_STORE && registration->stores == TIMES_MAX) {
                give_up(registration, "its hand-over");
        } else if (step == STEP_DONE) {
                registration->state = REGISTRATION_DONE;
        } else {
                registration->step = step;
                call = registration_steps[step].make(registration);
                call->done = on_answer;
                call->userdata = registration;
                start(registration, step, call);
        }
}

void registration_ready(void *userdata, const struct setback *setback)
{
        struct registration *registration = userdata;

        if (setback) {
                pace_note_setback(registration->scaler, registration->budget, setback);
                fail(registration, setback);
                return;
        }
        stores_open(&registration->store, registration->config, registration->aws,
                registration->instance.account, registration->job->bucket);
        registration->state = REGISTRATION_UNDER_WAY;
        take(registration, registration->adopted ? STEP_LOOK : STEP_MINT);
}

void registration_release(struct registration *registration)
{
        store_release(&registration->store);
        mem_free_secret(registration->value);
}
