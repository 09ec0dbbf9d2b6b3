/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Installation tokens for one event: bought while EC2 launches, kept by struct github while the
 * process is warm. What needs one waits here until it has come.
 */

#include <stdint.h>

#include "base/err.h"
#include "registration.h"
#include "scaler.h"

struct token_request {
        int64_t installation;
        bool ended;
        int result; /* 0, or negative: GitHub gave none */
        struct err err;
        struct tokens *tokens;
};

struct tokens {
        struct scaler *scaler;
        struct github *github;
        struct token_request **requests; /* owned */
        size_t n_requests;
        struct registration **waiting; /* borrowed */
        size_t n_waiting;
};

/* Opens GitHub: 0 or negative. */
int tokens_init(struct tokens *tokens, struct scaler *scaler, struct err *err);
void tokens_release(struct tokens *tokens);

/* Begins to buy a token for INSTALLATION unless one is kept or under way. After GitHub refused one
 * lately, the answer is awaited here, so that nothing is launched that cannot be used. */
void tokens_need(struct tokens *tokens, int64_t installation);

/* 0 as long as nothing speaks against INSTALLATION, or negative once GitHub refused it a token. */
int tokens_check(const struct tokens *tokens, int64_t installation, struct err *err);

/* Starts HAND_OVER now, or when its token has come; fails it when none comes. */
void tokens_when_ready(struct tokens *tokens, struct registration *registration);

/* For handlers that need one token only: buys one for INSTALLATION now unless one is kept. 0 or
 * negative. */
int token_need_now(
        struct scaler *scaler, struct github *github, int64_t installation, struct err *err);
