/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Floods of notices: of one group, people see one in a quarter of an hour, and how many more there
 * were. The first is shown at once. Each group is a message group of notify.fifo, so one message
 * that is hidden keeps those behind it: of each batch the last is kept so until the quarter is
 * over, and the others are counted. Then the line is counted to its end, and the one that is alone
 * in its batch is shown with the number.
 *
 * A process that does not know a group shows what it gets. Where the process that counted has
 * ended, the number is lost; the log has each notice.
 */

#include <stdbool.h>
#include <stdint.h>

#include "scaler.h"

enum flood_step {
        FLOOD_SHOW,
        FLOOD_COUNT, /* it is one of those that the number tells of */
        FLOOD_KEEP,  /* it comes again after so many seconds */
};

/* What becomes of a notice of GROUP. IS_LAST: no other one of GROUP follows in its batch, and
 * IS_ALONE: none is before it either. */
enum flood_step flood_take(struct scaler *scaler, const char *group, bool is_last, bool is_alone,
        int64_t *ret_seconds);
/* How many were counted since one of GROUP was shown. */
int64_t flood_counted(const struct scaler *scaler, const char *group);
/* One of GROUP has been shown. */
void flood_note_shown(struct scaler *scaler, const char *group);
