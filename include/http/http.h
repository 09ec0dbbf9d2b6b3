/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HTTP calls, one or many at the same time, on libcurl's multi interface.
 *
 * The library that knows a protocol (aws/, github/, lambda/, notify/) makes calls and reads their
 * answers. This one carries them: deadline, bounded answer, retries with full-jitter back-off,
 * Retry-After, connections kept between calls and between warm invocations, verified TLS, SigV4.
 *
 *      _cleanup_(http_call_freep) struct http_call *call =
 *              http_perform(http, ssm_get_parameter(aws, name));
 *      r = ssm_get_parameter_answer(call, &value, &err);
 *
 * For many in parallel, http_start() each of them, with a `done` that may start others, then call
 * http_finish(), which returns when none is left. In a program with an event loop, http_fd() is
 * readable whenever http_dispatch() has something to do; neither blocks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "http_call.h"

struct http;
struct http_transport;

/* Takes ownership of TRANSPORT. CLOCK must outlive the result. */
struct http *http_new(struct http_transport *transport, const struct clock *clock);
/* Cancels calls that are under way, without freeing them. Accepts NULL. */
void http_free(struct http *http);

/* Replaces the source of jitter: a number from 0 to BELOW - 1. */
void http_set_random(struct http *http, uint32_t (*random)(uint32_t below));

/* Begins CALL, which remains the caller's and must not be freed before it has ended. */
void http_start(struct http *http, struct http_call *call);
/* Like http_start(), but begins after DELAY_MS, which the call's timeout does not count. */
void http_start_later(struct http *http, struct http_call *call, int64_t delay_ms);
/* Ends CALL early, without calling its `done`. Does nothing if it has ended. */
void http_cancel(struct http *http, struct http_call *call);
/* Begins CALL, waits until it has ended, and returns it; other calls go on meanwhile. */
struct http_call *http_perform(struct http *http, struct http_call *call);
/* Returns when CALL, started before, has ended. */
void http_await(struct http *http, struct http_call *call);
/* Returns when no call is left. */
void http_finish(struct http *http);

/* Returns after MS; calls go on meanwhile. */
void http_sleep(struct http *http, int64_t ms);

/* For event loops: a descriptor, and what to do when it is readable. */
int http_fd(struct http *http);
void http_dispatch(struct http *http);

/* -- transports -- */

/* libcurl's transport. USER_AGENT is copied. Trusted authorities come from SSL_CERT_FILE or
 * SSL_CERT_DIR if set, else from where libcurl was built to look, else from where OpenSSL was built
 * to look (the packaged agent: /etc/ssl/cert.pem, or /etc/ssl/certs). A proxy comes from
 * http_proxy, https_proxy and no_proxy. Returns 0, or negative. */
int http_curl_new(const char *user_agent, struct http_transport **ret_transport, struct err *err);

/* Warms up TLS while the caller is idle; errors resurface on the first real connection. */
void http_tls_prepare(void);

/*
 * The one seam to the network. http.c decides when a try is made and what follows from it; the
 * transport makes the try: libcurl, or a script in tests.
 */
struct http_transport {
        /* Begins one try. When it has ended, dispatch() calls http_tried(). */
        void (*start)(struct http_transport *transport, struct http *http, struct http_call *call);
        /* Gives up a try that is under way. */
        void (*cancel)(struct http_transport *transport, struct http_call *call);
        /* A descriptor that is readable when dispatch() has something to do; -1: none. */
        int (*fd)(struct http_transport *transport);
        /* Milliseconds until dispatch() has something to do even if nothing arrives; -1: never. */
        int64_t (*timeout_ms)(struct http_transport *transport);
        /* Does what can be done without blocking. */
        void (*dispatch)(struct http_transport *transport, struct http *http);
        /* Waits until something arrives, for at most TIMEOUT_MS (-1: for ever). */
        void (*wait)(struct http_transport *transport, int64_t timeout_ms);
        void (*free)(struct http_transport *transport);
};

/* For a transport: how many milliseconds the present try of CALL may take; 0 = no limit. */
int64_t http_call_try_ms(const struct http *http, const struct http_call *call);

/* Called by a transport when the try of CALL has ended. RESULT is 0 when status, answer and
 * answer_headers are filled, and negative when there is no answer, as call->err explains. */
void http_tried(struct http *http, struct http_call *call, int result);
