/* SPDX-License-Identifier: MIT */

/*
 * What calls about the App itself share: they carry the App's own JWT, and a refusal means the same
 * for all of them.
 */

#include "app_call.h"

#include <errno.h>

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

int github_app_call(struct github *github, const char *what, const char *method, const char *path,
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

int github_app_done(const struct http_call *call, struct err *err)
{
        if (call->result < 0 || call->status / 100 != 2)
                return github_refused(call, call->what, app_advice, err);
        return 0;
}

int github_app_answer(const struct http_call *call, cJSON **ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        int r = github_app_done(call, err);

        if (r < 0)
                return r;
        r = json_parse(buf_string(&call->answer), call->answer.size, "GitHub's answer", &body, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        if (!cJSON_IsObject(body))
                return err_set(err, -EBADMSG, "%s: GitHub's answer is %s, an object is needed",
                        call->what, json_type_name(body));
        *ret = MEM_STEAL(body);
        return 0;
}

int github_app_list_answer(const struct http_call *call, size_t item_size,
        void (*read)(const cJSON *object, void *item), void **ret_items, size_t *ret_count,
        struct err *err)
{
        return github_answer_items(call, app_advice, item_size, read, ret_items, ret_count, err);
}
