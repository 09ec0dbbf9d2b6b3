/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Parking: a job that cannot go on now becomes a new, delayed message in the parked queue, from
 * which `watch` sends it to queued.fifo again. A job may wait as long as GitHub lets it.
 */

#include "base/err.h"
#include "job.h"
#include "launch.h"
#include "scaler.h"
#include "setback.h"

enum park_reason {
        PARK_CAPACITY,  /* no offer has any */
        PARK_QUOTA,     /* the account's limit is reached */
        PARK_REFUSED,   /* EC2 refuses for good: people are told, and nothing is parked */
        PARK_THROTTLED, /* by EC2 */
        PARK_NO_TIME,   /* the event's time is over */
        PARK_UNSURE,    /* EC2 did not answer: what it may have launched shows after a while */
        PARK_GITHUB,    /* GitHub fails, or its limit is reached */
        PARK_AWS,       /* AWS fails or throttles */
        PARK_SETTINGS,  /* the configuration, GitHub's key or that of tickets cannot be read */
        PARK_HELD,      /* GitHub holds it back: for an approval, for its concurrency group */
        PARK_STOPPED,   /* machines of its spec end without having run a job: see breaker.h */
        PARK_MACHINES,  /* a limit of machines is reached: it waits in line (line.h) */
        PARK_PAUSE,     /* its machine ended, and another one is to be launched */
        PARK_NO_SPEC,   /* its spec is not in the configuration, as far as that was read */
        PARK_KEPT,      /* of one that waited in register.fifo, for whatever people were told */
};

struct parking {
        enum park_reason reason;
        int64_t until_ms;  /* wall clock; 0: as the reason says */
        const char *error; /* what EC2, GitHub or AWS said, or NULL */
        size_t n_jobs;     /* that wait with it, for people; 0 = 1 */
        bool quiet;        /* people are told with another job of the same batch */
        bool no_try;       /* EC2 was not asked, so this was no try for capacity */
};

/* Sends JOB to the parked queue: 0 or negative. Logs `waiting`, and tells people once per spec,
 * reason and quarter of an hour. */
int park_job(
        struct scaler *scaler, struct job *job, const struct parking *parking, struct err *err);

/* Sends a job that came back too early to the parked queue again, as it is: 0 or negative. */
int park_again(struct scaler *scaler, const struct job *job, struct err *err);

/* Tells people that JOB goes on, if they were told that it waits: once per spec, reason and quarter
 * of an hour. */
void tell_job_goes_on(struct scaler *scaler, struct job *job);

/* Why SETBACK, which passes, parks a job. */
struct parking parking_for(const struct setback *setback);

/* Tells people that JOB waits, as park_job() does. */
void tell_job_waits(struct scaler *scaler, const struct job *job, const struct parking *parking);

/* Logs and emits that JOB waits for SECONDS where it is, and tells people, as park_job() does. */
void tell_job_is_kept(struct scaler *scaler, const struct job *job, const struct parking *parking,
        int64_t seconds);
