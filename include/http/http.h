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

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

struct http;
struct http_call;

/* What to do about one try that has ended. */
enum http_verdict {
        HTTP_DONE,  /* the answer, good or bad, is the caller's */
        HTTP_AGAIN, /* worth another try, if tries and deadline allow */
};

struct http_call {
        /* The request: set by the maker of the call, before it is started. */
        const char *what;   /* a literal for errors: "RunInstances" */
        const char *method; /* a literal: "GET", "POST", … */
        struct buf url;     /* absolute */
        struct buf headers; /* lines "Name: value\n" */
        struct buf body;    /* sent when `has_body` */
        bool has_body;
        char *sign_scope;           /* "aws:amz:REGION:SERVICE" for SigV4, else NULL; owned */
        char *sign_key;             /* access key id; owned */
        char *sign_secret;          /* secret access key; owned, wiped */
        int64_t timeout_ms;         /* for all tries together; 0 = none. Default 10 s */
        int64_t try_timeout_ms;     /* for one try; 0 = none. Default 5 s */
        int64_t connect_timeout_ms; /* default 2 s */
        unsigned tries_max;  /* default 1; more where a call may be repeated: it is idempotent, or
                                a token makes it so */
        size_t answer_limit; /* bytes; default 1 MiB; more is an error */
        /* Judges a try that got an HTTP answer; NULL: 429, 502, 503 and 504 are worth another try.
         * One that got none is worth another after -ECONNRESET, -ECONNREFUSED, -EHOSTUNREACH and
         * -ETIMEDOUT. */
        enum http_verdict (*judge)(const struct http_call *call);

        /* Called once when the call has ended; may start other calls, and may free this one. */
        void (*done)(struct http_call *call, void *userdata);
        void *userdata;

        /* The answer: valid when the call has ended. */
        int result;                /* 0: there is an HTTP answer; negative errno: there is none */
        struct err err;            /* says why there is none */
        int status;                /* HTTP status, 0 without an answer */
        struct buf answer;         /* its body */
        struct buf answer_headers; /* its header lines, as they came */
        unsigned tries;            /* made so far */
        int64_t started_ms;        /* monotonic */
        int64_t ended_ms;

        /* Private to http.c and its transport. */
        struct http_call *next;
        enum { HTTP_CALL_NEW, HTTP_CALL_WAITING, HTTP_CALL_RUNNING, HTTP_CALL_ENDED } state;
        int64_t due_ms;      /* when WAITING: the next try */
        int64_t deadline_ms; /* monotonic; 0 = none */
        void *transport_data;
};

/* A call with the defaults above, which the caller gives to http_call_free(). WHAT and METHOD are
 * literals. */
struct http_call *http_call_new(const char *what, const char *method, const char *url_format, ...)
        __attribute__((format(printf, 3, 4)));

/* Adds a request header. One whose VALUE has a line break is left out. */
void http_call_header(struct http_call *call, const char *name, const char *value);

/* Sets the body, which is copied. */
void http_call_body(
        struct http_call *call, const char *content_type, const char *bytes, size_t size);

/* Copies the value of the first answer header NAME (in any case), without the blanks around it and
 * cut to SIZE; false if there is none. */
bool http_call_answer_header(
        const struct http_call *call, const char *name, char *value, size_t size);

/* Fills ERR from a call whose answer is of no use: the transport's reason, or status and the
 * beginning of the body. Returns call->result, or -EPROTO when there was an HTTP answer. */
int http_call_fail(const struct http_call *call, struct err *err);

/* For readers of answers: returns R; if it is negative, puts the call's `what` in front of the
 * text. */
int http_call_prefix(const struct http_call *call, int r, struct err *err);

/* Overwrites what may be secret, and frees. Accepts NULL. Cancel a call that is under way
 * first. */
void http_call_free(struct http_call *call);
void http_call_freep(struct http_call **call);

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

/* libcurl's transport. USER_AGENT is copied. Trusted authorities come from SSL_CERT_FILE or
 * SSL_CERT_DIR if set, else from where libcurl was built to look, else from where OpenSSL was built
 * to look (the packaged agent: /etc/ssl/cert.pem, or /etc/ssl/certs). Returns 0, or negative. */
int http_curl_new(const char *user_agent, struct http_transport **ret_transport, struct err *err);

/* Warms up TLS while the caller is idle; errors resurface on the first real connection. */
void http_tls_prepare(void);

/* Takes ownership of TRANSPORT. CLOCK must outlive the result. */
struct http *http_new(struct http_transport *transport, const struct clock *clock);
/* Cancels calls that are under way, without freeing them. Accepts NULL. */
void http_free(struct http *http);

/* Replaces the source of jitter: a number from 0 to BELOW - 1. */
void http_set_random(struct http *http, uint32_t (*random)(uint32_t below));

/* Begins CALL, which remains the caller's and must not be freed before it has ended. */
void http_start(struct http *http, struct http_call *call);
/* Ends CALL early, without calling its `done`. Does nothing if it has ended. */
void http_cancel(struct http *http, struct http_call *call);
/* Begins CALL, waits until it has ended, and returns it; other calls go on meanwhile. */
struct http_call *http_perform(struct http *http, struct http_call *call);
/* Returns when CALL, started before, has ended. */
void http_await(struct http *http, struct http_call *call);
/* Returns when no call is left. */
void http_finish(struct http *http);

/* For event loops: see above. */
int http_fd(struct http *http);
void http_dispatch(struct http *http);

/* For transports: how many milliseconds CALL's present try may take; 0 = no limit. */
int64_t http_call_try_ms(const struct http *http, const struct http_call *call);

/* For transports: the try of CALL has ended. RESULT is 0 when status, answer and answer_headers are
 * filled, and negative when there is no answer, as call->err explains. */
void http_tried(struct http *http, struct http_call *call, int result);
