/* SPDX-License-Identifier: MIT */

/*
 * Finds the webhooks whose deliveries a sweep reads without an App: each configured repository, or
 * for "OWNER/" and a star that organization, is asked for its webhooks. Ours is the one that leads
 * to the function's URL: others belong to somebody else, and nothing of theirs is delivered again.
 */

#include "own_hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"

void sweep_note_unread(struct sweep *sweep, const char *scope, const char *why)
{
        struct recent *said = &sweep->scaler->unread_hooks;
        int64_t now_ms = clock_monotonic_ms(sweep->scaler->clock);
        cJSON *unread = cJSON_CreateObject();

        json_add_string(unread, "scope", scope);
        json_add_string(unread, "reason", why);
        cJSON_AddItemToArray(sweep->unread, unread);
        if (recent_has(said, scope, now_ms))
                return;
        recent_note(said, scope, now_ms + OWN_HOOKS_SAID_MS);
        log_warning(&sweep->scaler->log,
                "deliveries of a webhook are not read: those that fail have to be delivered again "
                "by hand",
                LOG_TEXT("scope", scope), LOG_TEXT("reason", why));
}

static bool is_same_url(const char *one, const char *other)
{
        size_t length = strlen(one);
        size_t length_of_other = strlen(other);

        length -= length > 0 && one[length - 1] == '/';
        length_of_other -= length_of_other > 0 && other[length_of_other - 1] == '/';
        return length == length_of_other && strncasecmp(one, other, length) == 0;
}

/* NULL: there is none. */
static const struct github_listed_hook *find_ours(const struct github_hooks *hooks, const char *url)
{
        for (size_t i = 0; i < hooks->count; i++) {
                const struct github_listed_hook *hook = &hooks->items[i];

                if (hook->id > 0 && hook->is_active && hook->hears_jobs &&
                        is_same_url(hook->url, url))
                        return hook;
        }
        return NULL;
}

/* "OWNER/REPO", or "OWNER/" and a star. The caller frees. */
static char *scope_of(const char *pattern)
{
        size_t length = strlen(pattern);

        if (length > 2 && strcmp(pattern + length - 2, "/*") == 0)
                return mem_format("orgs/%.*s", (int)(length - 2), pattern);
        return mem_format("repos/%s", pattern);
}

int sweep_own_hook(struct sweep *sweep, struct github *github, const struct sweep_scopes *scopes,
        size_t i, char **ret)
{
        const struct config *config = sweep->config;
        _cleanup_free_ char *scope =
                scope_of(config->repositories[(scopes->first + i) % config->n_repositories]);
        _cleanup_(github_hooks_release) struct github_hooks hooks = {0};
        _cleanup_(http_call_freep) struct http_call *call = github_list_hooks(github, scope);
        const struct github_listed_hook *ours;
        struct err err;
        int r;

        sweep_call(sweep, call);
        r = github_list_hooks_answer(call, &hooks, &err);
        ours = r == 0 ? find_ours(&hooks, scopes->url) : NULL;
        if (ours)
                *ret = github_hook_name(scope, ours->id);
        else if (r == 0)
                r = err_set(&err, -ENOENT,
                        "it has no active webhook with the event workflow_job that leads to "
                        "WEBHOOK_URL");
        if (r == -ENOENT || r == -EACCES)
                sweep_note_unread(sweep, scope, err.text);
        else if (r < 0)
                sweep_fail(sweep, r, &err);
        return r;
}

void sweep_find_scopes(struct sweep *sweep, struct sweep_scopes *ret)
{
        size_t n = sweep->config->n_repositories;
        const char *url = getenv("WEBHOOK_URL");

        *ret = (struct sweep_scopes){.url = url, .rounds = 1 + n / SWEEP_SCOPES_MAX};
        if (!url || !url[0]) {
                sweep_note_unread(sweep, "all repositories",
                        "WEBHOOK_URL is not set: it must hold the stack's WebhookUrl");
                return;
        }
        ret->first = sweep_first(sweep, n, SWEEP_SCOPES_MAX);
        ret->count = n < SWEEP_SCOPES_MAX ? n : SWEEP_SCOPES_MAX;
}
