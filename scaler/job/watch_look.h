/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What EC2 and GitHub show of watched jobs and their machines.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ask.h"
#include "aws/ec2.h"
#include "config/config.h"
#include "job.h"
#include "takers.h"
#include "token_requests.h"

struct watched {
        struct job job; /* set by the caller, with its instance */

        int result; /* 0, or negative with the reason in ERR: the watch must come again */
        struct err err;
};

/* What a job waits for, so that GitHub is not asked about it now. */
enum look_wait {
        WAITS_NOT,     /* for nothing: GitHub is asked about it, or it runs */
        WAITS_MACHINE, /* for another job's machine, which is free */
        WAITS_BURST,   /* for the burst's end: then one answer serves all jobs of its run */
        WAITS_IN_LINE, /* for a machine of its own, at the end of the line */
        WAITS_N
};

struct look {
        struct watched *watched;
        struct question question;
        bool runs_elsewhere;                /* so GitHub is not asked */
        const struct ec2_instance *machine; /* as EC2 describes it; NULL: gone */
        char scope[GITHUB_SCOPE_SIZE];      /* of the runner, where GitHub is asked about it */
        enum takers_end takers;             /* where another job took its machine */
        enum look_wait wait;
        bool has_no_runner;   /* that could take the job */
        bool is_deregistered; /* GitHub knows no runner of its name */
};

struct looks {
        struct scaler *scaler;
        const struct config *config;
        struct aws *aws;
        struct token_requests tokens;
        struct look *items;
        size_t n_items;
        struct ec2_instances machines;
        bool are_many;         /* as in a burst */
        int64_t n_registering; /* jobs that wait to be registered, as far as was asked */
        int64_t n_in_line;     /* jobs that wait in line, where there are many */
};

void looks_release(struct looks *looks);

/* Looks at ITEMS, and keeps a look of each that does not run on its own machine. LOOKS has only its
 * scaler set. 0, or negative: nothing is known. */
int looks_take(struct looks *looks, struct watched *items, size_t n_items, struct err *err);

/* Whether the machine of LOOK has shut itself down, as after a job. */
bool look_ended_itself(const struct look *look);
/* Whether it has run a job, as far as EC2 can tell, or an earlier watch has seen that. If that was
 * another job, one of the machines that a burst still brings is for this one. */
bool look_has_worked(const struct look *look);
/* Whether N watches at once are many, as in a burst, or one was seen a moment ago. */
bool looks_are_many(const struct scaler *scaler, size_t n);
/* Decides for each look what it waits for, and marks those that wait as held. */
void looks_put_off(struct looks *looks);
/* Whether a burst lasts: jobs wait to be registered, or, where there are many, in line. */
bool looks_burst_lasts(struct looks *looks);
/* Whether a burst may still put off the job of LOOK. It is put off for as long as those take that
 * waited at its first look, and not for who came later: where there is always work, others always
 * come. */
bool look_may_be_put_off(const struct looks *looks, const struct look *look);
/* To be called when a burst puts JOB off. */
void looks_note_put_off(const struct looks *looks, struct job *job);
/* Whether the machine of LOOK was launched a moment ago: it may boot, and EC2, which shows for an
 * hour what has ended, may not show it yet. */
bool look_is_young(const struct looks *looks, const struct look *look);
/* Whether the machine of LOOK lives and has no job yet. */
bool look_is_idle(const struct look *look);

/* Whether GitHub refuses to tell of the job of LOOK for longer than it lets one wait. */
bool look_is_over_unheard(const struct looks *looks, const struct look *look);
/* Tells people once that GitHub refuses to tell of it, where that lasts. To be called when its next
 * watch was sent. */
void look_tell_refused(const struct looks *looks, const struct look *look);

/* A machine of SPEC (may be NULL), launched at LAUNCHED_MS, has worked: its breaker learns it. */
void looks_note_spec(const struct looks *looks, const char *spec, int64_t launched_ms);
