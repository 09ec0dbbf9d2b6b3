/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The life of this machine: identify, receive, run, then report, clean up, and shut down, whatever
 * happened before. The only exception: a machine that never was identified as an EC2 instance is
 * not shut down, since it may be somebody's own.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "exchange/report.h"

struct agent;

enum life_stage {
        LIFE_IDENTIFY,
        LIFE_RECEIVE,
        LIFE_RUN,
        LIFE_END, /* report and clean up */
        LIFE_POWER_OFF,
};

struct life {
        enum life_stage stage;
        bool is_ready; /* systemd was told READY=1 */
        sd_event_source *ready_timer;
        bool was_stopped; /* an alarm or a signal ends the runner: `outcome` and `reason` say why */
        bool was_reported; /* the outcome */
        enum report_stage outcome;
        char *reason;
        unsigned waiting; /* for so many things at the end */
        int exit_code;
};

/* What the program ends with. 1 and 2 make the unit fail, and systemd power the machine off. */
enum life_exit {
        LIFE_EXIT_DONE = 0,   /* a job ran, or EC2 or a person ended the machine */
        LIFE_EXIT_FAILED = 1, /* no job ran, a stage failed, or shutdown did */
        LIFE_EXIT_NO_EC2 = 2, /* also for wrong arguments and settings */
};

void life_start(struct agent *agent);

/* SIGTERM or SIGINT came: from systemd, when the machine goes down, or from a person. */
void life_signal(struct agent *agent, int number);

void life_release(struct agent *agent);
