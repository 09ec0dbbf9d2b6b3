/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Time comes from a clock that is passed in, so that tests can bring their own.
 */

#include <stddef.h>
#include <stdint.h>

#define MSEC_PER_SEC INT64_C(1000)

/* "2026-11-23T18:00:00.000Z" and its NUL */
#define CLOCK_TEXT_SIZE 32

struct clock {
        /* milliseconds since 1970-01-01 UTC */
        int64_t (*wall_ms)(const struct clock *clock);
        /* milliseconds since some moment; never goes back, and counts while the machine sleeps */
        int64_t (*monotonic_ms)(const struct clock *clock);
};

/* The machine's clock. */
extern const struct clock clock_system;

int64_t clock_wall_ms(const struct clock *clock);
int64_t clock_monotonic_ms(const struct clock *clock);

/* Writes WALL_MS as ISO 8601 in UTC with milliseconds, and returns TEXT. */
const char *clock_format(int64_t wall_ms, char text[static CLOCK_TEXT_SIZE]);

/*
 * Reads ISO 8601 as GitHub, AWS and SigV4 write it: "2026-11-23T18:00:00Z", with a fraction, or
 * with an offset such as "+01:00". Returns 0, or -EINVAL.
 */
int clock_parse(const char *text, int64_t *ret_wall_ms);
