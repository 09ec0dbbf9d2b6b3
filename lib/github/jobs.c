/* SPDX-License-Identifier: MIT */

/*
 * Asks GitHub for a job: whether it still waits for a runner, and which labels it asked for.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "call.h"
#include "github/github.h"

struct http_call *github_get_job(
        struct github *github, int64_t installation, const char *repository, int64_t id)
{
        _cleanup_free_ char *scope = mem_format("repos/%s", repository);
        struct http_call *call = http_call_new(
                "get job", "GET", "%s/%s/actions/jobs/%" PRId64, github->api_url, scope, id);

        if (!github_is_scope(scope))
                buf_clear(&call->url);
        github_call_prepare(call, github_any_token(github, installation));
        return call;
}

void github_job_release(struct github_job *job)
{
        for (size_t i = 0; i < job->n_labels; i++)
                free(job->labels[i]);
        free(job->labels);
        *job = (struct github_job){0};
}

static const struct github_advice advice[] = {
        {301, -ENOENT, "it was renamed or moved: use its present name"},
        {307, -ENOENT, "it was renamed or moved: use its present name"},
        {401, -EKEYREJECTED,
                "the token is not (or no longer) accepted: check the personal token, "
                "or for an App whether it was uninstalled or its permissions changed a moment ago"},
        {403, -EACCES,
                "the App or token needs the repository permission \"Actions: read\" "
                "(a change must be accepted for the installation)"},
        {0},
};

int github_get_job_answer(const struct http_call *call, struct github_job *ret, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        const char *status = NULL;
        const char *runner;
        int r;

        if (call->result >= 0 && call->status == 404)
                return GITHUB_NOT_FOUND;
        if (call->result < 0 || call->status / 100 != 2)
                return github_refused(call, call->what, advice, err);
        r = json_parse(buf_string(&call->answer), call->answer.size, "GitHub's answer", &body, err);
        if (r == 0)
                r = json_need_string(body, "status", &status, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        *ret = (struct github_job){0};
        snprintf(ret->status, sizeof(ret->status), "%s", status);
        runner = json_string(body, "runner_name");
        snprintf(ret->runner, sizeof(ret->runner), "%s", runner ? runner : "");
        github_read_labels(body, &ret->labels, &ret->n_labels);
        return 0;
}
