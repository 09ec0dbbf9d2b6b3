/* SPDX-License-Identifier: MIT */

/*
 * Requests GitHub's installation tokens while EC2 launches.
 */

#include "token_requests.h"

#include <stdlib.h>

int token_requests_init(struct token_requests *requests, struct scaler *scaler, struct err *err)
{
        *requests = (struct token_requests){.scaler = scaler};
        /* Somebody may have replaced the key that GitHub refused. */
        if (scaler->github_refused)
                scaler_forget_github(scaler);
        return scaler_github(scaler, &requests->github, err);
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

/* Starts, or fails, the registrations that waited for this token. */
static void release_waiting(struct token_requests *requests, const struct token_request *request)
{
        size_t kept = 0;

        for (size_t i = 0; i < requests->n_waiting; i++) {
                struct registration *registration = requests->waiting[i];

                if (registration->installation != request->installation)
                        requests->waiting[kept++] = registration;
                else if (request->result < 0)
                        registration_fail(registration, request->result, &request->err);
                else
                        registration_start(registration);
        }
        requests->n_waiting = kept;
}

static void end_request(struct token_request *request, int result)
{
        request->ended = true;
        request->result = result;
        request->requests->scaler->github_refused = result < 0;
        release_waiting(request->requests, request);
}

static void on_token(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct token_request *request = userdata;

        end_request(request, github_access_token_answer(request->requests->github, call,
                                     request->installation, &request->err));
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
        bool was_refused = requests->scaler->github_refused;
        struct token_request *request;
        struct http_call *call;
        int r;

        if (github_kept_token(requests->github, installation) ||
                find_request(requests, installation))
                return;
        request = add_request(requests, installation);
        r = github_access_token(requests->github, installation, &call, &request->err);
        if (r < 0) {
                end_request(request, r);
                return;
        }
        call->done = on_token;
        call->userdata = request;
        scaler_start(requests->scaler, call);
        if (was_refused)
                http_finish(scaler_http(requests->scaler));
}

int token_requests_check(
        const struct token_requests *requests, int64_t installation, struct err *err)
{
        const struct token_request *request = find_request(requests, installation);

        if (!request || request->result == 0)
                return 0;
        *err = request->err;
        return request->result;
}

void token_requests_register(struct token_requests *requests, struct registration *registration)
{
        const struct token_request *request = find_request(requests, registration->installation);

        if (!request || (request->ended && request->result == 0)) {
                registration_start(registration);
        } else if (request->ended) {
                registration_fail(registration, request->result, &request->err);
        } else {
                requests->waiting = mem_resize(
                        requests->waiting, requests->n_waiting + 1, sizeof(*requests->waiting));
                requests->waiting[requests->n_waiting++] = registration;
        }
}

int ensure_token(
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
