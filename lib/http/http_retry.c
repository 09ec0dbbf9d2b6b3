/* SPDX-License-Identifier: MIT */

/*
 * Judges the end of a try: its error or status, and what the server says about another.
 */

#include "http_retry.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define BACKOFF_BASE_MS 100U
#define BACKOFF_MAX_MS 5000U
#define DOUBLINGS_MAX 6U
/* The longest wait that a server may ask for: more than any deadline, so that all beyond are
 * alike. */
#define WAIT_MAX_SECONDS 86400

bool http_is_worth_another(const struct http_call *call)
{
        if (call->result < 0)
                return call->result == -ECONNRESET || call->result == -ECONNREFUSED ||
                       call->result == -EHOSTUNREACH || call->result == -ETIMEDOUT;
        if (call->judge)
                return call->judge(call) == HTTP_AGAIN;
        return call->status == 429 || (call->status >= 502 && call->status <= 504);
}

int64_t http_retry_after_ms(const struct http_call *call, int64_t now_ms)
{
        char value[64];
        struct tm tm = {0};
        int64_t wait;
        char *end;
        long seconds;

        if (call->result < 0 || !http_call_answer_header(call, "Retry-After", value, sizeof(value)))
                return -1;
        seconds = strtol(value, &end, 10);
        if (end != value && *end == '\0' && seconds >= 0)
                return (seconds < WAIT_MAX_SECONDS ? seconds : WAIT_MAX_SECONDS) * MSEC_PER_SEC;
        if (!strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm))
                return -1;
        wait = (int64_t)timegm(&tm) * MSEC_PER_SEC - now_ms;
        return wait > 0 ? wait : 0;
}

uint32_t http_backoff_ms(const struct http_call *call)
{
        unsigned doublings = call->tries < DOUBLINGS_MAX ? call->tries : DOUBLINGS_MAX;
        uint32_t most = BACKOFF_BASE_MS << doublings;

        return most < BACKOFF_MAX_MS ? most : BACKOFF_MAX_MS;
}
