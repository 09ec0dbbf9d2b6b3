/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Recalling: a message that is not fresh may have been handled before, by a process that died, by
 * another message, or by ourselves before the job was parked; and its job may be gone. GitHub is
 * asked for the job, and EC2 for what was launched under its name.
 */

#include <stdbool.h>

#include "ask.h"
#include "aws/ec2.h"
#include "exchange/store.h"
#include "job.h"
#include "scaler.h"
#include "token_requests.h"

/* A webhook may be minutes late, and is sent again, unmarked, when a person redelivers it. */
#define JOB_FRESH_MS (5 * 60 * MSEC_PER_SEC)

/* Whether JOB, received for the RECEIVES-th time, can be launched without asking: this is the first
 * launch for it, it was queued within the last five minutes, and was never parked except to keep
 * the pace. */
bool job_is_fresh(const struct scaler *scaler, const struct job *job, int64_t receives);

enum recall_verdict {
        RECALL_LAUNCH,   /* it waits, and nothing was launched for it */
        RECALL_ADOPT,    /* it waits, and its machine lives: see instance */
        RECALL_RELAUNCH, /* it waits, and its machine has ended or has worked for another job */
        RECALL_DROP,     /* it runs or has ended */
        RECALL_WAIT,     /* GitHub or EC2 cannot be asked now, or it waits for an approval */
};

struct recall {
        struct job *job; /* set by the caller */

        enum recall_verdict verdict;
        enum job_state state;           /* as GitHub has it */
        struct ec2_instance instance;   /* for ADOPT and RELAUNCH; without its tags */
        char bucket[STORE_BUCKET_SIZE]; /* where it looks for its hand-over; "": in SSM */
        struct setback setback;         /* for WAIT; result 0: it is held */
};

/* Recalls all, and waits for the answers. */
void recall_jobs(struct scaler *scaler, const struct config *config, struct aws *aws,
        struct token_requests *tokens, struct recall *recalls, size_t n_recalls);

/* Looks for machines only, and does not ask GitHub: a launched machine is of use whatever became of
 * its job, since it may serve another one. The verdict is LAUNCH (EC2 does not show the machine),
 * ADOPT, RELAUNCH, or WAIT. */
void recall_machines(struct scaler *scaler, const struct config *config, struct aws *aws,
        struct recall *recalls, size_t n_recalls);
