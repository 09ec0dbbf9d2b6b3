/* SPDX-License-Identifier: MIT */

/*
 * Judges what keeps a job from going on.
 */

#include "setback.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/answer.h"
#include "github/github.h"

/* After a failure for which GitHub names no end, one batch a minute tries it. */
#define PAUSE_MS (60 * MSEC_PER_SEC)

static const char *pause_key(int64_t installation, char key[static 24])
{
        snprintf(key, 24, "%lld", (long long)installation);
        return key;
}

static const char *limit_key(int64_t installation, char key[static 32])
{
        snprintf(key, 32, "limit of %lld", (long long)installation);
        return key;
}

/* -- what fails -- */

static const char *failing_key(int64_t installation, char key[static 40])
{
        snprintf(key, 40, "failing for %lld", (long long)installation);
        return key;
}

/* Whether CALL is about one job or run, and no other has failed since GitHub last answered: it may
 * be GitHub's fault with this one, for which no other need wait. */
static bool fails_alone(struct scaler *scaler, int64_t installation, const struct http_call *call)
{
        struct recent *pauses = &scaler->github_pauses;
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        const char *url = buf_string(&call->url);
        char key[40];
        bool is_first;
        bool is_again;

        if (!strstr(url, "/actions/jobs/") && !strstr(url, "/actions/runs/"))
                return false;
        if (setback_pause_until(scaler, installation) > 0)
                return false; /* an outage: its failures are not to push out what is remembered */
        is_first = !recent_has(pauses, failing_key(installation, key), now_ms);
        is_again = recent_has(pauses, url, now_ms);
        recent_note(pauses, key, now_ms + PAUSE_MS);
        recent_note(pauses, url, now_ms + PAUSE_MS);
        return is_first || is_again;
}

void setback_note_answer(struct scaler *scaler, int64_t installation)
{
        char key[40];

        recent_forget(&scaler->github_pauses, failing_key(installation, key));
        if (!recent_has(&scaler->github_pauses, limit_key(installation, key),
                    clock_monotonic_ms(scaler->clock)))
                recent_forget(&scaler->github_pauses, pause_key(installation, key));
}

/* -- pauses -- */

static void pause_launches(
        struct scaler *scaler, int64_t installation, const struct setback *setback)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        int64_t pause =
                setback->until_ms > 0 ? setback->until_ms - clock_wall_ms(scaler->clock) : PAUSE_MS;
        char key[32];

        if (pause > SETBACK_MAX_MS)
                pause = SETBACK_MAX_MS;
        if (pause <= 0)
                return;
        recent_note(&scaler->github_pauses, pause_key(installation, key), now_ms + pause);
        if (setback->is_limit)
                recent_note(&scaler->github_pauses, limit_key(installation, key), now_ms + pause);
}

int64_t setback_pause_until(const struct scaler *scaler, int64_t installation)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        char key[24];
        int64_t until_ms =
                recent_until(&scaler->github_pauses, pause_key(installation, key), now_ms);

        return until_ms > 0 ? clock_wall_ms(scaler->clock) + until_ms - now_ms : 0;
}

bool setback_pauses_launches(
        const struct scaler *scaler, int64_t installation, const struct setback *setback)
{
        bool others_go_on = scaler->config && scaler->config->n_additional_apps > 0;
        char key[32];

        if (setback)
                return !setback->of_caller || !others_go_on;
        if (setback_pause_until(scaler, installation) == 0)
                return false;
        return !others_go_on || !recent_has(&scaler->github_pauses, limit_key(installation, key),
                                        clock_monotonic_ms(scaler->clock));
}

/* A limit that is met again as soon as it has ended ends in a minute at the earliest: GitHub may
 * say "in a second" each time, and whoever goes on like that is barred for longer.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api */
static void note_limit(struct scaler *scaler, int64_t installation, struct setback *setback)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        int64_t wall_ms = clock_wall_ms(scaler->clock);
        char key[24];
        int64_t last_ms =
                recent_until(&scaler->github_limits, pause_key(installation, key), now_ms);
        bool is_again = last_ms > 0 && last_ms - PAUSE_MS <= now_ms;

        if (is_again && setback->until_ms < wall_ms + PAUSE_MS)
                setback->until_ms = wall_ms + PAUSE_MS;
        if (setback->until_ms > wall_ms)
                recent_note(&scaler->github_limits, key,
                        now_ms + setback->until_ms - wall_ms + PAUSE_MS);
}

struct setback setback_by_github(struct scaler *scaler, int64_t installation,
        const struct http_call *call, int r, const struct err *err)
{
        struct setback setback = {.result = r, .by_github = true, .err = *err};

        setback.passing =
                github_call_is_passing(call, clock_wall_ms(scaler->clock), &setback.until_ms);
        setback.is_limit = setback.passing && (setback.until_ms > 0 || r == -EAGAIN);
        setback.of_caller = setback.is_limit || !setback.passing || r == -EKEYREJECTED;
        if (setback.is_limit)
                note_limit(scaler, installation, &setback);
        if (setback.passing && (setback.is_limit || !fails_alone(scaler, installation, call)))
                pause_launches(scaler, installation, &setback);
        return setback;
}

struct setback setback_by_aws(const struct http_call *call, int r, const struct err *err)
{
        return (struct setback){
                .result = r,
                .passing = aws_call_is_passing(call),
                .is_limit = aws_call_is_throttled(call),
                .err = *err,
        };
}

struct setback setback_final(int r, const struct err *err)
{
        return (struct setback){.result = r, .err = *err};
}

int64_t setback_ends(const struct scaler *scaler, const struct setback *setback)
{
        int64_t now_ms = clock_wall_ms(scaler->clock);

        /* A limit that is over by our clock, and yet not by GitHub's, is as one without an end. */
        if (setback->until_ms <= now_ms)
                return now_ms + PAUSE_MS;
        return setback->until_ms < now_ms + SETBACK_MAX_MS ? setback->until_ms
                                                           : now_ms + SETBACK_MAX_MS;
}
