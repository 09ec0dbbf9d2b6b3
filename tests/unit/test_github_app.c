/* SPDX-License-Identifier: MIT */

/*
 * GitHub's answers about an App, which `scaler setup` and `scaler doctor` rely on: its permissions,
 * its installations, its webhook and the latest deliveries.
 */

#include <errno.h>
#include <stdlib.h>

#include "answer.h"
#include "base/mem.h"
#include "github/app.h"
#include "github/hooks.h"
#include "unit.h"

static int set_up(void **state)
{
        *state = http_call_new("get App", "GET", "https://api.github.com/app");
        return 0;
}

static int tear_down(void **state)
{
        http_call_free(*state);
        return 0;
}

static unsigned grants_of(struct http_call *call, const char *permissions, const char *events)
{
        _cleanup_free_ char *body = mem_format(
                "{\"name\":\"x\",\"permissions\":%s,\"events\":%s}", permissions, events);
        struct github_app app = {0};

        answer(call, 200, body);
        assert_int_equal(github_get_app_answer(call, &app, NULL), 0);
        return app.grants;
}

static void grants_follow_permissions_and_events(void **state)
{
        assert_int_equal(grants_of(*state, "{}", "[]"), 0);
        assert_int_equal(grants_of(*state, "null", "{}"), 0);
        assert_int_equal(grants_of(*state, "{\"administration\":\"read\"}", "[\"push\",1]"), 0);
        assert_int_equal(grants_of(*state, "{\"administration\":\"write\"}", "[\"workflow_job\"]"),
                GITHUB_MAY_ADMINISTER | GITHUB_HEARS_JOBS);
        assert_int_equal(
                grants_of(*state, "{\"actions\":\"read\"}", "[]"), GITHUB_MAY_READ_ACTIONS);
        assert_int_equal(grants_of(*state, "{\"actions\":\"write\"}", "[]"),
                GITHUB_MAY_READ_ACTIONS | GITHUB_MAY_RERUN);
        assert_int_equal(
                grants_of(*state, "{\"organization_self_hosted_runners\":\"write\"}", "[]"),
                GITHUB_MAY_RUN_ORGANIZATION);
}

static void grants_are_called_as_github_calls_them(void **state)
{
        _cleanup_buf_ struct buf names = BUF_INIT(256);

        (void)state;
        github_name_grants(GITHUB_MAY_ADMINISTER | GITHUB_HEARS_JOBS, &names);
        assert_string_equal(buf_string(&names), "administration: write, event workflow_job");
}

static void refusals_say_what_to_check(void **state)
{
        static const struct {
                int status;
                int code;
                const char *text;
        } refusals[] = {
                {401, -EKEYREJECTED, "private key does not belong to this App"},
                {404, -ENOENT, "check the App id"},
                {403, -EACCES, "suspended"},
        };
        struct github_app app = {.name = "untouched"};
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
                answer(*state, refusals[i].status, "{\"message\":\"no\"}");
                assert_int_equal(github_get_app_answer(*state, &app, &err), refusals[i].code);
                assert_contains(err.text, refusals[i].text);
        }
        answer_nothing(*state, -ECONNREFUSED);
        assert_int_equal(github_get_app_answer(*state, &app, &err), -ECONNREFUSED);
        assert_string_equal(app.name, "untouched");
}

static void answers_that_make_no_sense_are_refused(void **state)
{
        static const char *const garbage[] = {"", "[", "null", "[]", "{}", "{\"name\":5}"};
        struct github_installations installations = {.count = 77};
        struct github_deliveries deliveries = {.count = 77};
        struct github_app app;
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
                answer(*state, 200, garbage[i]);
                assert_int_equal(github_get_app_answer(*state, &app, &err), -EBADMSG);
        }
        answer(*state, 200, "{}");
        assert_int_equal(github_list_installations_answer(*state, &installations, &err), -EBADMSG);
        assert_int_equal(github_list_deliveries_answer(*state, &deliveries, &err), -EBADMSG);
        assert_int_equal(installations.count, 77);
        assert_int_equal(deliveries.count, 77);
}

static void installations_have_their_own_grants(void **state)
{
        _cleanup_(github_installations_release) struct github_installations found = {0};

        answer(*state, 200,
                "[{\"id\":4711,\"account\":{\"login\":\"octo\"},\"suspended_at\":null,"
                "\"permissions\":{\"actions\":\"read\"},\"events\":[]},"
                "{\"id\":2,\"account\":null,\"suspended_at\":\"2026-01-01T00:00:00Z\"},7]");
        assert_int_equal(github_list_installations_answer(*state, &found, NULL), 0);
        assert_int_equal(found.count, 3);
        assert_int_equal(found.items[0].id, 4711);
        assert_string_equal(found.items[0].account, "octo");
        assert_int_equal(found.items[0].grants, GITHUB_MAY_READ_ACTIONS);
        assert_false(found.items[0].suspended);
        assert_true(found.items[1].suspended);
        assert_string_equal(found.items[1].account, "");
}

static void a_webhook_is_read_in_both_forms(void **state)
{
        struct github_hook hook;

        answer(*state, 200,
                "{\"url\":\"https://x/\",\"insecure_ssl\":\"0\",\"secret\":\"********\"}");
        assert_int_equal(github_hook_answer(*state, &hook, NULL), 0);
        assert_string_equal(hook.url, "https://x/");
        assert_true(hook.has_secret);
        assert_false(hook.is_insecure);
        answer(*state, 200, "{\"insecure_ssl\":1}");
        assert_int_equal(github_hook_answer(*state, &hook, NULL), 0);
        assert_true(hook.is_insecure);
        assert_false(hook.has_secret);
        assert_string_equal(hook.url, "");
}

static void deliveries_are_read(void **state)
{
        _cleanup_(github_deliveries_release) struct github_deliveries found = {0};

        answer(*state, 200,
                "[{\"guid\":\"a\",\"event\":\"workflow_job\",\"action\":\"queued\",\"status\":"
                "\"OK\","
                "\"status_code\":202,\"delivered_at\":\"1970-01-01T00:00:02Z\"},{\"guid\":null}]");
        assert_int_equal(github_list_deliveries_answer(*state, &found, NULL), 0);
        assert_int_equal(found.count, 2);
        assert_int_equal(found.items[0].status_code, 202);
        assert_int_equal(found.items[0].at_ms, 2000);
        assert_string_equal(found.items[0].action, "queued");
        assert_int_equal(found.items[1].at_ms, 0);
}

/* As GitHub's own link has it: encoded once. */
static void the_cursor_of_the_next_page_is_read(void **state)
{
        static const struct {
                const char *link;
                const char *cursor;
        } rows[] = {
                {"<https://x/y?per_page=100&cursor=v1_123>; rel=\"next\"", "v1_123"},
                {"<https://x/y?cursor=v1_9%3D%3D&per_page=100>; rel=\"next\"", "v1_9%3D%3D"},
                {"<https://x/y?cursor=1>; rel=\"prev\", <https://x/y?cursor=2>; rel=\"next\"", "2"},
                {"<https://x/y?cursor=1>; rel=\"prev\"", ""},
                {"<https://x/y?cursor=1 2>; rel=\"next\"", ""},
                {"<https://x/y?cursor=1\"; rel=\"next\"", ""},
                {"<https://x/y?cursor=>; rel=\"next\"", ""},
                {"rel=\"next\"", ""},
        };
        struct http_call *call = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(github_deliveries_release) struct github_deliveries found = {0};

                answer(call, 200, "[]");
                buf_clear(&call->answer_headers);
                buf_add_format(&call->answer_headers, "Link: %s\r\n", rows[i].link);
                assert_int_equal(github_list_deliveries_answer(call, &found, NULL), 0);
                assert_string_equal(found.next_page, rows[i].cursor);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(grants_follow_permissions_and_events),
                cmocka_unit_test(grants_are_called_as_github_calls_them),
                cmocka_unit_test(refusals_say_what_to_check),
                cmocka_unit_test(answers_that_make_no_sense_are_refused),
                cmocka_unit_test(installations_have_their_own_grants),
                cmocka_unit_test(a_webhook_is_read_in_both_forms),
                cmocka_unit_test(deliveries_are_read),
                cmocka_unit_test(the_cursor_of_the_next_page_is_read),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
