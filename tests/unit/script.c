/* SPDX-License-Identifier: MIT */

/*
 * See script.h.
 */

#include "script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define EXPECTATIONS_MAX 256
#define SERVED_MAX 8

struct expectation {
        const char *method;
        char *url;
        char *body;
        int result;
        int status;
        char *headers;
        char *answer;
        int64_t latency_ms;     /* negative: until the try's time is over */
        struct http_call *call; /* the request that matched, until it is answered */
        int64_t due_ms;
        bool used;
};

struct script {
        struct http_transport transport;
        struct clock clock;
        int64_t now_ms;
        struct expectation expectations[EXPECTATIONS_MAX];
        size_t n;
        unsigned requests;
        struct buf last_headers;
        struct buf last_body;
        struct expectation served[SERVED_MAX];
        size_t n_served;
        char **served_bodies; /* NULL: taken */
        size_t n_served_bodies;
};

static struct script *script_of(struct http_transport *transport)
{
        return (struct script *)transport;
}

static const struct script *script_of_clock(const struct clock *clock)
{
        return (const struct script *)((const char *)clock - offsetof(struct script, clock));
}

static int64_t script_wall_ms(const struct clock *clock)
{
        return INT64_C(1767323045000) + script_of_clock(clock)->now_ms;
}

static int64_t script_monotonic_ms(const struct clock *clock)
{
        return 1000 + script_of_clock(clock)->now_ms;
}

static bool matches(const struct expectation *expectation, const struct http_call *call)
{
        return !expectation->used && strcmp(expectation->method, call->method) == 0 &&
               strstr(buf_string(&call->url), expectation->url) &&
               (!expectation->body || strstr(buf_string(&call->body), expectation->body));
}

static void take(struct script *script, struct http *http, struct expectation *expectation,
        struct http_call *call)
{
        expectation->used = true;
        expectation->call = call;
        expectation->due_ms =
                script->now_ms + (expectation->latency_ms < 0 ? http_call_try_ms(http, call)
                                                              : expectation->latency_ms);
}

static bool serve(struct script *script, struct http *http, struct http_call *call)
{
        for (size_t i = 0; i < script->n_served; i++) {
                const struct expectation *served = &script->served[i];

                if (!matches(served, call))
                        continue;
                script_expect(script, served->method, served->url, served->body, served->status,
                        served->answer);
                script_latency(script, 0);
                script->served_bodies = mem_resize(script->served_bodies,
                        script->n_served_bodies + 1, sizeof(*script->served_bodies));
                script->served_bodies[script->n_served_bodies++] =
                        mem_string(buf_string(&call->body));
                take(script, http, &script->expectations[script->n - 1], call);
                return true;
        }
        return false;
}

char *script_take_served(struct script *script, const char *part)
{
        for (size_t i = 0; i < script->n_served_bodies; i++)
                if (script->served_bodies[i] && strstr(script->served_bodies[i], part))
                        return MEM_STEAL(script->served_bodies[i]);
        return NULL;
}

static struct expectation *find_expectation(struct script *script, const struct http_call *call)
{
        for (size_t i = 0; i < script->n; i++)
                if (matches(&script->expectations[i], call))
                        return &script->expectations[i];
        return NULL;
}

static void script_start(
        struct http_transport *transport, struct http *http, struct http_call *call)
{
        struct script *script = script_of(transport);
        struct expectation *expectation = find_expectation(script, call);

        if (!expectation && serve(script, http, call))
                return;
        script->requests++;
        buf_clear(&script->last_headers);
        buf_add(&script->last_headers, buf_string(&call->headers), call->headers.size);
        buf_clear(&script->last_body);
        buf_add(&script->last_body, buf_string(&call->body), call->body.size);
        if (!expectation)
                fail_msg("unexpected request: %s %s\n%s", call->method, buf_string(&call->url),
                        buf_string(&call->body));
        else
                take(script, http, expectation, call);
}

static void script_cancel(struct http_transport *transport, struct http_call *call)
{
        struct script *script = script_of(transport);

        for (size_t i = 0; i < script->n; i++)
                if (script->expectations[i].call == call)
                        script->expectations[i].call = NULL;
}

static int script_fd(struct http_transport *transport)
{
        (void)transport;
        return -1;
}

static int64_t script_timeout_ms(struct http_transport *transport)
{
        struct script *script = script_of(transport);
        int64_t timeout = -1;

        for (size_t i = 0; i < script->n; i++) {
                int64_t left = script->expectations[i].due_ms - script->now_ms;

                if (script->expectations[i].call && (timeout < 0 || left < timeout))
                        timeout = left > 0 ? left : 0;
        }
        return timeout;
}

static void script_wait(struct http_transport *transport, int64_t timeout_ms)
{
        if (timeout_ms < 0)
                fail_msg("waiting forever: no request is under way");
        script_of(transport)->now_ms += timeout_ms;
}

static struct expectation *due(struct script *script)
{
        for (size_t i = 0; i < script->n; i++)
                if (script->expectations[i].call &&
                        script->expectations[i].due_ms <= script->now_ms)
                        return &script->expectations[i];
        return NULL;
}

static void script_dispatch(struct http_transport *transport, struct http *http)
{
        struct script *script = script_of(transport);
        struct expectation *expectation;

        while ((expectation = due(script))) {
                struct http_call *call = MEM_STEAL(expectation->call);

                call->status = expectation->status;
                if (expectation->result < 0)
                        err_set(&call->err, 0, "%s: no answer: scripted failure", call->what);
                else if (buf_add_string(&call->answer, expectation->answer) < 0)
                        expectation->result = err_set(&call->err, -E2BIG,
                                "%s: the answer is larger than %zu bytes", call->what,
                                call->answer_limit);
                buf_add_string(&call->answer_headers, expectation->headers);
                http_tried(http, call, expectation->result);
        }
}

static void script_free(struct http_transport *transport)
{
        script_done(script_of(transport));
}

struct script *script_new(void)
{
        struct script *script = mem_alloc(sizeof(*script));

        script->transport = (struct http_transport){
                .start = script_start,
                .cancel = script_cancel,
                .fd = script_fd,
                .timeout_ms = script_timeout_ms,
                .dispatch = script_dispatch,
                .wait = script_wait,
                .free = script_free,
        };
        script->clock = (struct clock){script_wall_ms, script_monotonic_ms};
        script->last_headers = (struct buf)BUF_INIT(1024 * 1024);
        script->last_body = (struct buf)BUF_INIT(16 * 1024 * 1024);
        return script;
}

void script_done(struct script *script)
{
        for (size_t i = 0; i < script->n; i++) {
                struct expectation *expectation = &script->expectations[i];

                if (!expectation->used)
                        fail_msg("request never made: %s %s %s", expectation->method,
                                expectation->url, expectation->body ? expectation->body : "");
                free(expectation->url);
                free(expectation->body);
                free(expectation->headers);
                free(expectation->answer);
        }
        for (size_t i = 0; i < script->n_served; i++) {
                free(script->served[i].url);
                free(script->served[i].body);
                free(script->served[i].answer);
        }
        for (size_t i = 0; i < script->n_served_bodies; i++)
                free(script->served_bodies[i]);
        free(script->served_bodies);
        buf_release(&script->last_headers);
        buf_release(&script->last_body);
        free(script);
}

struct http_transport *script_transport(struct script *script)
{
        return &script->transport;
}

const struct clock *script_clock(struct script *script)
{
        return &script->clock;
}

void script_sleep(struct script *script, int64_t ms)
{
        script->now_ms += ms;
}

static uint32_t longest(uint32_t below)
{
        return below - 1;
}

struct http *script_http(struct script *script)
{
        struct http *http = http_new(&script->transport, &script->clock);

        http_set_random(http, longest);
        return http;
}

static struct expectation *expect_request(
        struct script *script, const char *method, const char *url, const char *body)
{
        struct expectation *expectation = &script->expectations[script->n++];

        assert_true(script->n < EXPECTATIONS_MAX);
        expectation->method = method;
        expectation->url = mem_string(url);
        expectation->body = mem_string(body);
        expectation->latency_ms = 1;
        return expectation;
}

void script_expect_headers(struct script *script, const char *method, const char *url,
        const char *body, int status, const char *headers, const char *answer)
{
        struct expectation *expectation = expect_request(script, method, url, body);

        expectation->status = status;
        expectation->headers = mem_string(headers);
        expectation->answer = mem_string(answer);
}

void script_expect(struct script *script, const char *method, const char *url, const char *body,
        int status, const char *answer)
{
        script_expect_headers(script, method, url, body, status, "", answer);
}

void script_serve(struct script *script, const char *method, const char *url, const char *body,
        int status, const char *answer)
{
        assert_true(script->n_served < SERVED_MAX);
        script->served[script->n_served++] = (struct expectation){
                .method = method,
                .url = mem_string(url),
                .body = mem_string(body),
                .status = status,
                .answer = mem_string(answer),
        };
}

void script_expect_failure(struct script *script, const char *method, const char *url, int result)
{
        struct expectation *expectation = expect_request(script, method, url, NULL);

        expectation->result = result;
        expectation->headers = mem_string("");
        expectation->answer = mem_string("");
}

void script_expect_silence(struct script *script, const char *method, const char *url)
{
        script_expect_failure(script, method, url, -ETIMEDOUT);
        script_latency(script, -1);
}

void script_latency(struct script *script, int64_t ms)
{
        script->expectations[script->n - 1].latency_ms = ms;
}

void script_assert_tries(
        struct http_call *call, const char *url, int status, const char *answer, unsigned tries)
{
        struct script *script = script_new();
        struct http *http = script_http(script);

        for (unsigned i = 0; i < tries; i++)
                script_expect(script, call->method, url, NULL, status, answer);
        assert_int_equal(http_perform(http, call)->result, 0);
        http_free(http);
}

unsigned script_requests(const struct script *script)
{
        return script->requests;
}

const char *script_last_headers(const struct script *script)
{
        return buf_string(&script->last_headers);
}

const char *script_last_body(const struct script *script)
{
        return buf_string(&script->last_body);
}
