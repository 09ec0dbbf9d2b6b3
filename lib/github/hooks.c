/* SPDX-License-Identifier: MIT */

/*
 * Webhooks of repositories and organizations, and the deliveries of these and of the App's: lists
 * them, and asks for a delivery again. All have the same form.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "call.h"
#include "github/hooks.h"

/* A hundred deliveries take some 50 KB. */
#define ANSWER_LIMIT ((size_t)1024 * 1024)

/* GitHub ends what takes it ten seconds, as a long list may. Nobody waits for these calls.
 * https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#timeouts */
#define TRY_TIMEOUT_MS (12 * MSEC_PER_SEC)
#define TIMEOUT_MS (25 * MSEC_PER_SEC)

static const struct github_advice advice[] = {
        {301, -ENOENT, "it was renamed or moved: use its present name"},
        {307, -ENOENT, "it was renamed or moved: use its present name"},
        {401, -EKEYREJECTED, "the token is not (or no longer) accepted: check the personal token"},
        {403, -EACCES,
                "the token needs the permission \"Webhooks: read and write\" "
                "(a classic one: admin:repo_hook or admin:org_hook)"},
        {404, -ENOENT,
                "the token reaches no such repository or organization, or not its webhooks: "
                "\"Webhooks: read and write\" (a classic one: admin:repo_hook or admin:org_hook)"},
        {0},
};

static struct http_call *with_patience(struct http_call *call)
{
        call->answer_limit = ANSWER_LIMIT;
        call->try_timeout_ms = TRY_TIMEOUT_MS;
        call->timeout_ms = TIMEOUT_MS;
        return call;
}

static struct http_call *new_call(struct github *github, const char *what, const char *method,
        const char *scope, const char *path)
{
        struct http_call *call = http_call_new(what, method, "%s%s", github->api_url, path);

        if (!github_is_scope(scope))
                buf_clear(&call->url);
        github_call_prepare(call, github_scope_token(github, 0, scope));
        return with_patience(call);
}

/* -- webhooks -- */

struct http_call *github_list_hooks(struct github *github, const char *scope)
{
        _cleanup_free_ char *path = mem_format("/%s/hooks?per_page=100", scope);

        return new_call(github, "list webhooks", "GET", scope, path);
}

static void read_hook(const cJSON *object, void *item)
{
        struct github_listed_hook *hook = item;
        const cJSON *event;

        hook->id = json_integer(object, "id", 0);
        github_copy(hook->url, sizeof(hook->url), object, "config.url");
        hook->is_active = cJSON_IsTrue(json_get(object, "active"));
        cJSON_ArrayForEach (event, json_get(object, "events")) {
                const char *name = cJSON_GetStringValue(event);

                if (name && (strcmp(name, "workflow_job") == 0 || strcmp(name, "*") == 0))
                        hook->hears_jobs = true;
        }
}

int github_list_hooks_answer(
        const struct http_call *call, struct github_hooks *ret, struct err *err)
{
        return github_answer_items(call, advice, sizeof(*ret->items), read_hook,
                (void **)&ret->items, &ret->count, err);
}

void github_hooks_release(struct github_hooks *hooks)
{
        free(hooks->items);
        *hooks = (struct github_hooks){0};
}

char *github_hook_name(const char *scope, int64_t id)
{
        return mem_format("%s/hooks/%" PRId64, scope, id);
}

/* -- deliveries -- */

static int new_delivery_call(struct github *github, const char *what, const char *method,
        const char *hook, const char *path, struct http_call **ret_call, struct err *err)
{
        const char *end = strstr(hook, "/hooks/");
        _cleanup_free_ char *whole = mem_format("/%s/deliveries%s", hook, path);
        _cleanup_free_ char *scope = NULL;

        if (strcmp(hook, GITHUB_APP_HOOK) == 0) {
                int r = github_app_call(github, what, method, whole, ret_call, err);

                if (r == 0)
                        with_patience(*ret_call);
                return r;
        }
        scope = mem_format("%.*s", end ? (int)(end - hook) : 0, hook);
        *ret_call = new_call(github, what, method, scope, whole);
        return 0;
}

static bool is_of_app(const struct http_call *call)
{
        return strstr(buf_string(&call->url), "/" GITHUB_APP_HOOK "/deliveries");
}

int github_list_deliveries(struct github *github, const char *hook, const char *page,
        struct http_call **ret_call, struct err *err)
{
        int r = new_delivery_call(
                github, "list deliveries", "GET", hook, "?per_page=100", ret_call, err);

        if (r == 0 && page) {
                buf_add_string(&(*ret_call)->url, "&cursor=");
                buf_add_string(&(*ret_call)->url, page);
        }
        return r;
}

/* What a URL may hold of a cursor. */
#define CURSOR_CHARACTERS                                      \
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
        "0123456789-._~%"

/* The cursor of the link to the next page, as it is in the URL:
 *      link: <https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_123>; rel="next" */
static void read_next_page(const struct http_call *call, char *page, size_t size)
{
        char links[1024];
        const char *end;
        const char *cursor = NULL;
        size_t length;

        page[0] = '\0';
        if (!http_call_answer_header(call, "Link", links, sizeof(links)))
                return;
        end = strstr(links, "rel=\"next\"");
        for (const char *at = links; end && (at = strstr(at, "cursor=")) && at < end; at++)
                cursor = at + strlen("cursor=");
        length = cursor ? strspn(cursor, CURSOR_CHARACTERS) : 0;
        if (length > 0 && length < size && strchr("&>", cursor[length]))
                snprintf(page, size, "%.*s", (int)length, cursor);
}

static void read_delivery(const cJSON *object, void *item)
{
        struct github_delivery *delivery = item;

        delivery->id = json_integer(object, "id", 0);
        github_copy(delivery->guid, sizeof(delivery->guid), object, "guid");
        github_copy(delivery->event, sizeof(delivery->event), object, "event");
        github_copy(delivery->action, sizeof(delivery->action), object, "action");
        github_copy(delivery->status, sizeof(delivery->status), object, "status");
        delivery->is_redelivery = cJSON_IsTrue(json_get(object, "redelivery"));
        delivery->status_code = (int)json_integer(object, "status_code", 0);
        if (clock_parse(json_string(object, "delivered_at"), &delivery->at_ms) < 0)
                delivery->at_ms = 0;
}

int github_list_deliveries_answer(
        const struct http_call *call, struct github_deliveries *ret, struct err *err)
{
        int r = is_of_app(call) ? github_app_list_answer(call, sizeof(*ret->items), read_delivery,
                                          (void **)&ret->items, &ret->count, err)
                                : github_answer_items(call, advice, sizeof(*ret->items),
                                          read_delivery, (void **)&ret->items, &ret->count, err);

        if (r == 0)
                read_next_page(call, ret->next_page, sizeof(ret->next_page));
        return r;
}

void github_deliveries_release(struct github_deliveries *deliveries)
{
        free(deliveries->items);
        *deliveries = (struct github_deliveries){0};
}

int github_redeliver(struct github *github, const char *hook, int64_t id,
        struct http_call **ret_call, struct err *err)
{
        _cleanup_free_ char *path = mem_format("/%" PRId64 "/attempts", id);

        return new_delivery_call(github, "redeliver", "POST", hook, path, ret_call, err);
}

int github_redeliver_answer(const struct http_call *call, struct err *err)
{
        if (is_of_app(call))
                return github_app_done(call, err);
        if (call->result < 0 || call->status / 100 != 2)
                return github_refused(call, call->what, advice, err);
        return 0;
}
