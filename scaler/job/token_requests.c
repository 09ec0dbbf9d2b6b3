/* SPDX-License-Identifier: MIT */

/*
 * Requests GitHub's installation tokens while EC2 launches.
 */

#include "token_requests.h"

#include <errno.h>
#include <stdlib.h>

/* Each with a JWT of its own. */
#define TOKEN_TRIES 3

int token_requests_init(struct token_requests *requests, struct scaler *scaler, struct err *err)
{
        *requests = (struct token_requests){.scaler = scaler, .refused = &scaler->github_refused};
        return scaler_github(scaler, &requests->github, err);
}

void token_requests_init_app(
        struct token_requests *requests, struct scaler *scaler, struct scaler_app *app)
{
        *requests = (struct token_requests){
                .scaler = scaler, .github = &app->github, .refused = &app->refused};
}

void token_requests_release(struct token_requests *requests)
{
        for (size_t i = 0; i < requests->n_items; i++)
                free(requests->items[i]);
        free(requests->items);
        free(requests->waiting);
        *requests = (struct token_requests){0};
}

static struct token_request *find_request(
        const struct token_requests *requests, int64_t installation)
{
        for (size_t i = 0; i < requests->n_items; i++)
                if (requests->items[i]->installation == installation)
                        return requests->items[i];
        return NULL;
}

/* NULL: there is a token, or will be. */
static const struct setback *setback_of(const struct token_request *request)
{
        return request && request->setback.result < 0 ? &request->setback : NULL;
}

/* Calls those that waited for this token. They may wait for another one, or start calls. */
static void release_waiting(struct token_requests *requests, const struct token_request *request)
{
        size_t i = 0;

        while (i < requests->n_waiting) {
                struct token_waiter waiter = requests->waiting[i];

                if (waiter.installation != request->installation) {
                        i++;
                        continue;
                }
                requests->waiting[i] = requests->waiting[--requests->n_waiting];
                waiter.ready(waiter.userdata, setback_of(request));
        }
}

static void end_request(struct token_request *request)
{
        request->ended = true;
        *request->requests->refused = request->setback.result == -EKEYREJECTED;
        release_waiting(request->requests, request);
}

static void request_token(struct token_request *request);

/* Whether GitHub may have refused the JWT of CALL because it knew it from an earlier try. What it
 * fails at was tried often enough. */
static bool may_know_jwt(const struct http_call *call, int result)
{
        return result == -EKEYREJECTED && call->tries > 1;
}

static void on_token(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct token_request *request = userdata;
        struct token_requests *requests = request->requests;
        struct err err;
        int r = github_access_token_answer(requests->github, call, request->installation, &err);

        request->setback = (struct setback){0};
        if (r < 0)
                request->setback =
                        setback_by_github(requests->scaler, request->installation, call, r, &err);
        if (may_know_jwt(call, r) && request->tries < TOKEN_TRIES)
                request_token(request);
        else
                end_request(request);
}

static void request_token(struct token_request *request)
{
        struct token_requests *requests = request->requests;
        struct http_call *call;
        struct err err;
        int r = github_access_token(requests->github, request->installation, &call, &err);

        request->tries++;
        if (r < 0) {
                /* A key that cannot sign may be replaced; an installation that is not named stays
                 * so. */
                request->setback = setback_final(r, &err);
                request->setback.by_github = true;
                request->setback.passing = request->installation > 0;
                request->setback.of_caller = true;
                end_request(request);
                return;
        }
        call->done = on_token;
        call->userdata = request;
        scaler_start(requests->scaler, call);
}

static struct token_request *add_request(struct token_requests *requests, int64_t installation)
{
        struct token_request *request = mem_alloc(sizeof(*request));

        request->installation = installation;
        request->requests = requests;
        requests->items =
                mem_resize(requests->items, requests->n_items + 1, sizeof(*requests->items));
        requests->items[requests->n_items++] = request;
        return request;
}

void token_requests_add(struct token_requests *requests, int64_t installation)
{
        bool was_refused = *requests->refused;

        if (github_kept_token(requests->github, installation) ||
                find_request(requests, installation))
                return;
        request_token(add_request(requests, installation));
        if (was_refused)
                http_finish(scaler_http(requests->scaler));
}

const struct setback *token_requests_setback(
        const struct token_requests *requests, int64_t installation)
{
        return setback_of(find_request(requests, installation));
}

void token_requests_await(
        struct token_requests *requests, int64_t installation, token_ready ready, void *userdata)
{
        const struct token_request *request = find_request(requests, installation);

        if (!request || request->ended) {
                ready(userdata, setback_of(request));
                return;
        }
        requests->waiting =
                mem_resize(requests->waiting, requests->n_waiting + 1, sizeof(*requests->waiting));
        requests->waiting[requests->n_waiting++] =
                (struct token_waiter){installation, ready, userdata};
}

void token_requests_for_scope(struct token_requests *requests, const char *scope,
        int64_t installation, token_ready ready, void *userdata)
{
        if (github_is_enterprise(scope)) {
                ready(userdata, NULL);
                return;
        }
        token_requests_add(requests, installation);
        token_requests_await(requests, installation, ready, userdata);
}

static bool *refused_of(struct scaler *scaler, const struct github *github)
{
        for (size_t i = 0; i < scaler->n_apps; i++)
                if (&scaler->apps[i]->github == github)
                        return &scaler->apps[i]->refused;
        return &scaler->github_refused;
}

void token_note_result(
        struct scaler *scaler, struct github *github, int64_t installation, int result)
{
        if (result == -EKEYREJECTED)
                github_forget_token(github, installation);
        *refused_of(scaler, github) = result == -EKEYREJECTED;
        if (result >= 0)
                setback_note_answer(scaler, installation);
}

void token_note_scope_result(struct scaler *scaler, struct github *github, const char *scope,
        int64_t installation, int result)
{
        if (!github_is_enterprise(scope))
                token_note_result(scaler, github, installation, result);
        else if (result == -EKEYREJECTED)
                *refused_of(scaler, github) = true;
}

int ensure_token(
        struct scaler *scaler, struct github *github, int64_t installation, struct err *err)
{
        int r = 0;

        if (github_kept_token(github, installation))
                return 0;
        for (unsigned i = 0; i < TOKEN_TRIES; i++) {
                _cleanup_(http_call_freep) struct http_call *call = NULL;

                r = github_access_token(github, installation, &call, err);
                if (r < 0)
                        return r;
                scaler_call(scaler, call);
                r = github_access_token_answer(github, call, installation, err);
                if (!may_know_jwt(call, r))
                        break;
        }
        *refused_of(scaler, github) = r == -EKEYREJECTED;
        return r;
}

int ensure_token_for_scope(struct scaler *scaler, struct github *github, const char *scope,
        int64_t installation, struct err *err)
{
        return github_is_enterprise(scope) ? 0 : ensure_token(scaler, github, installation, err);
}
