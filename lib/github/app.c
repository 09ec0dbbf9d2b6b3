/* SPDX-License-Identifier: MIT */

/*
 * Makes calls about the App itself and reads their answers, without touching the network.
 */

#include "github/app.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "call.h"

/* A hundred installations with their accounts take some 300 KB. */
#define ANSWER_LIMIT ((size_t)2 * 1024 * 1024)

static const struct github_advice app_advice[] = {
        {401, -EKEYREJECTED,
                "the private key does not belong to this App, or this machine's clock is off: "
                "take App id and key from the same App's settings"},
        {403, -EACCES, "the App is suspended, or may not call the API"},
        {404, -ENOENT,
                "there is no App of this id, or its webhook is not set up: check the App id"},
        {422, -EINVAL, "check the URL: https:// is needed"},
        {0},
};

/* -- grants -- */

static const struct {
        unsigned grant;
        const char *permission; /* NULL: an event */
        const char *levels;     /* each of which is enough */
        const char *name;
} grants_table[] = {
        {GITHUB_MAY_ADMINISTER, "administration", "write", "administration: write"},
        {GITHUB_MAY_RUN_ORGANIZATION, "organization_self_hosted_runners", "write",
                "organization_self_hosted_runners: write"},
        {GITHUB_MAY_READ_ACTIONS, "actions", "read write", "actions: read"},
        {GITHUB_MAY_RERUN, "actions", "write", "actions: write"},
        {GITHUB_HEARS_JOBS, NULL, NULL, "event workflow_job"},
};

void github_name_grants(unsigned grants, struct buf *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(grants_table); i++)
                if (grants & grants_table[i].grant)
                        buf_add_format(
                                ret, "%s%s", ret->size > 0 ? ", " : "", grants_table[i].name);
}

static bool hears_jobs(const cJSON *object)
{
        const cJSON *event;

        cJSON_ArrayForEach (event, json_get(object, "events"))
                if (cJSON_IsString(event) && strcmp(event->valuestring, "workflow_job") == 0)
                        return true;
        return false;
}

/* Reads `permissions` and `events`, which an App and an installation both have. */
static unsigned read_grants(const cJSON *object)
{
        const cJSON *permissions = json_get(object, "permissions");
        unsigned grants = 0;

        for (size_t i = 0; i < ARRAY_SIZE(grants_table); i++) {
                const char *level = grants_table[i].permission
                                            ? json_string(permissions, grants_table[i].permission)
                                            : NULL;

                if (level && *level && strstr(grants_table[i].levels, level))
                        grants |= grants_table[i].grant;
        }
        return grants | (hears_jobs(object) ? GITHUB_HEARS_JOBS : 0);
}

/* -- calls -- */

static int app_call(struct github *github, const char *what, const char *method, const char *path,
        struct http_call **ret_call, struct err *err)
{
        struct http_call *call;
        char *jwt;
        int r = github_app_jwt(github, &jwt, err);

        if (r < 0)
                return r;
        call = http_call_new(what, method, "%s%s", github->api_url, path);
        github_call_prepare(call, jwt);
        call->answer_limit = ANSWER_LIMIT;
        mem_free_secret(jwt);
        *ret_call = call;
        return 0;
}

/* The JSON in the answer: a list if LIST, else an object. */
static int app_answer(const struct http_call *call, bool list, cJSON **ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        int r;

        if (call->result < 0 || call->status / 100 != 2)
                return github_refused(call, call->what, app_advice, err);
        r = json_parse(buf_string(&call->answer), call->answer.size, "GitHub's answer", &body, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        if (!(list ? cJSON_IsArray(body) : cJSON_IsObject(body)))
                return err_set(err, -EBADMSG, "%s: GitHub's answer is %s, %s is needed", call->what,
                        json_type_name(body), list ? "a list" : "an object");
        *ret = MEM_STEAL(body);
        return 0;
}

/* Copies the string at PATH, "" if there is none; cut if it is too long. */
static void copy(char *to, size_t size, const cJSON *object, const char *path)
{
        const char *text = json_string(object, path);

        (void)snprintf(to, size, "%s", text ? text : "");
}

/* Reads a list of items, each of ITEM_SIZE bytes and filled by READ. */
static int list_answer(const struct http_call *call, size_t item_size,
        void (*read)(const cJSON *object, void *item), void **ret_items, size_t *ret_count,
        struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        const cJSON *object;
        char *item;
        int r = app_answer(call, true, &body, err);

        if (r < 0)
                return r;
        *ret_count = (size_t)cJSON_GetArraySize(body);
        *ret_items = item = mem_alloc((*ret_count + 1) * item_size);
        cJSON_ArrayForEach (object, body) {
                read(object, item);
                item += item_size;
        }
        return 0;
}

/* -- the App -- */

int github_get_app(struct github *github, struct http_call **ret_call, struct err *err)
{
        return app_call(github, "get App", "GET", "/app", ret_call, err);
}

int github_get_app_answer(const struct http_call *call, struct github_app *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        struct github_app app = {0};
        const char *name;
        int r = app_answer(call, false, &body, err);

        if (r == 0)
                r = json_need_string(body, "name", &name, err);
        if (r < 0)
                return r;
        copy(app.name, sizeof(app.name), body, "name");
        copy(app.owner, sizeof(app.owner), body, "owner.login");
        copy(app.url, sizeof(app.url), body, "html_url");
        app.grants = read_grants(body);
        *ret = app;
        return 0;
}

/* -- its installations -- */

int github_list_installations(struct github *github, struct http_call **ret_call, struct err *err)
{
        return app_call(github, "list installations", "GET", "/app/installations?per_page=100",
                ret_call, err);
}

static void read_installation(const cJSON *object, void *item)
{
        struct github_installation *installation = item;

        installation->id = json_integer(object, "id", 0);
        copy(installation->account, sizeof(installation->account), object, "account.login");
        installation->suspended = json_string(object, "suspended_at") != NULL;
        installation->grants = read_grants(object);
}

int github_list_installations_answer(
        const struct http_call *call, struct github_installations *ret, struct err *err)
{
        return list_answer(call, sizeof(*ret->items), read_installation, (void **)&ret->items,
                &ret->count, err);
}

void github_installations_release(struct github_installations *installations)
{
        free(installations->items);
        *installations = (struct github_installations){0};
}

/* -- its webhook -- */

int github_get_hook(struct github *github, struct http_call **ret_call, struct err *err)
{
        return app_call(github, "get webhook", "GET", "/app/hook/config", ret_call, err);
}

int github_set_hook(struct github *github, const char *url, const char *secret,
        struct http_call **ret_call, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        char *text;
        int r = app_call(github, "set webhook", "PATCH", "/app/hook/config", ret_call, err);

        if (r < 0)
                return r;
        body = cJSON_CreateObject();
        json_add_string(body, "url", url);
        json_add_string(body, "content_type", "json");
        json_add_string(body, "secret", secret);
        text = json_print(body);
        http_call_body(*ret_call, "application/json", text, strlen(text));
        mem_free_secret(text);
        return 0;
}

int github_hook_answer(const struct http_call *call, struct github_hook *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        struct github_hook hook = {0};
        const char *insecure;
        const char *secret;
        int r = app_answer(call, false, &body, err);

        if (r < 0)
                return r;
        insecure = json_string(body, "insecure_ssl");
        secret = json_string(body, "secret");
        copy(hook.url, sizeof(hook.url), body, "url");
        hook.has_secret = secret && *secret;
        hook.is_insecure = (insecure && strcmp(insecure, "0") != 0) ||
                           json_integer(body, "insecure_ssl", 0) != 0;
        *ret = hook;
        return 0;
}

/* -- its deliveries -- */

int github_list_deliveries(
        struct github *github, const char *page, struct http_call **ret_call, struct err *err)
{
        int r = app_call(github, "list deliveries", "GET", "/app/hook/deliveries?per_page=100",
                ret_call, err);

        if (r == 0 && page) {
                buf_add_string(&(*ret_call)->url, "&cursor=");
                buf_add_form(&(*ret_call)->url, page);
        }
        return r;
}

/* The cursor of the link to the next page:
 *      link: <https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_123>; rel="next" */
static void read_next_page(const struct http_call *call, char *page, size_t size)
{
        char links[1024];
        const char *end;
        const char *cursor = NULL;

        page[0] = '\0';
        if (!http_call_answer_header(call, "Link", links, sizeof(links)))
                return;
        end = strstr(links, "rel=\"next\"");
        for (const char *at = links; end && (at = strstr(at, "cursor=")) && at < end; at++)
                cursor = at + strlen("cursor=");
        if (cursor)
                snprintf(page, size, "%.*s", (int)strcspn(cursor, "&>"), cursor);
}

static void read_delivery(const cJSON *object, void *item)
{
        struct github_delivery *delivery = item;

        delivery->id = json_integer(object, "id", 0);
        copy(delivery->guid, sizeof(delivery->guid), object, "guid");
        copy(delivery->event, sizeof(delivery->event), object, "event");
        copy(delivery->action, sizeof(delivery->action), object, "action");
        copy(delivery->status, sizeof(delivery->status), object, "status");
        delivery->status_code = (int)json_integer(object, "status_code", 0);
        if (clock_parse(json_string(object, "delivered_at"), &delivery->at_ms) < 0)
                delivery->at_ms = 0;
}

int github_list_deliveries_answer(
        const struct http_call *call, struct github_deliveries *ret, struct err *err)
{
        int r = list_answer(
                call, sizeof(*ret->items), read_delivery, (void **)&ret->items, &ret->count, err);

        if (r == 0)
                read_next_page(call, ret->next_page, sizeof(ret->next_page));
        return r;
}

void github_deliveries_release(struct github_deliveries *deliveries)
{
        free(deliveries->items);
        *deliveries = (struct github_deliveries){0};
}

int github_redeliver(
        struct github *github, int64_t id, struct http_call **ret_call, struct err *err)
{
        _cleanup_free_ char *path = mem_format("/app/hook/deliveries/%" PRId64 "/attempts", id);

        return app_call(github, "redeliver", "POST", path, ret_call, err);
}

int github_redeliver_answer(const struct http_call *call, struct err *err)
{
        if (call->result < 0 || call->status / 100 != 2)
                return github_refused(call, call->what, app_advice, err);
        return 0;
}
