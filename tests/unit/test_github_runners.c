/* SPDX-License-Identifier: MIT */

/*
 * Runners at GitHub: a registration, a search or a deletion says exactly what happened.
 */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "github_fixture.h"
#include "unit.h"

#define JITCONFIG_MAX ((size_t)16 * 1024)

static int remove_runner(struct github_fixture *fixture, const char *scope, int64_t id)
{
        _cleanup_(http_call_freep) struct http_call *call =
                github_delete_runner(&fixture->github, 0, scope, id);

        http_perform(fixture->http, call);
        return github_delete_runner_answer(call, &fixture->err);
}

/* -- registering -- */

static void test_generate(void **state)
{
        struct github_fixture *fixture = *state;
        struct github_jitconfig jitconfig = {0};

        script_expect(fixture->script, "POST",
                GITHUB_API "/repos/octo-org/hello.world/actions/runners/generate-jitconfig",
                "{\"name\":\"" GITHUB_NAME "\",\"runner_group_id\":3,"
                "\"labels\":[\"self-hosted\",\"linux\",\"x\\\"64\"],"
                "\"work_folder\":\"/home/runner/work\"}",
                201,
                "{\"runner\":{\"id\":23,\"name\":\"" GITHUB_NAME "\"},"
                "\"encoded_jit_config\":\"YWJjZA==\"}");
        assert_int_equal(github_fixture_generate(fixture, GITHUB_REPOSITORY, &jitconfig), 0);
        assert_string_equal(jitconfig.encoded, "YWJjZA==");
        assert_int_equal(jitconfig.runner_id, 23);
        assert_string_equal(script_last_headers(fixture->script),
                "Accept: application/vnd.github+json\n"
                "X-GitHub-Api-Version: 2022-11-28\n"
                "Authorization: Bearer " GITHUB_TOKEN "\n"
                "Content-Type: application/json\n");
        github_jitconfig_release(&jitconfig);
        assert_null(jitconfig.encoded);
}

static void test_organization_scope(void **state)
{
        struct github_fixture *fixture = *state;
        struct github_jitconfig jitconfig = {0};

        script_expect(fixture->script, "POST",
                GITHUB_API "/orgs/octo-org/actions/runners/generate-jitconfig", NULL, 201,
                "{\"runner\":{\"id\":1},\"encoded_jit_config\":\"YWJj\"}");
        assert_int_equal(github_fixture_generate(fixture, GITHUB_ORGANIZATION, &jitconfig), 0);
        github_jitconfig_release(&jitconfig);
}

static void test_name_taken(void **state)
{
        struct github_fixture *fixture = *state;

        github_fixture_expect(fixture, 409, "",
                "{\"message\":\"Already exists - A runner with the name " GITHUB_NAME
                " already exists.\"}");
        assert_int_equal(
                github_fixture_generate(fixture, GITHUB_REPOSITORY, NULL), GITHUB_NAME_TAKEN);
}

/* The connection was lost after GitHub had registered the runner. */
static void test_lost_answer_shows_as_name_taken(void **state)
{
        struct github_fixture *fixture = *state;

        script_expect_failure(fixture->script, "POST", "/generate-jitconfig", -ECONNRESET);
        github_fixture_expect(fixture, 409, "", "{}");
        assert_int_equal(
                github_fixture_generate(fixture, GITHUB_REPOSITORY, NULL), GITHUB_NAME_TAKEN);
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
        struct github_fixture *fixture = *state;
        struct github_jitconfig jitconfig = {.runner_id = -1};

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                github_fixture_expect(fixture, 201, "", answers[i]);
                assert_int_equal(
                        github_fixture_generate(fixture, GITHUB_REPOSITORY, &jitconfig), -EBADMSG);
                assert_contains(fixture->err.text, "generate-jitconfig: ");
                assert_lacks(fixture->err.text, "YWJj");
                assert_int_equal(jitconfig.runner_id, -1);
        }
}

static void test_configuration_is_bounded(void **state)
{
        struct github_fixture *fixture = *state;
        struct github_jitconfig jitconfig = {0};
        _cleanup_free_ char *base64 = mem_alloc(JITCONFIG_MAX + 5);
        _cleanup_free_ char *most = NULL;
        _cleanup_free_ char *more = NULL;

        memset(base64, 'A', JITCONFIG_MAX);
        most = mem_format("{\"runner\":{\"id\":1},\"encoded_jit_config\":\"%s\"}", base64);
        memset(base64, 'A', JITCONFIG_MAX + 4);
        more = mem_format("{\"runner\":{\"id\":1},\"encoded_jit_config\":\"%s\"}", base64);

        github_fixture_expect(fixture, 201, "", more);
        assert_int_equal(github_fixture_generate(fixture, GITHUB_REPOSITORY, &jitconfig), -EBADMSG);
        github_fixture_expect(fixture, 201, "", most);
        assert_int_equal(github_fixture_generate(fixture, GITHUB_REPOSITORY, &jitconfig), 0);
        github_jitconfig_release(&jitconfig);
}

/* -- finding and removing -- */

static void test_find(void **state)
{
        struct github_fixture *fixture = *state;
        int64_t id = -1;

        script_expect(fixture->script, "GET",
                GITHUB_API "/orgs/octo-org/actions/runners?per_page=100&name=" GITHUB_NAME, NULL,
                200,
                "{\"total_count\":3,\"runners\":[{\"id\":1,\"name\":\"" GITHUB_NAME "0\"},"
                "{\"id\":2},{\"id\":3,\"name\":\"" GITHUB_NAME "\"}]}");
        assert_int_equal(github_fixture_find(fixture, GITHUB_ORGANIZATION, GITHUB_NAME, &id), 0);
        assert_int_equal(id, 3);
}

static void test_find_escapes_the_name(void **state)
{
        struct github_fixture *fixture = *state;
        int64_t id = -1;

        script_expect(fixture->script, "GET", "name=a%26b%3D%2F%23", NULL, 200, "{\"runners\":[]}");
        assert_int_equal(
                github_fixture_find(fixture, GITHUB_REPOSITORY, "a&b=/#", &id), GITHUB_NOT_FOUND);
        assert_int_equal(id, -1);
}

static void test_find_wants_a_list_and_an_id(void **state)
{
        static const char *const answers[] = {
                "{}",
                "{\"runners\":{}}",
                "{\"runners\":[{\"name\":\"" GITHUB_NAME "\"}]}",
                "{\"runners\":[{\"name\":\"" GITHUB_NAME "\",\"id\":\"3\"}]}",
                "{\"runners\":[{\"name\":\"" GITHUB_NAME "\",\"id\":1e300}]}",
        };
        struct github_fixture *fixture = *state;
        int64_t id = -1;

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                script_expect(fixture->script, "GET", "/actions/runners", NULL, 200, answers[i]);
                assert_int_equal(github_fixture_find(fixture, GITHUB_REPOSITORY, GITHUB_NAME, &id),
                        -EBADMSG);
                assert_int_equal(id, -1);
        }
}

/* A refusal may look like a list. */
static void test_find_is_refused(void **state)
{
        struct github_fixture *fixture = *state;
        int64_t id = -1;

        script_expect(fixture->script, "GET", "/actions/runners", NULL, 403, "{\"runners\":[]}");
        assert_int_equal(
                github_fixture_find(fixture, GITHUB_REPOSITORY, GITHUB_NAME, &id), -EACCES);
        assert_int_equal(id, -1);
}

static void test_delete(void **state)
{
        struct github_fixture *fixture = *state;

        script_expect(fixture->script, "DELETE",
                GITHUB_API "/repos/octo-org/hello.world/actions/runners/23", NULL, 204, "");
        assert_int_equal(remove_runner(fixture, GITHUB_REPOSITORY, 23), 0);
        script_expect(
                fixture->script, "DELETE", "/runners/24", NULL, 404, "{\"message\":\"Not Found\"}");
        assert_int_equal(remove_runner(fixture, GITHUB_REPOSITORY, 24), 0);
        script_expect(fixture->script, "DELETE", "/runners/25", NULL, 422,
                "{\"message\":\"Runner is currently running a job and cannot be deleted.\"}");
        assert_int_equal(remove_runner(fixture, GITHUB_REPOSITORY, 25), GITHUB_RUNNER_BUSY);
        script_expect(fixture->script, "DELETE", "/runners/26", NULL, 403, "{}");
        assert_int_equal(remove_runner(fixture, GITHUB_REPOSITORY, 26), -EACCES);
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
                "enterprises/",
                "enterprises/../orgs/octo-org",
                "enterprises/a/b",
        };
        struct github_fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
                struct http_call *call = github_delete_runner(&fixture->github, 0, scopes[i], 1);

                assert_string_equal(buf_string(&call->url), "");
                call->result = -EINVAL; /* as http.c ends a call without a URL */
                assert_int_equal(github_delete_runner_answer(call, &fixture->err), -EINVAL);
                assert_contains(fixture->err.text, "repos/OWNER/REPOSITORY");
                http_call_free(call);
        }
}

/* Runners of an enterprise are registered with a classic token, which GITHUB has in place of an
 * App. */
static void test_runners_of_an_enterprise(void **state)
{
        struct github_fixture *fixture = *state;

        script_expect(
                fixture->script, "DELETE", "/enterprises/orgs/actions/runners/23", NULL, 204, "");
        assert_int_equal(remove_runner(fixture, "enterprises/orgs", 23), 0);
        script_expect(fixture->script, "DELETE", "/enterprises/orgs/actions/runners/24", NULL, 403,
                "{\"message\":\"Resource not accessible by integration\"}");
        assert_int_equal(remove_runner(fixture, "enterprises/orgs", 24), -EACCES);
        assert_contains(fixture->err.text, "delete runner for enterprises/orgs: ");
        assert_contains(fixture->err.text, "manage_runners:enterprise");
        assert_true(github_is_enterprise("enterprises/octo-corp"));
        assert_false(github_is_enterprise("orgs/enterprises"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, github_set_up, github_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_generate),
                TEST(test_organization_scope),
                TEST(test_name_taken),
                TEST(test_lost_answer_shows_as_name_taken),
                TEST(test_answers_without_configuration),
                TEST(test_configuration_is_bounded),
                TEST(test_find),
                TEST(test_find_escapes_the_name),
                TEST(test_find_wants_a_list_and_an_id),
                TEST(test_find_is_refused),
                TEST(test_delete),
                TEST(test_scopes_are_checked),
                TEST(test_runners_of_an_enterprise),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
