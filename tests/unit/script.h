/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A scripted network: the transport behind http.c, which is told beforehand which requests to
 * expect and what to answer. Its clock advances by what http.c waits.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "http/http.h"

struct script;

struct script *script_new(void);
/* Fails the test when an expected request was not made, then frees. The http of script_http() calls
 * it when it is freed. */
void script_done(struct script *script);

/* For http_new(), which takes the script over: http_free() calls script_done(). */
struct http_transport *script_transport(struct script *script);
/* Starts at 2026-01-02T03:04:05Z. */
const struct clock *script_clock(struct script *script);
void script_sleep(struct script *script, int64_t ms);
/* An http on the script and its clock; its random waits are always the longest. */
struct http *script_http(struct script *script);

/* The next request with this METHOD whose URL contains URL and whose body contains BODY (NULL: any)
 * gets this answer. Each expectation serves one request, in any order; a request that matches none
 * fails the test. */
void script_expect(struct script *script, const char *method, const char *url, const char *body,
        int status, const char *answer);
/* The same, with header lines in the answer ("Retry-After: 3\r\n"). */
void script_expect_headers(struct script *script, const char *method, const char *url,
        const char *body, int status, const char *headers, const char *answer);
/* The request gets no answer: http.c sees RESULT (-ECONNRESET, -ETIMEDOUT, …). */
void script_expect_failure(struct script *script, const char *method, const char *url, int result);
/* The request is accepted and never answered: its try ends when its time is over. */
void script_expect_silence(struct script *script, const char *method, const char *url);

/* The same for any number of requests that no expectation matches. They are not counted, and are
 * not the last ones. */
void script_serve(struct script *script, const char *method, const char *url, const char *body,
        int status, const char *answer);

/* The body of the first such request that contains PART and was not taken before, for the caller to
 * free; or NULL. */
char *script_take_served(struct script *script, const char *part);

/* The answer to the latest expectation takes that long instead of 1 ms. */
void script_latency(struct script *script, int64_t ms);

/* Performs CALL on a network of its own, where URL always gives this answer: fails the test unless
 * the call is tried exactly TRIES times. */
void script_assert_tries(
        struct http_call *call, const char *url, int status, const char *answer, unsigned tries);

/* How many requests were made so far. */
unsigned script_requests(const struct script *script);
/* The last request's headers and body, as text. */
const char *script_last_headers(const struct script *script);
const char *script_last_body(const struct script *script);
