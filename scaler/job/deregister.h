/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Deregistering: the runners of machines that have ended, or that idle, are removed from GitHub.
 * What is removed comes from the machine's hand-over parameter and its tags, never from a report.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/aws.h"
#include "aws/ec2.h"
#include "base/err.h"
#include "exchange/handover.h"
#include "github/github.h"
#include "machine/stores.h"
#include "scaler.h"
#include "token_requests.h"

/* A machine whose event is handled. */
struct runner_machine {
        const struct ec2_instance *instance; /* set by the caller; borrowed */
        bool is_in_s3; /* its hand-over, where the instance has no tags any more */

        int result; /* 0, or negative with the reason in ERR: its event must come again */
        struct err err;
};

struct deregistration {
        struct runner_machine *machine;
        struct deregistrations *all;
        struct handover handover;  /* runner_id 0: none, or one that cannot be read */
        bool has_parameter;        /* there is a hand-over */
        const struct store *store; /* where it is */
        struct http_call *read;    /* private to deregister.c */
        bool is_done;              /* GitHub has no such runner, now or before */
        bool is_busy;              /* GitHub refused, since it thinks that the runner works */
        int64_t installation;
        char scope[GITHUB_SCOPE_SIZE];
};

struct deregistrations {
        struct scaler *scaler;
        struct aws *aws;
        const struct config *config;
        struct stores stores;
        struct token_requests tokens;
        struct deregistration *items; /* one for each machine */
        size_t n_items;
};

/* Opens what is needed, and reads the hand-overs: those in SSM with one call for ten machines. A
 * failure makes the machines that it concerns fail. */
void deregistrations_init(struct deregistrations *all, struct scaler *scaler, struct aws *aws,
        struct runner_machine *machines, size_t n_machines);
void deregistrations_release(struct deregistrations *all);

/* Asks GitHub to remove the machine's runner: by the id in its hand-over, or else by its name. The
 * answer comes with http_finish(). */
void deregister(struct deregistration *item);

/* Deletes the hand-overs of those ITEMS that have one, have not failed, and that MAY allows. */
void deregistrations_delete_handovers(
        struct deregistrations *all, bool (*may)(const struct deregistration *item));

/* The first failure counts. */
void deregistration_fail(struct deregistration *item, int r, const struct err *err);
