/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One sweep of `recover`, the slow net under lost events: what EC2, SSM and GitHub know, compared.
 *
 *      overdue.c      machines past their lifetime, or that hung in an earlier sweep as well
 *      hanging.c      machines that hang before their runner listens
 *      abandoned.c    hand-overs whose machine is gone, of which no event has told
 *      undelivered.c  webhooks that GitHub could not deliver
 *      attempts.c     what became of them, and which are due
 *      own_hooks.c    which webhooks lead to us
 *
 * Each part goes on where another fails. A sweep may run beside another, and be ended at any time:
 * the next one finds what it left. Nothing that a machine may be working on is touched (design rule
 * R1): what is overdue is past the limit of its job, and what hangs has no job.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "exchange/store.h"
#include "machine/stores.h"
#include "scaler.h"

/* A runner that is not there after this time will not come. */
#define RECOVER_BOOT_LIMIT_MS (15 * 60 * MSEC_PER_SEC)

struct sweep {
        /* Set by the caller. */
        struct scaler *scaler;
        bool is_dry;           /* only say what would be done */
        int64_t deliveries_ms; /* how far back deliveries are read; 0: as far as they fail */

        /* Opened by sweep_run(). */
        struct aws *aws;
        const struct config *config;
        struct stores stores;

        /* What was found and done. */
        unsigned machines;    /* that live */
        unsigned parameters;  /* hand-overs */
        unsigned deliveries;  /* read */
        unsigned ended;       /* machines */
        unsigned marked;      /* machines that hang: they end with a later sweep */
        unsigned abandoned;   /* hand-overs whose machine is gone */
        unsigned redelivered; /* webhooks */
        unsigned left;        /* more of these than fit into this sweep */
        unsigned failed;      /* what could not be done: see the log */
        unsigned calls;       /* to AWS and GitHub, without those of ended machines */
        cJSON *actions;       /* each thing done: {"action", "subject", "reason"}; owned */
        cJSON *unread;        /* webhooks nobody reads of: {"scope", "reason"}; owned */
        struct err err;       /* the first failure */
        int result;           /* its code; 0: none */

        struct store_list handovers; /* read before the machines are: see abandoned.c */
};

/* Sweeps. SWEEP->result is negative where something could not be done; the rest was. */
void sweep_run(struct sweep *sweep);
void sweep_release(struct sweep *sweep);

/* The counts, and what was done, as one JSON object; the caller frees. */
cJSON *sweep_print(const struct sweep *sweep);

/* -- for the parts -- */

struct http_call *sweep_call(struct sweep *sweep, struct http_call *call);
void sweep_fail(struct sweep *sweep, int r, const struct err *err);
/* Notes that ACTION is done to SUBJECT. */
void sweep_note(struct sweep *sweep, const char *action, const char *subject, const char *reason);
/* Whether the event's time suffices for more. */
bool sweep_has_time(struct sweep *sweep);

/* How long it is from one sweep to the next: the rule's period is a parameter of the stack. */
int64_t sweep_period_ms(void);

/* Where to begin among N things of which MAX fit into a sweep: elsewhere each time, and so that
 * each has its turn, lest those that fail or last long in every sweep keep others out. What does
 * not fit is counted. */
size_t sweep_first(struct sweep *sweep, size_t n, size_t max);

/* The hand-over of INSTANCE, or NULL. Borrowed. */
const struct store_listed *sweep_handover(const struct sweep *sweep, const char *instance);

struct ec2_instances;

int sweep_read_handovers(struct sweep *sweep, struct err *err);
/* MACHINES: all that live, as EC2 said after the hand-overs were read. */
void sweep_abandoned(struct sweep *sweep, const struct ec2_instances *machines);
void sweep_overdue(struct sweep *sweep, const struct ec2_instances *machines);
void sweep_undelivered(struct sweep *sweep);
