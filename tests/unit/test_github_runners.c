/* SPDX-License-Identifier: MIT */

/*
 * Runners at GitHub: a registration, a search or a deletion says exactly what happened, and a
 * refusal tells people what to change. No error text shows the token.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "github/github.h"
#include "script.h"
#include "unit.h"

#define API "https://ghes.example.com/api/v3"
#define REPOSITORY "repos/octo-org/hello.world"
#define ORGANIZATION "orgs/octo-org"
#define NAME "i-0123456789abcdef0"
#define TOKEN "ghp_verysecret"
#define JITCONFIG_MAX ((size_t)16 * 1024)

struct fixture {
        struct script *script;
        struct http *http;
        struct github github;
        struct err err;
};

static int set_up(void **state)
{
        struct fixture *fixture = mem_alloc(sizeof(*fixture));

        fixture->script = script_new();
        fixture->http = script_http(fixture->script);
        github_init_token(&fixture->github, script_clock(fixture->script), API, TOKEN);
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        assert_lacks(fixture->err.text, TOKEN);
        github_release(&fixture->github);
        http_free(fixture->http);
        free(fixture);
        return 0;
}

/* Each of these makes one call and reads its answer. */

static int generate(struct fixture *fixture, const char *scope, struct github_jitconfig *ret)
{
        static const char *const labels[] = {"self-hosted", "linux", "x\"64"};
        const struct github_runner_request request = {
                .scope = scope,
                .name = NAME,
                .labels = labels,
                .n_labels = ARRAY_SIZE(labels),
                .runner_group_id = 3,
        };
        _cleanup_(http_call_freep) struct http_call *call =
                github_generate_jitconfig(&fixture->github, &request);

        http_perform(fixture->http, call);
        return github_generate_jitconfig_answer(call, ret, &fixture->err);
}

static int find(struct fixture *fixture, const char *scope, const char *name, int64_t *ret_id)
{
        _cleanup_(http_call_freep) struct http_call *call =
                github_find_runner(&fixture->github, 0, scope, name);

        http_perform(fixture->http, call);
        return github_find_runner_answer(call, name, ret_id, &fixture->err);
}

static int remove_runner(struct fixture *fixture, const char *scope, int64_t id)
{
        _cleanup_(http_call_freep) struct http_call *call =
                github_delete_runner(&fixture->github, 0, scope, id);

        http_perform(fixture->http, call);
        return github_delete_runner_answer(call, &fixture->err);
}

static void expect_generate(
        struct fixture *fixture, int status, const char *headers, const char *answer)
{
        script_expect_headers(
                fixture->script, "POST", "/generate-jitconfig", NULL, status, headers, answer);
}

/* -- registering -- */

static void test_generate(void **state)
{
        struct fixture *fixture = *state;
        struct github_jitconfig jitconfig = {0};

        script_expect(fixture->script, "POST",
                API "/repos/octo-org/hello.world/actions/runners/generate-jitconfig",
                "{\"name\":\"" NAME "\",\"runner_group_id\":3,"
                "\"labels\":[\"self-hosted\",\"linux\",\"x\\\"64\"]}",
                201,
                "{\"runner\":{\"id\":23,\"name\":\"" NAME "\"},"
                "\"encoded_jit_config\":\"YWJjZA==\"}");
        assert_int_equal(generate(fixture, REPOSITORY, &jitconfig), 0);
        assert_string_equal(jitconfig.encoded, "YWJjZA==");
        assert_int_equal(jitconfig.runner_id, 23);
        assert_string_equal(script_last_headers(fixture->script),
                "Accept: application/vnd.github+json\n"
                "X-GitHub-Api-Version: 2022-11-28\n"
                "Authorization: Bearer " TOKEN "\n"
                "Content-Type: application/json\n");
        github_jitconfig_release(&jitconfig);
        assert_null(jitconfig.encoded);
}

static void test_organization_scope(void **state)
{
        struct fixture *fixture = *state;
        struct github_jitconfig jitconfig = {0};

        script_expect(fixture->script, "POST",
                API "/orgs/octo-org/actions/runners/generate-jitconfig", NULL, 201,
                "{\"runner\":{\"id\":1},\"encoded_jit_config\":\"YWJj\"}");
        assert_int_equal(generate(fixture, ORGANIZATION, &jitconfig), 0);
        github_jitconfig_release(&jitconfig);
}

static void test_name_taken(void **state)
{
        struct fixture *fixture = *state;

        expect_generate(fixture, 409, "",
                "{\"message\":\"Already exists - A runner with the name " NAME
                " already exists.\"}");
        assert_int_equal(generate(fixture, REPOSITORY, NULL), GITHUB_NAME_TAKEN);
}

/* The connection was lost after GitHub had registered the runner. */
static void test_lost_answer_shows_as_name_taken(void **state)
{
        struct fixture *fixture = *state;

        script_expect_failure(fixture->script, "POST", "/generate-jitconfig", -ECONNRESET);
        expect_generate(fixture, 409, "", "{}");
        assert_int_equal(generate(fixture, REPOSITORY, NULL), GITHUB_NAME_TAKEN);
}

static void test_answers_without_configuration(void **state)
{
        static const char *const answers[] = {
                "",
                "<html>",
                "null",
                "[]",
                "{\"runner\":{\"id\":1}}",
                "{\"runner\":{\"id\":1},\"encoded_jit_config\":\"\"}",
                "{\"runner\":{\"id\":1},\"encoded_jit_config\":5}",
                "{\"runner\":{\"id\":1},\"encoded_jit_config\":\"YWJjZA=\"}",
                "{\"runner\":{\"id\":1},\"encoded_jit_config\":\"====\"}",
                "{\"runner\":{\"id\":1},\"encoded_jit_config\":\"YWJj\\nYWJj\"}",
                "{\"runner\":{\"id\":\"1\"},\"encoded_jit_config\":\"YWJj\"}",
                "{\"runner\":{\"id\":1.5},\"encoded_jit_config\":\"YWJj\"}",
                "{\"encoded_jit_config\":\"YWJj\"}",
        };
        struct fixture *fixture = *state;
        struct github_jitconfig jitconfig = {.runner_id = -1};

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                expect_generate(fixture, 201, "", answers[i]);
                assert_int_equal(generate(fixture, REPOSITORY, &jitconfig), -EBADMSG);
                assert_contains(fixture->err.text, "generate-jitconfig: ");
                assert_lacks(fixture->err.text, "YWJj");
                assert_int_equal(jitconfig.runner_id, -1);
        }
}

static void test_configuration_is_bounded(void **state)
{
        struct fixture *fixture = *state;
        struct github_jitconfig jitconfig = {0};
        _cleanup_free_ char *base64 = mem_alloc(JITCONFIG_MAX + 5);
        _cleanup_free_ char *most = NULL;
        _cleanup_free_ char *more = NULL;

        memset(base64, 'A', JITCONFIG_MAX);
        most = mem_format("{\"runner\":{\"id\":1},\"encoded_jit_config\":\"%s\"}", base64);
        memset(base64, 'A', JITCONFIG_MAX + 4);
        more = mem_format("{\"runner\":{\"id\":1},\"encoded_jit_config\":\"%s\"}", base64);

        expect_generate(fixture, 201, "", more);
        assert_int_equal(generate(fixture, REPOSITORY, &jitconfig), -EBADMSG);
        expect_generate(fixture, 201, "", most);
        assert_int_equal(generate(fixture, REPOSITORY, &jitconfig), 0);
        github_jitconfig_release(&jitconfig);
}

/* -- refusals -- */

static void test_refusals_say_what_to_do(void **state)
{
        static const struct {
                const char *scope;
                int status;
                int result;
                const char *answer;
                const char *text;
        } cases[] = {
                {REPOSITORY, 401, -EKEYREJECTED, "{\"message\":\"Bad credentials\"}",
                        "for " REPOSITORY ": GitHub refused with HTTP status 401, \"Bad "
                        "credentials\": the token is not"},
                {REPOSITORY, 403, -EACCES,
                        "{\"message\":\"Resource not accessible by integration\"}",
                        "repository permission \"Administration: read and write\""},
                {ORGANIZATION, 403, -EACCES,
                        "{\"message\":\"Resource not accessible by integration\"}",
                        "organization permission \"Self-hosted runners: read and write\""},
                {REPOSITORY, 404, -ENOENT, "{\"message\":\"Not Found\"}",
                        "not installed on this repository"},
                {ORGANIZATION, 404, -ENOENT, "{\"message\":\"Not Found\"}", "runner group"},
                {REPOSITORY, 422, -EINVAL,
                        "{\"message\":\"Validation Failed\",\"errors\":[{\"resource\":\"Runner\","
                        "\"field\":\"labels\",\"code\":\"invalid\"},\"too many\",7,{}]}",
                        "\"Validation Failed; Runner labels invalid; too many\""},
                {REPOSITORY, 301, -ENOENT, "{\"message\":\"Moved Permanently\"}", "renamed"},
                {REPOSITORY, 418, -EPROTO, "short and stout", "418"},
                {REPOSITORY, 404, -ENOENT, "<html>no JSON</html>", "not installed"},
        };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                expect_generate(fixture, cases[i].status, "", cases[i].answer);
                assert_int_equal(generate(fixture, cases[i].scope, NULL), cases[i].result);
                assert_contains(fixture->err.text, cases[i].text);
        }
}

static void test_github_words_are_bounded(void **state)
{
        struct fixture *fixture = *state;
        struct buf words = BUF_INIT(5000);
        _cleanup_free_ char *answer = NULL;

        while (buf_add_string(&words, "ä") == 0)
                ;
        answer = mem_format("{\"message\":\"x%s\",\"errors\":[\"%s\",\"%s\"]}", words.data,
                words.data, words.data);
        expect_generate(fixture, 422, "", answer);
        assert_int_equal(generate(fixture, REPOSITORY, NULL), -EINVAL);
        assert_contains(fixture->err.text, "check the runner's name");
        assert_true(utf8_is_valid(fixture->err.text, strlen(fixture->err.text)));
        buf_release(&words);
}

/* -- rate limits -- */

static void test_retry_after_is_obeyed_when_it_fits(void **state)
{
        struct fixture *fixture = *state;
        struct github_jitconfig jitconfig = {0};
        int64_t before = clock_monotonic_ms(fixture->github.clock);

        expect_generate(fixture, 429, "Retry-After: 3\r\n", "{}");
        expect_generate(fixture, 403, "retry-after: 2\r\n", "{}");
        expect_generate(
                fixture, 201, "", "{\"runner\":{\"id\":1},\"encoded_jit_config\":\"YWJj\"}");
        assert_int_equal(generate(fixture, REPOSITORY, &jitconfig), 0);
        assert_true(clock_monotonic_ms(fixture->github.clock) - before >= 5000);
        github_jitconfig_release(&jitconfig);
}

static void test_rate_limits_say_how_long(void **state)
{
        static const struct {
                int status;
                const char *headers;
                const char *answer;
                const char *text;
        } cases[] = {
                {403, "Retry-After: 60\r\n",
                        "{\"message\":\"You have exceeded a secondary rate limit\"}",
                        "refuses calls for 60 s, too many were made: HTTP status 403, \"You have"},
                {403, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1767326645\r\n",
                        "{\"message\":\"API rate limit exceeded\"}",
                        "refuses calls until 2026-01-02T04:04:05.000Z"},
                {429, "x-ratelimit-remaining: 0\r\nX-RateLimit-Reset: 1767326645\r\n", "",
                        "refuses calls until 2026-01-02T04:04:05.000Z"},
                {403, "", "{\"message\":\"You have exceeded a secondary rate limit\"}",
                        "refuses calls, too many"},
                {429, "", "", "refuses calls, too many"},
        };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                expect_generate(fixture, cases[i].status, cases[i].headers, cases[i].answer);
                assert_int_equal(generate(fixture, REPOSITORY, NULL), -EAGAIN);
                assert_contains(fixture->err.text, cases[i].text);
        }
}

static void test_missing_permission_is_no_rate_limit(void **state)
{
        struct fixture *fixture = *state;

        expect_generate(fixture, 403,
                "x-ratelimit-remaining: 4999\r\nx-ratelimit-reset: 1767326645\r\n",
                "{\"message\":\"Resource not accessible by integration\"}");
        assert_int_equal(generate(fixture, REPOSITORY, NULL), -EACCES);
        assert_int_equal(script_requests(fixture->script), 1);
}

static void test_other_refusals_are_not_repeated(void **state)
{
        struct fixture *fixture = *state;

        expect_generate(fixture, 422, "Retry-After: 1\r\n", "{}");
        assert_int_equal(generate(fixture, REPOSITORY, NULL), -EINVAL);
        assert_int_equal(script_requests(fixture->script), 1);
}

static void test_server_errors_are_tried_three_times(void **state)
{
        struct fixture *fixture = *state;
        int64_t id = -1;

        for (int i = 0; i < 3; i++)
                script_expect(fixture->script, "GET", "/actions/runners", NULL, 503, "unavailable");
        assert_int_equal(find(fixture, REPOSITORY, NAME, &id), -EPROTO);
        assert_contains(fixture->err.text, "503");
        assert_int_equal(id, -1);
}

/* -- finding and removing -- */

static void test_find(void **state)
{
        struct fixture *fixture = *state;
        int64_t id = -1;

        script_expect(fixture->script, "GET",
                API "/orgs/octo-org/actions/runners?per_page=100&name=" NAME, NULL, 200,
                "{\"total_count\":3,\"runners\":[{\"id\":1,\"name\":\"" NAME "0\"},"
                "{\"id\":2},{\"id\":3,\"name\":\"" NAME "\"}]}");
        assert_int_equal(find(fixture, ORGANIZATION, NAME, &id), 0);
        assert_int_equal(id, 3);
}

static void test_find_escapes_the_name(void **state)
{
        struct fixture *fixture = *state;
        int64_t id = -1;

        script_expect(fixture->script, "GET", "name=a%26b%3D%2F%23", NULL, 200, "{\"runners\":[]}");
        assert_int_equal(find(fixture, REPOSITORY, "a&b=/#", &id), GITHUB_NOT_FOUND);
        assert_int_equal(id, -1);
}

static void test_find_wants_a_list_and_an_id(void **state)
{
        static const char *const answers[] = {
                "{}",
                "{\"runners\":{}}",
                "{\"runners\":[{\"name\":\"" NAME "\"}]}",
                "{\"runners\":[{\"name\":\"" NAME "\",\"id\":\"3\"}]}",
                "{\"runners\":[{\"name\":\"" NAME "\",\"id\":1e300}]}",
        };
        struct fixture *fixture = *state;
        int64_t id = -1;

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                script_expect(fixture->script, "GET", "/actions/runners", NULL, 200, answers[i]);
                assert_int_equal(find(fixture, REPOSITORY, NAME, &id), -EBADMSG);
                assert_int_equal(id, -1);
        }
}

static void test_delete(void **state)
{
        struct fixture *fixture = *state;

        script_expect(fixture->script, "DELETE",
                API "/repos/octo-org/hello.world/actions/runners/23", NULL, 204, "");
        assert_int_equal(remove_runner(fixture, REPOSITORY, 23), 0);
        script_expect(
                fixture->script, "DELETE", "/runners/24", NULL, 404, "{\"message\":\"Not Found\"}");
        assert_int_equal(remove_runner(fixture, REPOSITORY, 24), 0);
        script_expect(fixture->script, "DELETE", "/runners/25", NULL, 422,
                "{\"message\":\"Runner is currently running a job and cannot be deleted.\"}");
        assert_int_equal(remove_runner(fixture, REPOSITORY, 25), GITHUB_RUNNER_BUSY);
        script_expect(fixture->script, "DELETE", "/runners/26", NULL, 403, "{}");
        assert_int_equal(remove_runner(fixture, REPOSITORY, 26), -EACCES);
}

/* Scopes also come from tags and reports: a malformed one never becomes part of a URL. */
static void test_scopes_are_checked(void **state)
{
        static const char *const scopes[] = {
                "",
                "octo-org/hello",
                "orgs/",
                "orgs/..",
                "orgs/a/b",
                "repos/octo-org",
                "repos/octo-org/",
                "repos//hello",
                "repos/octo-org/..",
                "repos/../..",
                "repos/octo-org/hello/../other",
                "repos/octo-org/hello?x",
                "repos/octo-org/hello#",
                "repos/octo-org/%2e%2e",
                "repos/octo-org/a b",
                "repos/octo-org/a\r\nHost: evil",
                "users/octo-org",
        };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
                struct http_call *call = github_delete_runner(&fixture->github, 0, scopes[i], 1);

                assert_string_equal(buf_string(&call->url), "");
                call->result = -EINVAL; /* as http.c ends a call without a URL */
                assert_int_equal(github_delete_runner_answer(call, &fixture->err), -EINVAL);
                assert_contains(fixture->err.text, "repos/OWNER/REPOSITORY");
                http_call_free(call);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
                TEST(test_generate),
                TEST(test_organization_scope),
                TEST(test_name_taken),
                TEST(test_lost_answer_shows_as_name_taken),
                TEST(test_answers_without_configuration),
                TEST(test_configuration_is_bounded),
                TEST(test_refusals_say_what_to_do),
                TEST(test_github_words_are_bounded),
                TEST(test_retry_after_is_obeyed_when_it_fits),
                TEST(test_rate_limits_say_how_long),
                TEST(test_missing_permission_is_no_rate_limit),
                TEST(test_other_refusals_are_not_repeated),
                TEST(test_server_errors_are_tried_three_times),
                TEST(test_find),
                TEST(test_find_escapes_the_name),
                TEST(test_find_wants_a_list_and_an_id),
                TEST(test_delete),
                TEST(test_scopes_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
