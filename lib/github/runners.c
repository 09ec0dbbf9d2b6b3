/* SPDX-License-Identifier: MIT */

/*
 * Registers a runner at GitHub (which gives its JIT configuration), finds it by its name, which is
 * the instance id, and removes it. Makes the calls and reads their answers, without touching the
 * network.
 * https://docs.github.com/en/rest/actions/self-hosted-runners
 */

#include "github/github.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "call.h"

/* A configuration is about 4.3 KB of base64; an SSM parameter ends at 8 KB. */
#define JITCONFIG_SIZE_MAX ((size_t)16 * 1024)

#define RUNNERS_PATH "/actions/runners"

/* -- calls -- */

/* A call about the runners of SCOPE. A text that is no scope must not get into a URL: the call then
 * has none, so it is not sent, and the reader of its answer says why. */
static struct http_call *new_call(struct github *github, int64_t installation, const char *what,
        const char *method, const char *scope)
{
        struct http_call *call =
                http_call_new(what, method, "%s/%s" RUNNERS_PATH, github->api_url, scope);

        if (!github_is_scope(scope))
                buf_clear(&call->url);
        github_call_prepare(call, github_scope_token(github, installation, scope));
        return call;
}

static void extend_url(struct http_call *call, const char *rest)
{
        if (call->url.size > 0)
                buf_add_string(&call->url, rest);
}

/* -- refusals -- */

#define ADVICE_TOKEN                                                           \
        "the token is not (or no longer) accepted: check the personal token, " \
        "or for an App whether it was uninstalled or its permissions changed a moment ago"
#define ADVICE_MOVED "it was renamed or moved: use its present name"

static const struct github_advice repository_advice[] = {
        {301, -ENOENT, ADVICE_MOVED},
        {307, -ENOENT, ADVICE_MOVED},
        {401, -EKEYREJECTED, ADVICE_TOKEN},
        {403, -EACCES,
                "the App or token needs the repository permission "
                "\"Administration: read and write\" "
                "(a change must be accepted for the installation), "
                "and self-hosted runners must be allowed for this repository"},
        {404, -ENOENT,
                "the App is not installed on this repository, the token has no access to it, "
                "or there is none of this name"},
        {422, -EINVAL, "check the runner's name and the spec's labels"},
        {0},
};

static const struct github_advice organization_advice[] = {
        {301, -ENOENT, ADVICE_MOVED},
        {307, -ENOENT, ADVICE_MOVED},
        {401, -EKEYREJECTED, ADVICE_TOKEN},
        {403, -EACCES,
                "the App or token needs the organization permission "
                "\"Self-hosted runners: read and write\" "
                "(a change must be accepted for the installation; "
                "a classic token needs admin:org)"},
        {404, -ENOENT,
                "the App is not installed on this organization, the token has no access to it, "
                "or there is no such organization or runner group"},
        {422, -EINVAL, "check the runner's name, the spec's labels and its runner group"},
        {0},
};

static const struct github_advice enterprise_advice[] = {
        {401, -EKEYREJECTED,
                "there is no token for enterprises, or it is not (or no longer) accepted: "
                "check the classic personal token in GITHUB_ENTERPRISE_TOKEN"},
        {403, -EACCES,
                "a classic personal token of scope manage_runners:enterprise is needed, "
                "of an owner of the enterprise; GitHub takes neither an App nor a fine-grained "
                "token for an enterprise"},
        {404, -ENOENT,
                "there is no such enterprise or runner group, or the token has no access to it: "
                "it needs the scope manage_runners:enterprise, and an owner of the enterprise"},
        {422, -EINVAL, "check the runner's name, the spec's labels and its runner group"},
        {0},
};

static const struct {
        const char *path;
        const struct github_advice *advice;
} scopes[] = {
        {"/repos/", repository_advice},
        {"/orgs/", organization_advice},
        {"/enterprises/", enterprise_advice},
};

/* Says why CALL failed, with the scope that its URL names. */
static int refused(const struct http_call *call, struct err *err)
{
        const char *url = buf_string(&call->url);
        const char *end = strstr(url, RUNNERS_PATH);
        const struct github_advice *advice = NULL;
        const char *scope = end;
        _cleanup_free_ char *subject = NULL;

        /* The first: an owner may be called as another kind of scope. */
        for (size_t i = 0; end && i < ARRAY_SIZE(scopes); i++) {
                const char *found = strstr(url, scopes[i].path);

                if (!found || found >= scope)
                        continue;
                scope = found;
                advice = scopes[i].advice;
        }
        if (!advice)
                return err_set(err, -EINVAL,
                        "%s: not sent, the scope is none of repos/OWNER/REPOSITORY, "
                        "orgs/ORGANIZATION and enterprises/SLUG",
                        call->what);
        subject = mem_format("%s for %.*s", call->what, (int)(end - scope - 1), scope + 1);
        return github_refused(call, subject, advice, err);
}

/* -- registering -- */

struct http_call *github_generate_jitconfig(
        struct github *github, const struct github_runner_request *request)
{
        struct http_call *call = new_call(
                github, request->installation, "generate-jitconfig", "POST", request->scope);
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;
        cJSON *labels;

        json_add_string(body, "name", request->name);
        json_add_integer(body, "runner_group_id", request->runner_group_id);
        labels = cJSON_AddArrayToObject(body, "labels");
        for (size_t i = 0; i < request->n_labels; i++)
                cJSON_AddItemToArray(labels, cJSON_CreateString(request->labels[i]));
        json_add_string(body, "work_folder", GITHUB_WORK_FOLDER);
        text = json_print(body);
        http_call_body(call, "application/json", text, strlen(text));
        extend_url(call, "/generate-jitconfig");
        return call;
}

void github_jitconfig_release(struct github_jitconfig *jitconfig)
{
        mem_free_secret(jitconfig->encoded);
        *jitconfig = (struct github_jitconfig){0};
}

static bool is_base64(const char *text)
{
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        size_t digits = strspn(text, alphabet);
        size_t padding = strspn(text + digits, "=");

        return digits > 0 && padding <= 2 && text[digits + padding] == '\0' &&
               (digits + padding) % 4 == 0;
}

static int read_jitconfig(
        const char *encoded, const cJSON *body, struct github_jitconfig *ret, struct err *err)
{
        int64_t runner_id = 0;
        int r;

        if (strlen(encoded) > JITCONFIG_SIZE_MAX || !is_base64(encoded))
                return err_set(err, -EBADMSG,
                        "encoded_jit_config: base64 of at most %zu bytes is needed, "
                        "found %zu bytes",
                        JITCONFIG_SIZE_MAX, strlen(encoded));
        r = json_need_integer(body, "runner.id", &runner_id, err);
        if (r < 0)
                return r;
        *ret = (struct github_jitconfig){
                .runner_id = runner_id,
                .encoded = mem_string(encoded),
        };
        return 0;
}

int github_generate_jitconfig_answer(
        const struct http_call *call, struct github_jitconfig *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        const char *encoded = NULL;
        int r;

        if (call->result >= 0 && call->status == 409)
                return GITHUB_NAME_TAKEN;
        if (call->result < 0 || call->status / 100 != 2)
                return refused(call, err);
        r = json_parse(buf_string(&call->answer), call->answer.size, "GitHub's answer", &body, err);
        if (r >= 0)
                r = json_need_string(body, "encoded_jit_config", &encoded, err);
        if (r >= 0)
                r = read_jitconfig(encoded, body, ret, err);
        if (encoded)
                explicit_bzero((char *)encoded, strlen(encoded));
        return http_call_prefix(call, r, err);
}

/* -- finding -- */

struct http_call *github_find_runner(
        struct github *github, int64_t installation, const char *scope, const char *name)
{
        struct http_call *call = new_call(github, installation, "find runner", "GET", scope);

        extend_url(call, "?per_page=100&name=");
        if (call->url.size > 0)
                buf_add_form(&call->url, name);
        return call;
}

static int read_runner(const cJSON *object, struct github_runner *ret, struct err *err)
{
        const char *status = json_string(object, "status");

        ret->offline = status && strcmp(status, "offline") == 0;
        ret->busy = json_boolean(object, "busy", false);
        return json_need_integer(object, "id", &ret->id, err);
}

int github_find_runner_answer(
        const struct http_call *call, const char *name, struct github_runner *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        const cJSON *runners;
        const cJSON *runner;
        int r;

        if (call->result < 0 || call->status / 100 != 2)
                return refused(call, err);
        r = json_parse(buf_string(&call->answer), call->answer.size, "GitHub's answer", &body, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        runners = json_get(body, "runners");
        if (!cJSON_IsArray(runners))
                return err_set(err, -EBADMSG, "%s: runners: a list is needed, found %s", call->what,
                        json_type_name(runners));
        cJSON_ArrayForEach (runner, runners) {
                const char *found = json_string(runner, "name");

                if (!found || strcmp(found, name) != 0)
                        continue;
                r = read_runner(runner, ret, err);
                return r < 0 ? err_prefix(err, r, "%s: runner %s", call->what, name) : 0;
        }
        return GITHUB_NOT_FOUND;
}

/* -- removing -- */

struct http_call *github_delete_runner(
        struct github *github, int64_t installation, const char *scope, int64_t runner_id)
{
        struct http_call *call = new_call(github, installation, "delete runner", "DELETE", scope);
        _cleanup_free_ char *rest = mem_format("/%" PRId64, runner_id);

        extend_url(call, rest);
        return call;
}

int github_delete_runner_answer(const struct http_call *call, struct err *err)
{
        if (call->result < 0)
                return refused(call, err);
        if (call->status / 100 == 2 || call->status == 404)
                return 0;
        return call->status == 422 ? GITHUB_RUNNER_BUSY : refused(call, err);
}
