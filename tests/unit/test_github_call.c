/* SPDX-License-Identifier: MIT */

/*
 * Calls to GitHub: a refusal tells people what to change, a rate limit how long to wait, and a call
 * is repeated only where GitHub allows it.
 */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "github_fixture.h"
#include "unit.h"

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
                {GITHUB_REPOSITORY, 401, -EKEYREJECTED, "{\"message\":\"Bad credentials\"}",
                        "for " GITHUB_REPOSITORY ": GitHub refused with HTTP status 401, \"Bad "
                        "credentials\": the token is not"},
                {GITHUB_REPOSITORY, 403, -EACCES,
                        "{\"message\":\"Resource not accessible by integration\"}",
                        "repository permission \"Administration: read and write\""},
                {GITHUB_ORGANIZATION, 403, -EACCES,
                        "{\"message\":\"Resource not accessible by integration\"}",
                        "organization permission \"Self-hosted runners: read and write\""},
                {GITHUB_REPOSITORY, 404, -ENOENT, "{\"message\":\"Not Found\"}",
                        "not installed on this repository"},
                {GITHUB_ORGANIZATION, 404, -ENOENT, "{\"message\":\"Not Found\"}", "runner group"},
                {GITHUB_REPOSITORY, 422, -EINVAL,
                        "{\"message\":\"Validation Failed\",\"errors\":[{\"resource\":\"Runner\","
                        "\"field\":\"labels\",\"code\":\"invalid\"},\"too many\",7,{}]}",
                        "\"Validation Failed; Runner labels invalid; too many\""},
                {GITHUB_REPOSITORY, 301, -ENOENT, "{\"message\":\"Moved Permanently\"}", "renamed"},
                {GITHUB_REPOSITORY, 418, -EPROTO, "short and stout", "418"},
                {GITHUB_REPOSITORY, 404, -ENOENT, "<html>no JSON</html>", "not installed"},
        };
        struct github_fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                github_fixture_expect(fixture, cases[i].status, "", cases[i].answer);
                assert_int_equal(
                        github_fixture_generate(fixture, cases[i].scope, NULL), cases[i].result);
                assert_contains(fixture->err.text, cases[i].text);
        }
}

static void test_github_words_are_bounded(void **state)
{
        struct github_fixture *fixture = *state;
        struct buf words = BUF_INIT(5000);
        _cleanup_free_ char *answer = NULL;

        while (buf_add_string(&words, "ä") == 0)
                ;
        answer = mem_format("{\"message\":\"x%s\",\"errors\":[\"%s\",\"%s\"]}", words.data,
                words.data, words.data);
        github_fixture_expect(fixture, 422, "", answer);
        assert_int_equal(github_fixture_generate(fixture, GITHUB_REPOSITORY, NULL), -EINVAL);
        assert_contains(fixture->err.text, "check the runner's name");
        assert_true(utf8_is_valid(fixture->err.text, strlen(fixture->err.text)));
        buf_release(&words);
}

/* -- rate limits -- */

static void test_retry_after_is_obeyed_when_it_fits(void **state)
{
        struct github_fixture *fixture = *state;
        struct github_jitconfig jitconfig = {0};
        int64_t before = clock_monotonic_ms(fixture->github.clock);

        github_fixture_expect(fixture, 429, "Retry-After: 3\r\n", "{}");
        github_fixture_expect(fixture, 403, "retry-after: 2\r\n", "{}");
        github_fixture_expect(
                fixture, 201, "", "{\"runner\":{\"id\":1},\"encoded_jit_config\":\"YWJj\"}");
        assert_int_equal(github_fixture_generate(fixture, GITHUB_REPOSITORY, &jitconfig), 0);
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
        struct github_fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                github_fixture_expect(fixture, cases[i].status, cases[i].headers, cases[i].answer);
                assert_int_equal(
                        github_fixture_generate(fixture, GITHUB_REPOSITORY, NULL), -EAGAIN);
                assert_contains(fixture->err.text, cases[i].text);
        }
}

static void test_missing_permission_is_no_rate_limit(void **state)
{
        struct github_fixture *fixture = *state;

        github_fixture_expect(fixture, 403,
                "x-ratelimit-remaining: 4999\r\nx-ratelimit-reset: 1767326645\r\n",
                "{\"message\":\"Resource not accessible by integration\"}");
        assert_int_equal(github_fixture_generate(fixture, GITHUB_REPOSITORY, NULL), -EACCES);
        assert_int_equal(script_requests(fixture->script), 1);
}

static void test_other_refusals_are_not_repeated(void **state)
{
        struct github_fixture *fixture = *state;

        github_fixture_expect(fixture, 422, "Retry-After: 1\r\n", "{}");
        assert_int_equal(github_fixture_generate(fixture, GITHUB_REPOSITORY, NULL), -EINVAL);
        assert_int_equal(script_requests(fixture->script), 1);
}

static void test_server_errors_are_tried_three_times(void **state)
{
        struct github_fixture *fixture = *state;
        int64_t id = -1;

        for (int i = 0; i < 3; i++)
                script_expect(fixture->script, "GET", "/actions/runners", NULL, 503, "unavailable");
        assert_int_equal(
                github_fixture_find(fixture, GITHUB_REPOSITORY, GITHUB_NAME, &id), -EPROTO);
        assert_contains(fixture->err.text, "503");
        assert_int_equal(id, -1);
}

#define NOW INT64_C(1767323045000)

/* What passes parks a job, and what does not is final. */
static void test_refusals_pass_or_stay(void **state)
{
        static const struct {
                int status;
                const char *headers;
                bool passing;
                int64_t until_ms;
        } rows[] = {
                {500, "", true, 0},
                {503, "", true, 0},
                {401, "", true, 0},
                {429, "", true, 0},
                {429, "Retry-After: 60\r\n", true, NOW + 60000},
                {429, "Retry-After: 010\r\n", true, NOW + 10000},
                {403, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1767326645\r\n", true,
                        INT64_C(1767326645000)},
                {429, "Retry-After: Fri, 02 Jan 2026 04:04:05 GMT\r\n", true, 0},
                {429, "Retry-After: 99999999999999999999\r\n", true, 0},
                {429, "Retry-After: 31536000\r\n", true, NOW + 65 * 60000},
                {403, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 99999999999\r\n", true,
                        NOW + 65 * 60000},
                /* Another limit than that of the hour, which GitHub tells of with each answer. */
                {429, "x-ratelimit-remaining: 4000\r\nx-ratelimit-reset: 1767326645\r\n", true, 0},
                {429, "x-ratelimit-reset: 1767326645\r\n", true, 0},
                {403, "", false, 0},
                {404, "", false, 0},
                {410, "", false, 0},
                {422, "", false, 0},
                {301, "", false, 0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        http_call_new("call", "GET", "%s", GITHUB_API);
                int64_t until_ms = -1;

                call->status = rows[i].status;
                buf_add_string(&call->answer_headers, rows[i].headers);
                assert_int_equal(github_call_is_passing(call, NOW, &until_ms), rows[i].passing);
                assert_int_equal(until_ms, rows[i].until_ms);
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, github_set_up, github_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_refusals_say_what_to_do),
                TEST(test_github_words_are_bounded),
                TEST(test_retry_after_is_obeyed_when_it_fits),
                TEST(test_rate_limits_say_how_long),
                TEST(test_missing_permission_is_no_rate_limit),
                TEST(test_other_refusals_are_not_repeated),
                TEST(test_refusals_pass_or_stay),
                TEST(test_server_errors_are_tried_three_times),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
