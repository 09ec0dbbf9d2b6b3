/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The installation tokens that one batch needs: requested while EC2 launches, and kept by struct
 * github as long as the process is warm. A registration whose token is under way waits here.
 */

#include <stdint.h>

#include "base/err.h"
#include "registration.h"
#include "scaler.h"

struct token_request {
        int64_t installation;
        bool ended;
        int result; /* 0, or negative: GitHub refused */
        struct err err;
        struct token_requests *requests; /* that it is one of */
};

struct token_requests {
        struct scaler *scaler;
        struct github *github;
        struct token_request **items; /* owned */
        size_t n_items;
        struct registration **waiting; /* borrowed */
        size_t n_waiting;
};

/* Opens GitHub: 0 or negative. */
int token_requests_init(struct token_requests *requests, struct scaler *scaler, struct err *err);
void token_requests_release(struct token_requests *requests);

/* Requests a token for INSTALLATION unless one is kept or under way. If GitHub refused the last
 * one, this waits for the answer, so that nothing is launched that cannot be registered. */
void token_requests_add(struct token_requests *requests, int64_t installation);

/* Negative once GitHub has refused a token for INSTALLATION, else 0. */
int token_requests_check(
        const struct token_requests *requests, int64_t installation, struct err *err);

/* Starts REGISTRATION now or when its token arrives; fails it when the token is refused. */
void token_requests_register(struct token_requests *requests, struct registration *registration);

/* For handlers that need a single token: requests one for INSTALLATION, and waits, unless one is
 * kept. 0 or negative. */
int ensure_token(
        struct scaler *scaler, struct github *github, int64_t installation, struct err *err);
