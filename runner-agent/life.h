/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The life of this machine: owns the stages and puts them in order. Identify, receive, run; then,
 * whatever happened before, report, clean up and power off. The one exception: a machine that was
 * never identified as an EC2 instance is not powered off, since it may be somebody's own.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "agent.h"
#include "alarm.h"
#include "clean_up.h"
#include "identify.h"
#include "idle.h"
#include "power_off.h"
#include "receive.h"
#include "reporter.h"
#include "run.h"

enum life_stage {
        LIFE_IDENTIFY,
        LIFE_RECEIVE,
        LIFE_RUN,
        LIFE_END,
};

struct life {
        struct agent *agent;
        struct identify identify;
        struct receive receive;
        struct run run;
        struct alarm alarm;
        struct idle idle;
        struct reporter reporter;
        struct clean_up clean_up;
        struct power_off power_off;

        enum life_stage stage;
        bool is_ready; /* systemd was told READY=1 */
        sd_event_source *ready_timer;
        bool has_listened; /* the runner, at its first or a later start */
        bool was_stopped;  /* an alarm or a signal ends the runner: see `outcome` and `reason` */
        enum report_stage outcome;
        char *reason;
        bool was_reported; /* the outcome was */
        unsigned n_ending; /* stages that have not finished yet */
        int exit_code;
};

/* The program's exit codes. 1 and 2 fail the unit, upon which systemd powers the machine off. */
enum life_exit {
        LIFE_EXIT_DONE = 0,   /* a job ran, or EC2 or a person ended the machine */
        LIFE_EXIT_FAILED = 1, /* no job ran, or a stage or the shutdown failed */
        LIFE_EXIT_NO_EC2 = 2, /* also for wrong arguments and settings */
};

/* AGENT must outlive it. */
void life_init(struct life *life, struct agent *agent);

/* Begins; the rest happens in the event loop, which ends with the exit code. */
void life_start(struct life *life);

/* SIGTERM or SIGINT came: from systemd when the machine goes down, or from a person. */
void life_signal(struct life *life, int number);

/* Stops the runner, which leads to the end with OUTCOME for REASON; the first reason counts. REASON
 * is NULL when the job is done and only the runner does not end. USERDATA is the life. */
void life_stop(void *userdata, enum report_stage outcome, const char *reason, int64_t grace_ms);

/* No job came within the idle limit; the answer whether a worker lives; and the runner went on: see
 * life_idle.c. USERDATA is the life. */
void life_idle(void *userdata);
void life_worker(void *userdata, bool lives);
void life_no_longer_idle(struct life *life);
/* Puts that no job came in front of why the runner ended. */
void life_explain_idle(const struct life *life, struct err *why);

/* Ends the life with OUTCOME, for REASON (may be NULL): see life_end.c. Does nothing when it ends
 * already. */
void life_end(struct life *life, enum report_stage outcome, const char *reason);

/* Cancels what is under way. */
void life_release(struct life *life);
