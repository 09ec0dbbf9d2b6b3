/* SPDX-License-Identifier: MIT */

/*
 * Asks which installation of an App reaches a repository or organization. It is asked for the scope
 * itself, not for its owner: an App may be installed on some of an owner's repositories only.
 */

#include <errno.h>

#include "base/json.h"
#include "call.h"
#include "github/github.h"

static const struct github_advice advice[] = {
        {401, -EKEYREJECTED,
                "the private key does not belong to this App, or this machine's clock is off"},
        {403, -EACCES, "the App is suspended, or may not call the API"},
        {0},
};

static void free_secretp(char **secret)
{
        mem_free_secret(*secret);
}

int github_find_installation(
        struct github *github, const char *scope, struct http_call **ret_call, struct err *err)
{
        _cleanup_(free_secretp) char *jwt = NULL;
        struct http_call *call;
        int r;

        if (!github_is_scope(scope) || github_is_enterprise(scope))
                return err_set(err, -EINVAL, "%s: no App is installed there", scope);
        r = github_app_jwt(github, &jwt, err);
        if (r < 0)
                return r;
        call = http_call_new(
                "find installation", "GET", "%s/%s/installation", github->api_url, scope);
        github_call_prepare(call, jwt);
        *ret_call = call;
        return 0;
}

/* A JWT that GitHub has seen may be answered with 404: that says nothing about the App. */
static bool says_not_installed(const struct http_call *call)
{
        return call->result >= 0 && call->status == 404 && call->tries <= 1;
}

int github_find_installation_answer(
        const struct http_call *call, struct github_found_installation *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        int64_t id = 0;
        int r;

        if (says_not_installed(call))
                return GITHUB_NOT_FOUND;
        if (call->result < 0 || call->status / 100 != 2)
                return github_refused(call, call->what, advice, err);
        r = json_parse(buf_string(&call->answer), call->answer.size, "GitHub's answer", &body, err);
        if (r == 0)
                r = json_need_integer(body, "id", &id, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        if (id <= 0)
                return err_set(err, -EBADMSG, "%s: id: a positive number is needed", call->what);
        ret->id = id;
        ret->suspended = json_string(body, "suspended_at") != NULL;
        return 0;
}
