/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How often a machine asks for its hand-over. It is not told when that is there, nor how many
 * others wait, and all of an account share SSM's 40 answers a second. What it knows is how long it
 * has waited, and whether SSM throttles:
 *
 * - At first it asks every half a second at most: a hand-over that is late is late by little.
 * - In SSM, the pause grows to a twelfth of the wait so far, so that of 100 machines that have
 * waited for half a minute none is refused. S3 answers thousands a second, and is asked on.
 * - Each refusal doubles the pause, and four other answers undo that.
 *
 * Simulated (tests/unit/test_receive_pace.c): a few machines see a late hand-over after 0.3 s on
 * average, and 100 do in S3. When 100 wait for SSM to store three a second, they ask 48 times a
 * second and see it after 2 s. 40 a second cannot give less than 0.6 s, since none knows whose turn
 * it is; and the launch cannot tell them in a tag, since EC2 wants a repeated launch to be the
 * same.
 */

#include <stdbool.h>
#include <stdint.h>

struct receive_pace {
        bool is_s3;
        unsigned failures;
        unsigned slower; /* quarters of a doubling */
};

/* Notes a question that brought no hand-over: it was not there yet or, if THROTTLED, SSM refused to
 * say. */
void receive_pace_note(struct receive_pace *pace, bool throttled);

/* The longest pause before the next question, WAITED_MS after the first one. The pause is to be
 * between half of it and all of it, so that machines that boot together do not ask together. */
int64_t receive_pace_ms(const struct receive_pace *pace, int64_t waited_ms);
