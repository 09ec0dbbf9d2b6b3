/* SPDX-License-Identifier: MIT */

/*
 * Limits: token buckets, as GitHub and AWS publish them.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static bool take(struct world *world, struct bucket *bucket, double n)
{
        double added =
                (double)(world->now_ms - bucket->level_ms) / (double)SECOND * bucket->per_second;

        if (bucket->holds <= 0)
                return true;
        if (bucket->level_ms == 0)
                bucket->level = bucket->holds;
        else
                bucket->level += added;
        if (bucket->level > bucket->holds)
                bucket->level = bucket->holds;
        bucket->level_ms = world->now_ms > 0 ? world->now_ms : 1;
        if (bucket->level < n)
                return false;
        bucket->level -= n;
        return true;
}

/* -- GitHub -- */

/* The first that is in the path. */
static const struct {
        const char *part;
        const char *name;
} kinds[GITHUB_KINDS] = {
        {"/generate-jitconfig", "jit"},
        {"/runs/", "run"},
        {"/actions/jobs/", "job"},
        {"/runners?", "find"},
        {"/runners/", "runner"},
        {"/access_tokens", "token"},
        {"/", "other"},
};

const char *limits_kind(size_t kind)
{
        return kinds[kind].name;
}

static void count_call(struct limits *limits, const char *path)
{
        size_t kind = 0;

        while (kind < GITHUB_KINDS - 1 && !strstr(path, kinds[kind].part))
                kind++;
        limits->kinds[kind]++;
        limits->github++;
}

static void too_fast(struct world *world, struct answer *answer)
{
        world->limits.refused++;
        answer_text(answer, 403, "{\"message\":\"You have exceeded a secondary rate limit\"}");
        buf_add_string(&answer->headers, "Retry-After: 60\r\n");
}

/* As many in each hour as the bucket holds. */
static bool take_of_hour(struct world *world, struct bucket *hour)
{
        int64_t number = world->now_ms / HOUR + 1;

        if (hour->holds <= 0)
                return true;
        if (hour->level_ms != number)
                hour->level = hour->holds;
        hour->level_ms = number;
        if (hour->level < 1)
                return false;
        hour->level--;
        return true;
}

/* Each answer tells what is left of the hour. */
static bool is_used_up(struct world *world, struct answer *answer)
{
        const struct bucket *hour = &world->limits.hour;

        if (hour->holds <= 0)
                return false;
        if (!take_of_hour(world, &world->limits.hour)) {
                world->limits.refused++;
                answer_text(answer, 403, "{\"message\":\"API rate limit exceeded\"}");
        }
        buf_add_format(&answer->headers,
                "x-ratelimit-limit: %.0f\r\nx-ratelimit-remaining: %.0f\r\n"
                "x-ratelimit-reset: %lld\r\n",
                hour->holds, hour->level,
                (long long)((world_wall_ms(world) + HOUR - world->now_ms % HOUR) / SECOND + 1));
        return answer->status != 0;
}

bool limits_github(struct world *world, const char *method, const char *path, struct answer *answer)
{
        struct limits *limits = &world->limits;
        bool is_jitconfig = strstr(path, "generate-jitconfig") != NULL;

        count_call(limits, path);
        if (strncmp(path, "/app/", 5) == 0)
                return false;
        if (is_used_up(world, answer))
                return true;
        if (take(world, &limits->points, strcmp(method, "GET") == 0 ? 1 : 5) &&
                (!is_jitconfig || (take(world, &limits->jitconfigs, 1) &&
                                          take_of_hour(world, &limits->hourly))))
                return false;
        too_fast(world, answer);
        return true;
}

/* -- AWS -- */

bool limits_ec2(struct world *world, const char *form, struct answer *answer)
{
        const char *count = strstr(form, "MaxCount=");

        if (strncmp(form, "Action=RunInstances&", 20) != 0)
                return false;
        if (take(world, &world->limits.launches, 1) &&
                take(world, &world->limits.machines,
                        count ? (double)strtol(count + 9, NULL, 10) : 1))
                return false;
        answer_ec2_error(answer, 503, "RequestLimitExceeded");
        return true;
}

bool limits_ssm(struct world *world, const char *action, struct answer *answer)
{
        if (strcmp(action, "PutParameter") != 0 || take(world, &world->limits.stores, 1))
                return false;
        answer_aws_error(answer, 400, "ThrottlingException");
        return true;
}
