/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The parts of `queued`: queued.c finds out what is to be launched, queued_launch.c launches it,
 * and queued_settle.c decides what becomes of each message once all of that has ended.
 */

#include <stdbool.h>
#include <stddef.h>

#include "handler.h"
#include "job/fork.h"
#include "job/job.h"
#include "job/launch.h"
#include "job/limits.h"
#include "job/recall.h"
#include "job/token_requests.h"

/* One message, and how far its job has come. */
struct queued_job {
        struct record *record;
        struct job job;
        bool paced;   /* it goes to the end of the line, since enough is launched for now */
        bool ignored; /* it cannot be read, or is settled, or another message of the batch has it */
        bool recalled;
        struct recall recall;
        bool checked;
        struct fork_check fork;
        struct launch *launch;
        bool launched;    /* or adopted */
        bool granted;     /* a limit has room for its machine */
        bool uncounted;   /* it waits since machines could not be counted */
        enum limit limit; /* at which it waits */
        char limit_text[LIMIT_TEXT_SIZE];
};

/* A batch. */
struct queued {
        struct scaler *scaler;
        const struct config *config;
        struct aws *aws;
        struct token_requests token_requests;
        struct queued_job *items;
        size_t n_items;
        struct launch *launches;
        size_t n_launches;
        bool machines_counted;
        struct setback count_setback; /* why they could not be */
        bool line_counted;
        bool line_has_jobs;
        bool room_counted;
        int64_t room; /* for so many more launches, where that was counted */
};

/* Marks the message of ITEM as failed, with its job in front of the text. */
void queued_job_fail(
        struct queued *queued, struct queued_job *item, int result, const struct err *err);

/* The item that holds the job. */
struct queued_job *queued_item_of(const struct job *job);

/* Without a spec, the message of ITEM fails. */
const struct config_spec *queued_spec_of(struct queued *queued, struct queued_job *item);

/* Puts ITEM into the launch of those that want the same, if there is room for its machine; and
 * starts the launches that are not yet under way: queued_launch.c. */
void queued_group(struct queued *queued, struct queued_job *item);
void queued_start_launches(struct queued *queued);

/* Why GitHub would not register the runners of LAUNCH, by what it said of the token; NULL: it
 * would.
 */
const struct setback *launch_setback(const struct queued *queued, const struct launch *launch);

/* Marks those of the batch that are not to be launched now, since their registration would come too
 * late: queued_pace.c. */
void keep_pace(struct queued *queued);
/* The same of those that were recalled and have no machine. */
void keep_pace_of_recalled(struct queued *queued);

/* Whether the limits of machines have room for ITEM; if not, it says why. And for those that got
 * room and no machine: queued_limits.c. */
bool keep_limits(struct queued *queued, struct queued_job *item, const struct config_spec *spec);
void settle_grants(struct queued *queued);

void settle_jobs(struct queued *queued);
