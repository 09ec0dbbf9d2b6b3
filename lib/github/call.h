/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What all calls to GitHub have in common. Private to lib/github.
 */

#include "base/err.h"
#include "github/github.h"
#include "http/http.h"

/* The token that a call for INSTALLATION is made with, however near its end it is; NULL when none
 * is kept. Borrowed. */
const char *github_any_token(const struct github *github, int64_t installation);

/* Adds GitHub's headers and its rules for repetition to CALL. BEARER is a token or a JWT; NULL: the
 * call goes without one, and GitHub's 401 tells. */
void github_call_prepare(struct http_call *call, const char *bearer);

/* What a refusal with STATUS means for one kind of call, and what to do about it. */
struct github_advice {
        int status; /* 0 ends a table */
        int code;   /* the negative errno to return */
        const char *text;
};

/*
 * Turns an answer that the caller does not handle into text: what was refused (SUBJECT), GitHub's
 * own words (bounded), and the advice for its status; or until when the rate limit is used up
 * (-EAGAIN). Without an answer, or with a status that no advice covers, as http_call_fail().
 */
int github_refused(const struct http_call *call, const char *subject,
        const struct github_advice *advice, struct err *err);
