/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to the handler `instance`: the machines that the events of a batch are about.
 */

#include <stdbool.h>
#include <stddef.h>

#include "aws/ec2.h"
#include "handler.h"

enum event_kind {
        EVENT_UNKNOWN,
        EVENT_REPORT,
        EVENT_IDLE, /* a report, too */
        EVENT_ENDED,
        EVENT_SPOT_WARNING,
};

struct machine {
        struct record *record;
        enum event_kind kind;
        char id[EC2_ID_SIZE];
        const struct ec2_instance *instance; /* as EC2 describes it; NULL: not of this stack, or
                                                forgotten */
        bool is_known;                       /* EC2 describes it, with its tags */
};

/* The machines that the events of one batch are about. */
struct machines {
        struct scaler *scaler;
        const struct config *config;
        struct aws *aws;
        struct machine *items;
        size_t count;
        struct ec2_instances described;
};

/* Reads the event of RECORD, and adds its machine to the struct machines USERDATA if that is to be
 * looked at: 0, or negative. There must be room for one more. */
int instance_read_record(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err);
