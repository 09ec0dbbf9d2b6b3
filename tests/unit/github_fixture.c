/* SPDX-License-Identifier: MIT */

/*
 * See github_fixture.h.
 */

#include "github_fixture.h"

#include <stdlib.h>

#include "base/mem.h"
#include "unit.h"

int github_set_up(void **state)
{
        struct github_fixture *fixture = mem_alloc(sizeof(*fixture));

        fixture->script = script_new();
        fixture->http = script_http(fixture->script);
        github_init_token(
                &fixture->github, script_clock(fixture->script), GITHUB_API, GITHUB_TOKEN);
        *state = fixture;
        return 0;
}

int github_tear_down(void **state)
{
        struct github_fixture *fixture = *state;

        assert_lacks(fixture->err.text, GITHUB_TOKEN);
        github_release(&fixture->github);
        http_free(fixture->http);
        free(fixture);
        return 0;
}

void github_fixture_expect(
        struct github_fixture *fixture, int status, const char *headers, const char *answer)
{
        script_expect_headers(
                fixture->script, "POST", "/generate-jitconfig", NULL, status, headers, answer);
}

int github_fixture_generate(
        struct github_fixture *fixture, const char *scope, struct github_jitconfig *ret)
{
        static const char *const labels[] = {"self-hosted", "linux", "x\"64"};
        const struct github_runner_request request = {
                .scope = scope,
                .name = GITHUB_NAME,
                .labels = labels,
                .n_labels = ARRAY_SIZE(labels),
                .runner_group_id = 3,
        };
        _cleanup_(http_call_freep) struct http_call *call =
                github_generate_jitconfig(&fixture->github, &request);

        http_perform(fixture->http, call);
        return github_generate_jitconfig_answer(call, ret, &fixture->err);
}

int github_fixture_find(
        struct github_fixture *fixture, const char *scope, const char *name, int64_t *ret_id)
{
        _cleanup_(http_call_freep) struct http_call *call =
                github_find_runner(&fixture->github, 0, scope, name);
        struct github_runner runner = {0};
        int r;

        http_perform(fixture->http, call);
        r = github_find_runner_answer(call, name, &runner, &fixture->err);
        if (r == 0)
                *ret_id = runner.id;
        return r;
}
