/* SPDX-License-Identifier: MIT */

/*
 * The transport: who serves a call, and how calls fail, each service in its own way.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* More would be a handler that does not come to an end. */
#define CALLS_MAX 3000

enum service { SQS, SSM, S3, EC2, GITHUB, CHANNEL, N_SERVICES };

static const char *const urls[N_SERVICES] = {
        [SQS] = "https://sqs.eu-central-1.amazonaws.com/",
        [SSM] = "https://ssm.eu-central-1.amazonaws.com/",
        [S3] = "https://" WORLD_BUCKET ".s3.eu-central-1.amazonaws.com/",
        [EC2] = "https://ec2.eu-central-1.amazonaws.com/",
        [GITHUB] = WORLD_API "/",
        [CHANNEL] = "https://channel.test/",
};

static enum service service_of(const struct http_call *call)
{
        for (int i = 0; i < N_SERVICES; i++)
                if (strncmp(buf_string(&call->url), urls[i], strlen(urls[i])) == 0)
                        return (enum service)i;
        fprintf(stderr, "a call to somebody else: %s\n", buf_string(&call->url));
        abort();
}

static void refuse_aws(struct http_call *call)
{
        static const char *const codes[] = {"AccessDeniedException", "ThrottlingException",
                "InternalServerError", "ParameterNotFound", "ParameterAlreadyExists",
                "QueueDoesNotExist", "ExpiredTokenException", "ValidationException",
                "TooManyUpdates", "ParameterLimitExceeded", "RequestThrottled",
                "AWS.SimpleQueueService.NonExistentQueue"};
        const char *code = world_one_of(codes);
        _cleanup_free_ char *text = mem_format("{\"__type\":\"%s\",\"message\":\"no\"}", code);

        world_text(call, strstr(code, "Internal") ? 500 : 400, text);
}

static void refuse_s3(struct http_call *call)
{
        static const struct {
                int status;
                const char *code;
        } refusals[] = {{403, "AccessDenied"}, {503, "SlowDown"}, {404, "NoSuchBucket"},
                {409, "ConditionalRequestConflict"}, {412, "PreconditionFailed"},
                {404, "NoSuchKey"}, {400, "ExpiredToken"}};
        unsigned i = world_choose(ARRAY_SIZE(refusals));
        _cleanup_free_ char *text =
                mem_format("<Error><Code>%s</Code><Message>no</Message></Error>", refusals[i].code);

        world_text(call, refusals[i].status, text);
}

static void refuse_github(struct http_call *call)
{
        static const struct {
                int status;
                const char *header;
                const char *message;
        } refusals[] = {
                {403, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1767323345\r\n",
                        "API rate limit exceeded"},
                {403, "Retry-After: 30\r\n", "You have exceeded a secondary rate limit"},
                {403, "", "Resource not accessible by integration"},
                {403, "", "This installation has been suspended"},
                {401, "", "Bad credentials"},
                {404, "", "Not Found"},
                {422, "", "Invalid Argument - Invalid runner group"},
                {409, "", "Already exists - A runner with the name already exists."},
                {429, "", "Too many requests"},
                {503, "Retry-After: Fri, 02 Jan 2026 03:04:35 GMT\r\n", "maintenance"},
                {503, "", "unicorn"},
                {301, "", "Moved Permanently"},
                {403, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1767322000\r\n",
                        "You have exceeded a secondary rate limit"},
        };
        unsigned i = world.habits.github > 0 && world_choose(8) != 1
                             ? (world.habits.github - 1) % ARRAY_SIZE(refusals)
                             : world_choose(ARRAY_SIZE(refusals));
        _cleanup_free_ char *text = mem_format("{\"message\":\"%s\"}", refusals[i].message);

        world.has_refused = true;
        buf_add_string(&call->answer_headers, refusals[i].header);
        world_text(call, refusals[i].status, text);
}

static void refuse(struct http_call *call, enum service service)
{
        static void (*const refusals[N_SERVICES])(struct http_call * call) = {
                [SQS] = refuse_aws,
                [SSM] = refuse_aws,
                [S3] = refuse_s3,
                [EC2] = world_refuse_ec2,
                [GITHUB] = refuse_github,
                [CHANNEL] = refuse_github,
        };

        refusals[service](call);
}

static void serve(struct http_call *call, enum service service)
{
        const char *target = strstr(buf_string(&call->headers), "X-Amz-Target: ");
        _cleanup_json_ cJSON *body = cJSON_Parse(buf_string(&call->body));
        char action[64] = "";

        if (target)
                (void)sscanf(target, "X-Amz-Target: %*[^.].%63[^\n]", action);
        switch (service) {
        case SQS:
                world_sqs(call, action, body);
                break;
        case SSM:
                world_ssm(call, action, body);
                break;
        case S3:
                world_s3(call);
                break;
        case EC2:
                world_ec2(call);
                break;
        case GITHUB:
                world_github(call, body);
                break;
        case CHANNEL:
        case N_SERVICES:
        default:
                CHECK(!strstr(buf_string(&call->body), WORLD_TOKEN_MARK));
                world.n_shown++;
                world_text(call, 202, "ok");
                break;
        }
}

/* What a call may carry where. Hand-overs alone have secrets in them, and S3's are signed too. */
static void check_call(const struct http_call *call, enum service service)
{
        CHECK(world.n_calls++ < CALLS_MAX);
        if (service != CHANNEL)
                CHECK(!world_has_secret(buf_string(&call->url)));
        if (service == EC2 || service == SQS || service == GITHUB)
                CHECK(!world_has_secret(buf_string(&call->body)));
        CHECK(!strstr(buf_string(&call->headers), WORLD_AWS_MARK));
}

/* A part of a body, as a proxy in between might leave it. */
static void cut(struct http_call *call)
{
        size_t size = call->answer.size;
        _cleanup_free_ char *part = NULL;

        size = size * world_choose(256) / 256;
        part = mem_format("%.*s", (int)size, buf_string(&call->answer));
        world_text(call, call->status, part);
}

/* An answer that the handler cannot read tells it nothing. */
static void forget_answers(const struct world *before)
{
        for (size_t i = 0; i <= WORLD_JOBS; i++) {
                bool unclear = world.jobs[i].is_sent && !before->jobs[i].is_sent;

                world.jobs[i] = before->jobs[i];
                world.jobs[i].is_unclear |= unclear;
        }
        for (size_t i = 0; i < world.n_machines; i++)
                world.machines[i].is_launched =
                        i < before->n_machines && before->machines[i].is_launched;
        world.is_counted = before->is_counted;
        world.n_living = before->n_living;
        world.n_told = before->n_told;
        world.n_shown = before->n_shown;
        world.n_kept = before->n_kept;
        world.n_dead = before->n_dead;
        world.n_rerun = before->n_rerun;
        world.breaker_version = before->breaker_version;
}

/* Most calls go well. */
enum { FAULT_CUT = 1, FAULT_UNREACHED, FAULT_BROKEN, FAULT_REFUSED, FAULT_LOST };

static unsigned choose_fault(enum service service)
{
        if (service == GITHUB && world.habits.github > 0 && world_choose(4) == 1)
                return FAULT_REFUSED;
        if (service == SQS && world.habits.queues > 0 && world_choose(2) == 1)
                return FAULT_REFUSED;
        return world_choose(64);
}

static int answer(struct http_call *call)
{
        static struct world before;
        enum service service;
        unsigned fault;

        if (call->url.size == 0) /* of a scope that is none: libcurl sends nothing either */
                return err_set(&call->err, -EINVAL, "%s: not sent", call->what);
        service = service_of(call);
        check_call(call, service);
        fault = choose_fault(service);
        if (fault == FAULT_UNREACHED)
                return err_set(&call->err, -ECONNREFUSED, "%s: no answer", call->what);
        if (fault == FAULT_BROKEN) {
                world_text(call, 500, "<html>no</html>");
                return 0;
        }
        if (fault == FAULT_REFUSED) {
                refuse(call, service);
                return 0;
        }
        before = world;
        serve(call, service);
        if (fault == FAULT_LOST || (fault == FAULT_CUT && call->status < 400))
                forget_answers(&before); /* a refusal is known by its status */
        if (fault == FAULT_LOST) {
                buf_clear(&call->answer);
                call->status = 0;
                return err_set(&call->err, -ETIMEDOUT, "%s: no answer", call->what);
        }
        if (fault == FAULT_CUT)
                cut(call);
        return 0;
}

/* With STORY=1, as to look into an input that ended the program. */
int world_answer(struct http_call *call)
{
        int r = answer(call);

        if (getenv("STORY"))
                fprintf(stderr, "%s %s\n  %s\n-> %d %d %s\n", call->what, buf_string(&call->url),
                        buf_string(&call->body), r, call->status, buf_string(&call->answer));
        return r;
}
