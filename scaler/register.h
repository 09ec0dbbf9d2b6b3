/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The parts of `register`: register.c reads messages and asks, register_pace.c registers, and
 * register_settle.c decides what becomes of each message once all of that has ended.
 */

#include <stdbool.h>
#include <stddef.h>

#include "handler.h"
#include "job/launched.h"
#include "job/park.h"
#include "job/recall.h"
#include "job/registrars.h"
#include "job/registration.h"
#include "job/token_requests.h"

/* The longest that the pace makes a job wait. One that waits longer waits for the end of a limit,
 * or because something is down. */
#define REGISTER_PACE_MOST_MS (60 * MSEC_PER_SEC)

/* One message, and how far its job has come. */
struct registering_job {
        struct record *record;
        struct launched launched;
        bool ignored; /* it cannot be read, or is settled, or another message of the batch has it */
        bool recalled;
        struct recall recall;
        const struct config_spec *spec;
        char scope[GITHUB_SCOPE_SIZE];
        struct registration registration;
        bool registers;
        int64_t tried[REGISTRARS_MAX]; /* budgets of the registrars that GitHub refused */
        size_t n_tried;
        struct setback refusal; /* of these refusals, the one that ends first */
        int64_t until_ms; /* wall clock: until when it waits for the pace or a limit; 0: no need */
        const struct setback *limit; /* for which it waits; NULL: for the pace */
};

/* A batch. */
struct registering {
        struct scaler *scaler;
        const struct config *config;
        struct aws *aws;
        const char *ticket_keys;
        struct token_requests token_requests;
        struct registrars registrars;
        struct registering_job *items;
        size_t n_items;
        int64_t pace_ends_ms; /* monotonic: a registration that would begin later than this comes
                                 again in another batch */
};

/* Marks the message of ITEM as failed, with its job in front of the text. */
void registering_job_fail(struct registering *registering, struct registering_job *item, int result,
        const struct err *err);

/* Parks the job of ITEM. */
void registering_job_park(struct registering *registering, struct registering_job *item,
        const struct parking *parking);

/* Before the first call to GitHub, and after the last one. */
void register_begin_budgets(struct registering *registering);
void register_end_budgets(struct registering *registering);

/* Where GitHub's limits allow no registration at all, tells the functions that launch. */
void register_note_limits(struct registering *registering);

/* Registers the jobs that have a spec, at the pace that GitHub's limits allow. */
void register_items(struct registering *registering);

void settle_registrations(struct registering *registering);

/* Without the configuration, the key of tickets or GitHub's key nothing can be registered, but
 * machines can wait for them. */
void wait_for_settings(struct registering *registering, int result, const struct err *why);
