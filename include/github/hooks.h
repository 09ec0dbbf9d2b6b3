/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Webhooks of repositories and organizations, and what became of the deliveries of these and of the
 * App's own webhook.
 * https://docs.github.com/en/rest/repos/webhooks
 * https://docs.github.com/en/rest/orgs/webhooks
 * https://docs.github.com/en/rest/apps/webhooks
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "github.h"

/* -- webhooks -- */

struct github_listed_hook {
        int64_t id;
        char url[512];
        bool is_active;
        bool hears_jobs; /* event workflow_job */
};

struct github_hooks {
        struct github_listed_hook *items; /* owned */
        size_t count;
};

/* The webhooks of SCOPE, a repository or an organization, with the token: at most 20 and 250 each,
 * of which the first hundred. A token of fine grain needs the permission "Webhooks: read". */
struct http_call *github_list_hooks(struct github *github, const char *scope);
/* 0 or negative: -ENOENT or -EACCES where the token does not reach them. */
int github_list_hooks_answer(
        const struct http_call *call, struct github_hooks *ret, struct err *err);
void github_hooks_release(struct github_hooks *hooks);

/* -- deliveries -- */

/* A webhook is named by its path: the App's, or "SCOPE/hooks/ID". */
#define GITHUB_APP_HOOK "app/hook"

/* The name of webhook ID of SCOPE; the caller frees. */
char *github_hook_name(const char *scope, int64_t id);

struct github_delivery {
        int64_t id;    /* of this attempt */
        char guid[64]; /* the same for every attempt to deliver */
        char event[64];
        char action[32];
        char status[96]; /* GitHub's words: "OK", "Invalid HTTP Response: 401" */
        int status_code; /* 0: there was no answer */
        int64_t at_ms;   /* wall clock */
        bool is_redelivery;
};

struct github_deliveries {
        struct github_delivery *items; /* newest first; owned */
        size_t count;
        char next_page[128]; /* as it is in a URL; "": the last */
};

/* A hundred of HOOK's, of the last three days. PAGE is the `next_page` of the page before, NULL for
 * the first. Fails where the App's JWT cannot be made. */
int github_list_deliveries(struct github *github, const char *hook, const char *page,
        struct http_call **ret_call, struct err *err);
int github_list_deliveries_answer(
        const struct http_call *call, struct github_deliveries *ret, struct err *err);
void github_deliveries_release(struct github_deliveries *deliveries);

/* Has GitHub deliver the event of HOOK's attempt ID once more, with the same guid. */
int github_redeliver(struct github *github, const char *hook, int64_t id,
        struct http_call **ret_call, struct err *err);
int github_redeliver_answer(const struct http_call *call, struct err *err);
