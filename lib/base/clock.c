/* SPDX-License-Identifier: MIT */

/*
 * The machine's clock, and writing and reading times as text.
 */

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t now_ms(clockid_t id)
{
        struct timespec now;

        clock_gettime(id, &now);
        return (int64_t)now.tv_sec * MSEC_PER_SEC + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(const struct clock *clock)
{
        (void)clock;
        return now_ms(CLOCK_REALTIME);
}

static int64_t system_monotonic_ms(const struct clock *clock)
{
        (void)clock;
        return now_ms(CLOCK_BOOTTIME);
}

const struct clock clock_system = {
        .wall_ms = system_wall_ms,
        .monotonic_ms = system_monotonic_ms,
};

int64_t clock_wall_ms(const struct clock *clock)
{
        return clock->wall_ms(clock);
}

int64_t clock_monotonic_ms(const struct clock *clock)
{
        return clock->monotonic_ms(clock);
}

const char *clock_format(int64_t wall_ms, char text[static CLOCK_TEXT_SIZE])
{
        time_t seconds = (time_t)(wall_ms / MSEC_PER_SEC);
        char date[CLOCK_TEXT_SIZE - 6];
        struct tm tm;

        if (wall_ms < 0 || !gmtime_r(&seconds, &tm) ||
                strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
                date[0] = '\0';
        snprintf(text, CLOCK_TEXT_SIZE, "%s.%03dZ", date, (int)(wall_ms % MSEC_PER_SEC));
        return text;
}

/* Reads the milliseconds of ".5", ".123456"; leaves *TEXT behind them. */
static int64_t parse_fraction(const char **text)
{
        int64_t ms = 0;
        int64_t weight = 100;

        if (**text != '.')
                return 0;
        for ((*text)++; **text >= '0' && **text <= '9'; (*text)++) {
                ms += (**text - '0') * weight;
                weight /= 10;
        }
        return ms;
}

/* Reads "Z", "+01:00" or "-0800" to the end of the text, as milliseconds east of UTC. */
static int parse_offset(const char *text, int64_t *ret_ms)
{
        int hours = 0;
        int minutes = 0;
        int end = 0;

        if (strcmp(text, "Z") == 0) {
                *ret_ms = 0;
                return 0;
        }
        if (*text != '+' && *text != '-')
                return -EINVAL;
        if (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 &&
                sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &end) != 2)
                return -EINVAL;
        if (text[1 + end] != '\0' || hours < 0 || hours > 14 || minutes < 0 || minutes > 59)
                return -EINVAL;
        *ret_ms = (*text == '-' ? -1 : 1) * (int64_t)(hours * 60 + minutes) * 60 * MSEC_PER_SEC;
        return 0;
}

int clock_parse(const char *text, int64_t *ret_wall_ms)
{
        struct tm tm = {0};
        const char *rest;
        int64_t fraction;
        int64_t offset;
        time_t seconds;

        if (!text)
                return -EINVAL;
        rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        if (!rest || tm.tm_year < 70 || tm.tm_year > 8000)
                return -EINVAL;
        fraction = parse_fraction(&rest);
        if (parse_offset(rest, &offset) < 0)
                return -EINVAL;
        seconds = timegm(&tm);
        *ret_wall_ms = (int64_t)seconds * MSEC_PER_SEC + fraction - offset;
        return 0;
}
