/* SPDX-License-Identifier: MIT */

/*
 * Compares the clock with the metadata service's, and sets it.
 */

#include "set_clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent.h"

/* AWS accepts signatures that are up to five minutes old. */
#define LIMIT_MS (60 * MSEC_PER_SEC)

/* A Date has whole seconds: on average, half a second has passed since. */
#define DATE_MIDDLE_MS (MSEC_PER_SEC / 2)

int set_clock_parse(const char *date, int64_t *ret_wall_ms)
{
        struct tm tm = {0};
        const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm);

        if (!end || *end != '\0' || tm.tm_year < 70 || tm.tm_year > 8000)
                return -EINVAL;
        *ret_wall_ms = (int64_t)timegm(&tm) * MSEC_PER_SEC;
        return 0;
}

static void correct_times(struct agent *agent, int64_t difference_ms)
{
        for (size_t i = 0; i < REPORT_TIMES; i++)
                if (agent->times[i] != 0)
                        agent->times[i] += difference_ms;
}

static void set_to(struct agent *agent, int64_t now_ms, int64_t right_ms)
{
        char now[CLOCK_TEXT_SIZE];
        char right[CLOCK_TEXT_SIZE];
        int r = agent->shuts_down ? agent->set_clock(right_ms) : -ECANCELED;

        clock_format(now_ms, now);
        clock_format(right_ms, right);
        if (r == 0) {
                correct_times(agent, right_ms - now_ms);
                log_warning(agent_log(agent), "the clock was wrong, and is set",
                        LOG_TEXT("before", now), LOG_TEXT("now", right));
                return;
        }
        err_set(&agent->clock_err, r, "the clock is wrong (it says %s, and is %s) and not set: %s",
                now, right, agent->shuts_down ? strerror(-r) : "--no-shutdown leaves that to you");
        log_warning(agent_log(agent), agent->clock_err.text);
}

void set_clock(struct agent *agent, const struct http_call *call)
{
        char date[64];
        int64_t now_ms = clock_wall_ms(agent->clock);
        int64_t right_ms;

        if (!http_call_answer_header(call, "Date", date, sizeof(date)) ||
                set_clock_parse(date, &right_ms) < 0) {
                log_debug(agent_log(agent), "the metadata service sent no usable Date");
                return;
        }
        right_ms += DATE_MIDDLE_MS;
        if (right_ms - now_ms > LIMIT_MS || now_ms - right_ms > LIMIT_MS)
                set_to(agent, now_ms, right_ms);
}
