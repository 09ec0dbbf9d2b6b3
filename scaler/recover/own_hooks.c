/* SPDX-License-Identifier: MIT */

/*
 * Finds the webhooks whose deliveries a sweep reads. An App has one. Without an App, each
 * configured repository, or for "OWNER/" and a star that organization, is asked for its webhooks.
 * Ours is the one that leads to the function's URL: others belong to somebody else, and nothing of
 * theirs is delivered again.
 */

#include "own_hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* While this process is warm. */
#define SAID_MS (24 * 3600 * MSEC_PER_SEC)

/* What is missing may be meant so: a person who delivers again by hand, or an organization's
 * webhook that serves all of its repositories. */
static void say_once(struct sweep *sweep, const char *scope, const char *why)
{
        struct recent *said = &sweep->scaler->unread_hooks;
        int64_t now_ms = clock_monotonic_ms(sweep->scaler->clock);

        if (recent_has(said, scope, now_ms))
                return;
        recent_note(said, scope, now_ms + SAID_MS);
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

static void find_in(struct sweep *sweep, struct github *github, const char *scope, const char *url,
        struct sweep_hooks *ret)
{
        _cleanup_(github_hooks_release) struct github_hooks hooks = {0};
        _cleanup_(http_call_freep) struct http_call *call = github_list_hooks(github, scope);
        const struct github_listed_hook *ours;
        struct err err;
        int r;

        sweep_call(sweep, call);
        r = github_list_hooks_answer(call, &hooks, &err);
        if (r == -ENOENT || r == -EACCES) {
                say_once(sweep, scope, err.text);
                return;
        }
        if (r < 0) {
                sweep_fail(sweep, r, &err);
                return;
        }
        ours = find_ours(&hooks, url);
        if (ours)
                ret->names[ret->count++] = github_hook_name(scope, ours->id);
        else
                say_once(sweep, scope,
                        "it has no active webhook with the event workflow_job that "
                        "leads to WEBHOOK_URL");
}

/* "OWNER/REPO", or "OWNER/" and a star. The caller frees. */
static char *scope_of(const char *pattern)
{
        size_t length = strlen(pattern);

        if (length > 2 && strcmp(pattern + length - 2, "/*") == 0)
                return mem_format("orgs/%.*s", (int)(length - 2), pattern);
        return mem_format("repos/%s", pattern);
}

static void find_all(struct sweep *sweep, struct github *github, struct sweep_hooks *ret)
{
        const struct config *config = sweep->config;
        size_t n = config->n_repositories;
        size_t n_now = n < SWEEP_HOOKS_MAX ? n : SWEEP_HOOKS_MAX;
        const char *url = getenv("WEBHOOK_URL");
        size_t first;

        if (!url || !url[0]) {
                say_once(sweep, "all repositories", "WEBHOOK_URL is not set");
                return;
        }
        first = sweep_first(sweep, n, SWEEP_HOOKS_MAX);
        ret->rounds += n / SWEEP_HOOKS_MAX;
        for (size_t i = 0; i < n_now && sweep_has_time(sweep); i++) {
                _cleanup_free_ char *scope = scope_of(config->repositories[(first + i) % n]);

                find_in(sweep, github, scope, url, ret);
        }
}

void sweep_find_hooks(struct sweep *sweep, struct github *github, struct sweep_hooks *ret)
{
        *ret = (struct sweep_hooks){.rounds = 1};
        if (sweep->config->app_id)
                ret->names[ret->count++] = mem_string(GITHUB_APP_HOOK);
        else
                find_all(sweep, github, ret);
}

void sweep_hooks_release(struct sweep_hooks *hooks)
{
        for (size_t i = 0; i < hooks->count; i++)
                free(hooks->names[i]);
}
