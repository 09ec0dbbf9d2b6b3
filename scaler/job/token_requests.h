/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The installation tokens that one batch needs: requested while EC2 launches, and kept by struct
 * github as long as the process is warm. What needs a token that is under way waits here.
 */

#include <stdint.h>

#include "base/err.h"
#include "scaler.h"
#include "setback.h"

/* Called once: with SETBACK NULL there is a token; else GitHub has refused it. */
typedef void (*token_ready)(void *userdata, const struct setback *setback);

struct token_request {
        int64_t installation;
        bool ended;
        unsigned tries;
        struct setback setback;          /* result 0: there is a token */
        struct token_requests *requests; /* that it is one of */
};

struct token_requests {
        struct scaler *scaler;
        struct github *github;
        bool *refused;                /* whether the last answer refused its key */
        struct token_request **items; /* owned */
        size_t n_items;
        struct token_waiter {
                int64_t installation;
                token_ready ready;
                void *userdata;
        } * waiting; /* owned */
        size_t n_waiting;
};

/* Opens GitHub: 0 or negative. */
int token_requests_init(struct token_requests *requests, struct scaler *scaler, struct err *err);
/* The same for an additional App. */
void token_requests_init_app(
        struct token_requests *requests, struct scaler *scaler, struct scaler_app *app);
void token_requests_release(struct token_requests *requests);

/* Requests a token for INSTALLATION unless one is kept or under way. If GitHub refused the last
 * one, this waits for the answer, so that nothing is launched that cannot be registered. */
void token_requests_add(struct token_requests *requests, int64_t installation);

/* Why there is no token for INSTALLATION, or NULL while GitHub has not refused one. */
const struct setback *token_requests_setback(
        const struct token_requests *requests, int64_t installation);

/* Calls READY, now or when GitHub has answered. */
void token_requests_await(
        struct token_requests *requests, int64_t installation, token_ready ready, void *userdata);

/* For calls about the runners of SCOPE: requests a token unless one is kept, and calls READY as
 * above. Those of an enterprise need none: they are made with a token that is there. */
void token_requests_for_scope(struct token_requests *requests, const char *scope,
        int64_t installation, token_ready ready, void *userdata);

/* To be called with the result of every call that used a token: a warm process must not keep one
 * that GitHub no longer accepts. */
void token_note_result(
        struct scaler *scaler, struct github *github, int64_t installation, int result);

/* The same for a call about the runners of SCOPE. That the token for enterprises was accepted says
 * nothing of the App's key. */
void token_note_scope_result(struct scaler *scaler, struct github *github, const char *scope,
        int64_t installation, int result);

/* For handlers that need a single token, for calls about the runners of SCOPE: requests one for
 * INSTALLATION, and waits, unless one is kept or none is needed. 0 or negative. */
int ensure_token_for_scope(struct scaler *scaler, struct github *github, const char *scope,
        int64_t installation, struct err *err);

/* For handlers that need a single token: requests one for INSTALLATION, and waits, unless one is
 * kept. 0 or negative. */
int ensure_token(
        struct scaler *scaler, struct github *github, int64_t installation, struct err *err);
