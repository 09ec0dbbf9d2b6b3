/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/http: one try of a call, as a handle of libcurl. What all tries have in common
 * (connections, trust) is set by http_curl.c.
 */

#include <curl/curl.h>
#include <stdint.h>

#include "http/http_call.h"

struct attempt {
        CURL *easy;
        struct curl_slist *headers;
        struct http_call *call;
        char error[CURL_ERROR_SIZE];
};

/* Sets EASY, which remains the caller's, to make one try of CALL within TIMEOUT_MS (0: no limit)
 * and to fill its answer. EASY's CURLINFO_PRIVATE is the result. */
struct attempt *attempt_new(CURL *easy, struct http_call *call, int64_t timeout_ms);

/* Reads how the try has ended, by libcurl's CODE: 0 with the call's status, or negative with its
 * err. TRUSTED says where trusted authorities are looked for. */
int attempt_result(const struct attempt *attempt, CURLcode code, const char *trusted);

/* Overwrites what may be secret, and frees. */
void attempt_free(struct attempt *attempt);
