/* SPDX-License-Identifier: MIT */

/*
 * Versions of GitHub's runner: what was published counts, whatever else a list holds; a version is
 * overtaken from the first newer one on.
 */

#include <errno.h>

#include "answer.h"
#include "github/versions.h"
#include "unit.h"

#define RELEASE(tag, day) "{\"tag_name\":\"" tag "\",\"published_at\":\"" day "T00:00:00Z\"}"
#define DAY_MS (24 * 3600 * MSEC_PER_SEC)

static int set_up(void **state)
{
        *state = http_call_new("list", "GET", "https://api.github.com/");
        return 0;
}

static int tear_down(void **state)
{
        http_call_free(*state);
        return 0;
}

static void a_version_is_overtaken_by_the_first_newer_one(void **state)
{
        _cleanup_(github_versions_release) struct github_versions versions = {0};
        int64_t first;

        answer(*state, 200,
                "[" RELEASE("v2.99.0", "2026-11-09") "," RELEASE(
                        "v2.338.0", "2026-10-06") "," RELEASE("v2.337.1",
                        "2026-09-01") "," RELEASE("v2.336.0", "2026-07-20") "]");
        assert_int_equal(github_list_versions_answer(*state, &versions, NULL), 0);
        assert_int_equal(versions.count, 4);
        assert_string_equal(github_newest_version(&versions)->text, "2.338.0");
        assert_int_equal(clock_parse("2026-09-01T00:00:00Z", &first), 0);
        assert_int_equal(github_outdated_since_ms(&versions, "2.336.0"), first);
        assert_int_equal(github_outdated_since_ms(&versions, "2.337.0"), first);
        assert_int_equal(github_outdated_since_ms(&versions, "2.337.1"), first + 35 * DAY_MS);
        assert_int_equal(github_outdated_since_ms(&versions, "2.338.0"), 0);
        assert_int_equal(github_outdated_since_ms(&versions, "2.339.0"), 0);
}

static void what_is_no_release_does_not_count(void **state)
{
        _cleanup_(github_versions_release) struct github_versions versions = {0};

        answer(*state, 200,
                "[7,{},{\"tag_name\":7}," RELEASE("2.1.0", "2026-01-01") "," RELEASE("v2.339.0-rc1",
                        "2026-01-01") "," RELEASE("vnext", "2026-01-01") "," RELEASE("v2.340.0",
                        "soon") "," RELEASE("v1111111.1111111.1111111.1",
                        "2026-01-01") ",{\"tag_name\":\"v2.341.0\",\"draft\":true,\"published_at\":"
                                      "\"2026-01-01T00:00:00Z\"}"
                                      ",{\"tag_name\":\"v2.342.0\",\"prerelease\":true,"
                                      "\"published_at\":\"2026-01-01T00:00:00Z\"}"
                                      ",{\"tag_name\":\"v2.343.0\",\"published_at\":null}]");
        assert_int_equal(github_list_versions_answer(*state, &versions, NULL), 0);
        assert_int_equal(versions.count, 0);
        assert_null(github_newest_version(&versions));
}

static void no_list_is_no_answer(void **state)
{
        struct github_versions versions = {.count = 77};
        struct github_runner_versions runners = {.count = 77};
        struct err err;

        answer(*state, 404, "{\"message\":\"Not Found\"}");
        assert_int_equal(github_list_versions_answer(*state, &versions, &err), GITHUB_NOT_FOUND);
        assert_int_equal(github_list_runners_answer(*state, &runners, &err), -ENOENT);
        answer(*state, 200, "{\"runners\":{}}");
        assert_int_equal(github_list_versions_answer(*state, &versions, &err), -EBADMSG);
        assert_contains(err.text, "a list is needed, found an object");
        assert_int_equal(github_list_runners_answer(*state, &runners, &err), -EBADMSG);
        answer(*state, 401, "{\"message\":\"Bad credentials\"}");
        assert_int_equal(github_list_versions_answer(*state, &versions, &err), -EKEYREJECTED);
        assert_int_equal(versions.count + runners.count, 2 * 77);
}

static void runners_have_versions_once_they_connected(void **state)
{
        _cleanup_(github_runner_versions_release) struct github_runner_versions runners = {0};

        answer(*state, 200,
                "{\"total_count\":4,\"runners\":[{\"name\":\"i-1\",\"version\":null},"
                "{\"name\":\"i-2\",\"version\":\"2.338.0\"},{\"version\":\"2.1.0\"},"
                "{\"name\":\"i-3\",\"version\":\"a b\"}]}");
        assert_int_equal(github_list_runners_answer(*state, &runners, NULL), 0);
        assert_int_equal(runners.count, 1);
        assert_string_equal(runners.items[0].name, "i-2");
        assert_string_equal(runners.items[0].version, "2.338.0");
}

static void calls_carry_the_token_and_only_scopes(void **state)
{
        struct github github;
        struct http_call *call;

        (void)state;
        github_init_token(&github, &clock_system, "https://api.github.com", "t");
        call = github_list_versions(&github, 0);
        assert_string_equal(buf_string(&call->url),
                "https://api.github.com/repos/actions/runner/releases?per_page=20");
        assert_contains(buf_string(&call->headers), "Bearer t");
        http_call_free(call);
        call = github_list_runners(&github, 0, "orgs/o");
        assert_string_equal(buf_string(&call->url),
                "https://api.github.com/orgs/o/actions/runners?per_page=100");
        http_call_free(call);
        call = github_list_runners(&github, 0, "orgs/o/../x");
        assert_int_equal(call->url.size, 0);
        http_call_free(call);
        github_release(&github);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_version_is_overtaken_by_the_first_newer_one),
                TEST(what_is_no_release_does_not_count),
                TEST(no_list_is_no_answer),
                TEST(runners_have_versions_once_they_connected),
                TEST(calls_carry_the_token_and_only_scopes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
