/* SPDX-License-Identifier: MIT */

/*
 * GitHub's answers: to generate-jitconfig, to the search for a runner, with a token, and about the
 * App itself. The input is the body of an answer, which each reader gets with the status of a
 * success and with that of a refusal.
 */

#include "fuzz.h"
#include "github/app.h"
#include "github/github.h"
#include "github/hooks.h"
#include "github/runs.h"
#include "github/versions.h"

#define SCOPE_URL "https://api.github.com/repos/octo-org/hello/actions/runners"

static void read_jitconfig(const struct http_call *call)
{
        struct github_jitconfig jitconfig = {0};
        struct err err;
        int r = github_generate_jitconfig_answer(call, &jitconfig, &err);

        CHECK((r == 0) == (jitconfig.encoded != NULL));
        CHECK(r != 0 || strlen(jitconfig.encoded) <= (size_t)16 * 1024);
        github_jitconfig_release(&jitconfig);
}

static void read_runners(const struct http_call *call)
{
        struct github_runner runner = {.id = -1};
        struct err err;

        CHECK(github_find_runner_answer(call, "i-0123456789abcdef0", &runner, &err) == 0 ||
                runner.id == -1);
        github_delete_runner_answer(call, &err);
}

static void read_token(const struct http_call *call)
{
        struct github github;
        struct err err;
        int r;

        github_init_app(&github, &clock_system, "https://api.github.com", "1", "");
        r = github_access_token_answer(&github, call, 7, &err);
        CHECK((r == 0) == (github.n_tokens == 1));
        github_release(&github);
}

/* Whatever the scope is, a call stays below GitHub's URL, or is none. */
static void ask_for_runners(const char *scope)
{
        static const char api[] = "https://api.github.com";
        struct http_call *runners;
        struct http_call *versions;
        struct github github;

        github_init_token(&github, &clock_system, api, "token");
        runners = github_list_runners(&github, 7, scope);
        versions = github_list_versions(&github, 7);
        CHECK(runners->url.size == 0 || strncmp(buf_string(&runners->url), api, strlen(api)) == 0);
        CHECK(strncmp(buf_string(&versions->url), api, strlen(api)) == 0);
        http_call_free(runners);
        http_call_free(versions);
        github_release(&github);
}

static void read_versions(const struct http_call *call)
{
        struct github_runner_versions runners = {0};
        struct github_versions versions = {0};
        struct err err;

        if (github_list_versions_answer(call, &versions, &err) == 0) {
                CHECK((github_newest_version(&versions) != NULL) == (versions.count > 0));
                CHECK(github_outdated_since_ms(&versions, "999999999.0.0") == 0);
                github_versions_release(&versions);
        }
        if (github_list_runners_answer(call, &runners, &err) == 0) {
                for (size_t i = 0; i < runners.count; i++)
                        CHECK(runners.items[i].version[0]);
                github_runner_versions_release(&runners);
        }
}

static void read_app(const struct http_call *call)
{
        struct github_installations installations = {0};
        struct github_deliveries deliveries = {0};
        struct github_hooks hooks = {0};
        struct github_hook hook = {0};
        struct github_app app = {0};
        struct err err;

        CHECK(github_get_app_answer(call, &app, &err) != 0 || app.name[0]);
        CHECK(github_hook_answer(call, &hook, &err) != 0 || strlen(hook.url) < sizeof(hook.url));
        if (github_list_installations_answer(call, &installations, &err) == 0)
                github_installations_release(&installations);
        if (github_list_deliveries_answer(call, &deliveries, &err) == 0)
                github_deliveries_release(&deliveries);
        if (github_list_hooks_answer(call, &hooks, &err) == 0) {
                for (size_t i = 0; i < hooks.count; i++)
                        CHECK(strlen(hooks.items[i].url) < sizeof(hooks.items[i].url));
                github_hooks_release(&hooks);
        }
}

static void read_runs(const struct http_call *call)
{
        struct github_run_jobs jobs = {0};
        struct github_runs runs = {0};
        struct github_run run = {.id = -1};
        struct err err;

        CHECK((github_get_run_answer(call, &run, &err) == 0) == (run.id != -1));
        CHECK(github_list_runs_answer(call, &runs, &err) == 0 || !runs.items);
        (void)github_list_run_jobs_answer(call, &jobs, &err);
        for (size_t i = 0; i < jobs.count; i++)
                CHECK(jobs.items[i].n_labels <= GITHUB_LABELS_MAX);
        (void)github_rerun_answer(call, &err);
        github_run_jobs_release(&jobs);
        github_runs_release(&runs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const int statuses[] = {201, 403, 422, 404};

        _cleanup_free_ char *text = mem_format("%.*s", (int)size, (const char *)data);

        ask_for_runners(text);
        ask_for_runners("repos/o/r");
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                struct http_call *call = http_call_new("fuzz", "GET", SCOPE_URL);

                call->status = statuses[i];
                call->answer.limit = call->answer_limit;
                buf_add(&call->answer, data, size);
                read_jitconfig(call);
                read_runners(call);
                read_token(call);
                read_app(call);
                read_versions(call);
                read_runs(call);
                http_call_free(call);
        }
        return 0;
}
