/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One HTTP call: the request, its limits, and the answer. With what is here, the libraries that
 * know a protocol make calls and read their answers without touching the network; http.h carries
 * calls.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

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
        bool without_proxy;         /* never by the proxy that the environment names */
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
