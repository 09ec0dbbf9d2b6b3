/* SPDX-License-Identifier: MIT */

/*
 * The services that a handler calls: how long they take, and how they fail and throttle. What they
 * do is in a file for each.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static const struct {
        const char *url;
        const char *name;
        int outage; /* of enum fault; -1: never */
        int64_t least_ms;
        int64_t most_ms;
} services[N_SERVICES] = {
        [SERVICE_SQS] = {"https://sqs.", "SQS", FAULT_SQS, 5, 60},
        [SERVICE_SSM] = {"https://ssm.", "SSM", FAULT_SSM, 10, 80},
        [SERVICE_S3] = {"https://" BUCKET ".s3.", "S3", FAULT_SSM, 10, 80},
        [SERVICE_EC2] = {"https://ec2.", "EC2", FAULT_EC2, 50, 1800},
        [SERVICE_GITHUB] = {API_URL, "GitHub", FAULT_GITHUB, 60, 700},
        [SERVICE_CHANNEL] = {"https://slack.test", "channel", -1, 50, 300},
};

enum service service_of(const struct http_call *call)
{
        const char *url = buf_string(&call->url);

        for (int i = 0; i < N_SERVICES; i++)
                if (strncmp(url, services[i].url, strlen(services[i].url)) == 0)
                        return (enum service)i;
        fprintf(stderr, "sim: a call to an unknown place: %s\n", url);
        abort();
}

int64_t service_latency(struct world *world, enum service service)
{
        return world_between(world, services[service].least_ms, services[service].most_ms);
}

/* In every other outage, GitHub knows none of its jobs. */
static bool is_forgetful(const struct world *world, const struct http_call *call)
{
        return world->outages[FAULT_GITHUB].from_ms % 2 == 1 && strcmp(call->method, "GET") == 0 &&
               strstr(buf_string(&call->url), "/actions/jobs/");
}

/* GitHub says when its limit ends, or not, or by a clock that is behind ours. */
static void answer_limit(struct world *world, struct answer *answer)
{
        int64_t now = world_wall_ms(world) / MSEC_PER_SEC;

        answer_text(answer, world_chance(world, 50) ? 403 : 429,
                "{\"message\":\"You have exceeded a secondary rate limit\"}");
        if (world_chance(world, 70))
                buf_add_format(
                        &answer->headers, "Retry-After: %u\r\n", 1 + world_random(world, 60));
        else if (world_chance(world, 70))
                buf_add_format(&answer->headers,
                        "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: %lld\r\n",
                        (long long)(now - 30 + world_random(world, 120)));
}

/* Whether the call is refused before it has an effect; the answer is then filled. */
static bool is_refused(struct world *world, enum service service, const struct http_call *call,
        struct answer *answer)
{
        int outage = services[service].outage;
        bool down = outage >= 0 && fault_is_down(world, (enum fault)outage);

        if (service == SERVICE_GITHUB && !down && fault_strikes(world, FAULT_THROTTLE, 6)) {
                answer_limit(world, answer);
                return true;
        }
        if (down || fault_strikes(world, FAULT_ERROR, 5)) {
                if (service == SERVICE_EC2)
                        answer_ec2_error(answer, 503, "ServiceUnavailable");
                else if (service == SERVICE_S3)
                        answer_s3_error(answer, 500, "InternalError");
                else if (service == SERVICE_GITHUB && down && is_forgetful(world, call))
                        answer_text(answer, 404, "{\"message\":\"Not Found\"}");
                else if (service == SERVICE_GITHUB)
                        answer_text(answer, 503, "<html>no server is available</html>");
                else
                        answer_aws_error(answer, 500, "InternalFailure");
                return true;
        }
        if (service < SERVICE_GITHUB && fault_strikes(world, FAULT_THROTTLE, 6)) {
                if (service == SERVICE_EC2)
                        answer_ec2_error(answer, 503, "RequestLimitExceeded");
                else if (service == SERVICE_S3)
                        answer_s3_error(answer, 503, "SlowDown");
                else
                        answer_aws_error(answer, 400, "ThrottlingException");
                return true;
        }
        return false;
}

static const char *action_of(const struct http_call *call, char action[static 64])
{
        const char *target = strstr(buf_string(&call->headers), "X-Amz-Target: ");

        action[0] = '\0';
        if (target && sscanf(target, "X-Amz-Target: %*[^.].%63[^\n]", action) != 1)
                action[0] = '\0';
        return action;
}

void service_serve(struct world *world, enum service service, const struct http_call *call,
        struct answer *answer)
{
        const char *path = buf_string(&call->url) + strlen(services[service].url);
        _cleanup_json_ cJSON *body = NULL;
        char action[64];

        action_of(call, action);
        if (is_refused(world, service, call, answer))
                return;
        if ((service == SERVICE_GITHUB && limits_github(world, call->method, path, answer)) ||
                (service == SERVICE_EC2 && limits_ec2(world, buf_string(&call->body), answer)) ||
                (service == SERVICE_SSM && limits_ssm(world, action, answer)))
                return;
        if (call->body.size > 0 && service != SERVICE_EC2)
                (void)json_parse(buf_string(&call->body), call->body.size, "", &body, NULL);
        switch (service) {
        case SERVICE_SQS:
                sqs_serve(world, action, body, answer);
                break;
        case SERVICE_SSM:
                ssm_serve(world, action, body, answer);
                break;
        case SERVICE_S3:
                s3_serve(world, call, answer);
                break;
        case SERVICE_EC2:
                ec2_serve(world, buf_string(&call->body), answer);
                break;
        case SERVICE_GITHUB:
                world->caller_is_second = apps_is_second(buf_string(&call->headers));
                github_serve(world, call->method, path, body, answer);
                break;
        case SERVICE_CHANNEL:
        case N_SERVICES:
                world->told++;
                invariant_message(world, "people", buf_string(&call->body));
                answer_text(answer, 200, "ok");
                break;
        }
}
