/* SPDX-License-Identifier: MIT */

/*
 * Reads which versions of GitHub's runner were published, and which the registered runners have.
 */

#include "github/versions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "call.h"

#define REPOSITORY "actions/runner"
/* Twenty releases with their notes and assets take some 400 KB, a hundred runners 80 KB. */
#define ANSWER_LIMIT ((size_t)4 * 1024 * 1024)
#define LIST_MAX 100

static const struct github_advice advice[] = {
        {401, -EKEYREJECTED, "the token is not (or no longer) accepted"},
        {403, -EACCES, "the App or token may not read this"},
        {404, -ENOENT, "the App is not installed there, or it does not exist"},
        {0},
};

static struct http_call *prepare(struct http_call *call, const char *token)
{
        call->answer_limit = ANSWER_LIMIT;
        github_call_prepare(call, token);
        return call;
}

/* -- what was published -- */

struct http_call *github_list_versions(struct github *github, int64_t installation)
{
        return prepare(http_call_new("list releases of the runner", "GET",
                               "%s/repos/" REPOSITORY "/releases?per_page=20", github->api_url),
                github_any_token(github, installation));
}

static bool is_version(const char *text)
{
        return text && strlen(text) < GITHUB_VERSION_SIZE && text[0] >= '1' && text[0] <= '9' &&
               strspn(text, "0123456789.") == strlen(text);
}

/* Adds a release, unless it is a draft, a trial, or of something else. */
static void add_release(struct github_versions *versions, const cJSON *release)
{
        const char *tag = json_string(release, "tag_name");
        const char *published = json_string(release, "published_at");
        struct github_version version;

        if (!tag || tag[0] != 'v' || !is_version(tag + 1) || !published ||
                versions->count == LIST_MAX || json_boolean(release, "draft", false) ||
                json_boolean(release, "prerelease", false) ||
                clock_parse(published, &version.published_ms) < 0)
                return;
        snprintf(version.text, sizeof(version.text), "%s", tag + 1);
        versions->items =
                mem_resize(versions->items, versions->count + 1, sizeof(*versions->items));
        versions->items[versions->count++] = version;
}

int github_list_versions_answer(
        const struct http_call *call, struct github_versions *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        const cJSON *list = NULL;
        const cJSON *release;
        int r;

        if (call->result >= 0 && call->status == 404)
                return GITHUB_NOT_FOUND;
        r = github_answer_list(call, "", advice, &body, &list, err);
        if (r < 0)
                return r;
        *ret = (struct github_versions){0};
        cJSON_ArrayForEach (release, list)
                add_release(ret, release);
        return 0;
}

void github_versions_release(struct github_versions *versions)
{
        free(versions->items);
        *versions = (struct github_versions){0};
}

const struct github_version *github_newest_version(const struct github_versions *versions)
{
        const struct github_version *newest = NULL;

        for (size_t i = 0; i < versions->count; i++)
                if (!newest || strverscmp(versions->items[i].text, newest->text) > 0)
                        newest = &versions->items[i];
        return newest;
}

int64_t github_outdated_since_ms(const struct github_versions *versions, const char *version)
{
        int64_t since_ms = 0;

        for (size_t i = 0; i < versions->count; i++) {
                const struct github_version *other = &versions->items[i];

                if (strverscmp(other->text, version) > 0 &&
                        (since_ms == 0 || other->published_ms < since_ms))
                        since_ms = other->published_ms;
        }
        return since_ms;
}

/* -- what is registered -- */

struct http_call *github_list_runners(
        struct github *github, int64_t installation, const char *scope)
{
        struct http_call *call = http_call_new("list runners", "GET",
                "%s/%s/actions/runners?per_page=100", github->api_url, scope);

        if (!github_is_scope(scope))
                buf_clear(&call->url);
        return prepare(call, github_scope_token(github, installation, scope));
}

static void add_runner(struct github_runner_versions *versions, const cJSON *runner)
{
        const char *name = json_string(runner, "name");
        const char *version = json_string(runner, "version");
        struct github_runner_version *item;

        if (!name || !is_version(version) || versions->count == LIST_MAX)
                return;
        versions->items =
                mem_resize(versions->items, versions->count + 1, sizeof(*versions->items));
        item = &versions->items[versions->count++];
        snprintf(item->name, sizeof(item->name), "%s", name);
        snprintf(item->version, sizeof(item->version), "%s", version);
}

int github_list_runners_answer(
        const struct http_call *call, struct github_runner_versions *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        const cJSON *list = NULL;
        const cJSON *runner;
        int r = github_answer_list(call, "runners", advice, &body, &list, err);

        if (r < 0)
                return r;
        *ret = (struct github_runner_versions){0};
        cJSON_ArrayForEach (runner, list)
                add_runner(ret, runner);
        return 0;
}

void github_runner_versions_release(struct github_runner_versions *versions)
{
        free(versions->items);
        *versions = (struct github_runner_versions){0};
}
