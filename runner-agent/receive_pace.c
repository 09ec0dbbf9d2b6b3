/* SPDX-License-Identifier: MIT */

/*
 * See receive_pace.h.
 */

#include "receive_pace.h"

#define FIRST_MS 100
#define SOON_MS 500
#define LATE_MS 30000

#define PART_OF_WAIT_SSM 12
#define PART_OF_WAIT_S3 100

/* A refusal adds DOUBLING, and any other answer takes one away: while too many machines ask, the
 * pace settles where one question in five is refused. */
#define DOUBLING 4
#define DOUBLINGS_MOST 3

void receive_pace_note(struct receive_pace *pace, bool throttled)
{
        pace->failures++;
        if (throttled)
                pace->slower += DOUBLING;
        else if (pace->slower > 0)
                pace->slower--;
        if (pace->slower > DOUBLING * DOUBLINGS_MOST)
                pace->slower = DOUBLING * DOUBLINGS_MOST;
}

int64_t receive_pace_ms(const struct receive_pace *pace, int64_t waited_ms)
{
        int64_t soon = pace->failures < 4 ? FIRST_MS << pace->failures >> 1 : SOON_MS;
        int64_t late = waited_ms / (pace->is_s3 ? PART_OF_WAIT_S3 : PART_OF_WAIT_SSM);
        int64_t pause = (late > soon ? late : soon) << pace->slower / DOUBLING;

        pause += pause * (pace->slower % DOUBLING) / DOUBLING;

        return pause < LATE_MS ? pause : LATE_MS;
}
