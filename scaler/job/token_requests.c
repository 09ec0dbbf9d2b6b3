/* SPDX-License-Identifier: MIT */

/*
 * Installation tokens, bought side by side with launching.
 */

#include "token_requests.h"

#include <stdlib.h>

int tokens_init(struct tokens *tokens, struct scaler *scaler, struct err *err)
{
        *tokens = (struct tokens){.scaler = scaler};
        /* Its key may have been replaced since GitHub refused it. */
        if (scaler->github_refused)
                scaler_forget_github(scaler);
        return scaler_github(scaler, &tokens->github, err);
}

void tokens_release(struct tokens *tokens)
{
        for (size_t i = 0; i < tokens->n_requests; i++)
                free(tokens->requests[i]);
        free(tokens->requests);
        free(tokens->waiting);
        *tokens = (struct tokens){0};
}

static struct token_request *request_of(const struct tokens *tokens, int64_t installation)
{
        for (size_t i = 0; i < tokens->n_requests; i++)
                if (tokens->requests[i]->installation == installation)
                        return tokens->requests[i];
        return NULL;
}

/* Starts, or fails, those that waited for this token. */
static void release_waiting(struct tokens *tokens, const struct token_request *request)
{
        size_t kept = 0;

        for (size_t i = 0; i < tokens->n_waiting; i++) {
                struct registration *registration = tokens->waiting[i];

                if (registration->installation != request->installation)
                        tokens->waiting[kept++] = registration;
                else if (request->result < 0)
                        registration_fail(registration, request->result, &request->err);
                else
                        registration_start(registration);
        }
        tokens->n_waiting = kept;
}

static void end_request(struct token_request *request, int result)
{
        request->ended = true;
        request->result = result;
        request->tokens->scaler->github_refused = result < 0;
        release_waiting(request->tokens, request);
}

static void on_token(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct token_request *request = userdata;

        end_request(request, github_access_token_answer(request->tokens->github, call,
                                     request->installation, &request->err));
}

void tokens_need(struct tokens *tokens, int64_t installation)
{
        bool doubtful = tokens->scaler->github_refused;
        struct http *http = scaler_http(tokens->scaler);
        struct token_request *request;
        struct http_call *call;
        int r;

        if (github_kept_token(tokens->github, installation) || request_of(tokens, installation))
                return;
        request = mem_alloc(sizeof(*request));
        request->installation = installation;
        request->tokens = tokens;
        tokens->requests =
                mem_resize(tokens->requests, tokens->n_requests + 1, sizeof(*tokens->requests));
        tokens->requests[tokens->n_requests++] = request;
        r = github_access_token(tokens->github, installation, &call, &request->err);
        if (r < 0) {
                end_request(request, r);
                return;
        }
        call->done = on_token;
        call->userdata = request;
        http_start(http, call);
        if (doubtful)
                http_finish(http);
}

int tokens_check(const struct tokens *tokens, int64_t installation, struct err *err)
{
        const struct token_request *request = request_of(tokens, installation);

        if (!request || request->result == 0)
                return 0;
        *err = request->err;
        return request->result;
}

void tokens_when_ready(struct tokens *tokens, struct registration *registration)
{
        const struct token_request *request = request_of(tokens, registration->installation);

        if (!request || (request->ended && request->result == 0)) {
                registration_start(registration);
        } else if (request->ended) {
                registration_fail(registration, request->result, &request->err);
        } else {
                tokens->waiting = mem_resize(
                        tokens->waiting, tokens->n_waiting + 1, sizeof(*tokens->waiting));
                tokens->waiting[tokens->n_waiting++] = registration;
        }
}

int token_need_now(
        struct scaler *scaler, struct github *github, int64_t installation, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        int r;

        if (github_kept_token(github, installation))
                return 0;
        r = github_access_token(github, installation, &call, err);
        if (r < 0)
                return r;
        scaler_call(scaler, call);
        return github_access_token_answer(github, call, installation, err);
}
