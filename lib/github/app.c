/* SPDX-License-Identifier: MIT */

/*
 * Makes calls about the App itself and reads their answers, without touching the network.
 */

#include "github/app.h"

#include <stdlib.h>
#include <string.h>

#include "app_call.h"
#include "base/json.h"
#include "base/mem.h"
#include "call.h"

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

/* -- the App -- */

int github_get_app(struct github *github, struct http_call **ret_call, struct err *err)
{
        return github_app_call(github, "get App", "GET", "/app", ret_call, err);
}

int github_get_app_answer(const struct http_call *call, struct github_app *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        struct github_app app = {0};
        const char *name;
        int r = github_app_answer(call, &body, err);

        if (r == 0)
                r = json_need_string(body, "name", &name, err);
        if (r < 0)
                return r;
        github_copy(app.name, sizeof(app.name), body, "name");
        github_copy(app.owner, sizeof(app.owner), body, "owner.login");
        github_copy(app.url, sizeof(app.url), body, "html_url");
        app.grants = read_grants(body);
        *ret = app;
        return 0;
}

/* -- its installations -- */

int github_list_installations(struct github *github, struct http_call **ret_call, struct err *err)
{
        return github_app_call(github, "list installations", "GET",
                "/app/installations?per_page=100", ret_call, err);
}

static void read_installation(const cJSON *object, void *item)
{
        struct github_installation *installation = item;

        installation->id = json_integer(object, "id", 0);
        github_copy(installation->account, sizeof(installation->account), object, "account.login");
        installation->suspended = json_string(object, "suspended_at") != NULL;
        installation->grants = read_grants(object);
}

int github_list_installations_answer(
        const struct http_call *call, struct github_installations *ret, struct err *err)
{
        return github_app_list_answer(call, sizeof(*ret->items), read_installation,
                (void **)&ret->items, &ret->count, err);
}

void github_installations_release(struct github_installations *installations)
{
        free(installations->items);
        *installations = (struct github_installations){0};
}

/* -- its webhook -- */

int github_get_hook(struct github *github, struct http_call **ret_call, struct err *err)
{
        return github_app_call(github, "get webhook", "GET", "/app/hook/config", ret_call, err);
}

int github_set_hook(struct github *github, const char *url, const char *secret,
        struct http_call **ret_call, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        char *text;
        int r = github_app_call(github, "set webhook", "PATCH", "/app/hook/config", ret_call, err);

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
        int r = github_app_answer(call, &body, err);

        if (r < 0)
                return r;
        insecure = json_string(body, "insecure_ssl");
        secret = json_string(body, "secret");
        github_copy(hook.url, sizeof(hook.url), body, "url");
        hook.has_secret = secret && *secret;
        hook.is_insecure = (insecure && strcmp(insecure, "0") != 0) ||
                           json_integer(body, "insecure_ssl", 0) != 0;
        *ret = hook;
        return 0;
}
