/* SPDX-License-Identifier: MIT */

/*
 * The slow net with a personal token: which webhooks of repositories and organizations it reads,
 * and that it lets those of others alone.
 */

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "recover/sweep.h"
#include "stage.h"

#define URL "https://x.lambda-url.test/"
#define REPOSITORY STAGE_GITHUB "/repos/o/r"
#define HOOKS "/hooks?per_page=100"
#define DELIVERIES "/deliveries?per_page=100"

/* A webhook, as GitHub lists it. */
#define HOOK(id, active, event, url)                                  \
        "{\"id\":" #id ",\"active\":" #active ",\"events\":[\"" event \
        "\"],\"config\":{\"url\":\"" url "\"}}"

#define LOST                                                                             \
        "[{\"id\":5,\"guid\":\"lost\",\"event\":\"workflow_job\",\"action\":\"queued\"," \
        "\"status\":\"timed out\",\"status_code\":0,\"delivered_at\":\"2026-01-02T03:00:00Z\"}]"

static void expect(
        struct stage *stage, const char *method, const char *url, int status, const char *answer)
{
        script_expect(stage->script, method, url, NULL, status, answer);
}

static void expect_machines(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "\"Values\":[\"/p/runners\"]", 200,
                "{\"Parameters\":[]}");
        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
}

static void use_repositories(struct stage *stage, const char *const *names, size_t n)
{
        struct config *config = stage->scaler.config;

        for (size_t i = 0; i < config->n_repositories; i++)
                free(config->repositories[i]);
        config->repositories = mem_resize(config->repositories, n, sizeof(char *));
        for (size_t i = 0; i < n; i++)
                config->repositories[i] = mem_string(names[i]);
        config->n_repositories = n;
}

static void use_repository(struct stage *stage)
{
        static const char *const names[] = {"o/r"};

        use_repositories(stage, names, 1);
}

static void sweep_once(struct stage *stage, struct sweep *sweep)
{
        expect_machines(stage);
        setenv("WEBHOOK_URL", URL, 1);
        sweep->scaler = &stage->scaler;
        sweep_run(sweep);
        unsetenv("WEBHOOK_URL");
}

static void of_a_repository_what_got_no_answer_is_delivered_again(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        use_repository(stage);
        expect(stage, "GET", REPOSITORY HOOKS, 200, "[" HOOK(7, true, "workflow_job", URL) "]");
        expect(stage, "GET", REPOSITORY "/hooks/7" DELIVERIES, 200, LOST);
        expect(stage, "POST", REPOSITORY "/hooks/7/deliveries/5/attempts", 202, "{}");
        sweep_once(stage, &sweep);
        assert_int_equal(sweep.result, 0);
        assert_int_equal(sweep.redelivered, 1);
        assert_int_equal(sweep.deliveries, 1);
        assert_int_equal(sweep.calls, 5);
}

static void all_repositories_of_an_owner_have_the_organization_s(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        expect(stage, "GET", STAGE_GITHUB "/orgs/o" HOOKS, 200, "[" HOOK(8, true, "*", URL) "]");
        expect(stage, "GET", STAGE_GITHUB "/orgs/o/hooks/8" DELIVERIES, 200, LOST);
        expect(stage, "POST", STAGE_GITHUB "/orgs/o/hooks/8/deliveries/5/attempts", 202, "{}");
        sweep_once(stage, &sweep);
        assert_int_equal(sweep.redelivered, 1);
}

/* Somebody else's service may not bear an event twice. */
static void webhooks_of_others_are_left_alone(void **state)
{
        static const char *const hooks[] = {
                "[]",
                "[" HOOK(7, true, "workflow_job", "https://y.lambda-url.test/") "]",
                "[" HOOK(7, true, "workflow_job", URL "more") "]",
                "[" HOOK(7, true, "workflow_job", "") "]",
                "[" HOOK(7, false, "workflow_job", URL) "]",
                "[" HOOK(7, true, "push", URL) "]",
                "[" HOOK(0, true, "workflow_job", URL) "]",
                "[{}]",
        };
        struct stage *stage = *state;

        use_repository(stage);
        for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};

                expect(stage, "GET", REPOSITORY HOOKS, 200, hooks[i]);
                sweep_once(stage, &sweep);
                assert_int_equal(sweep.result, 0);
                assert_int_equal(sweep.deliveries, 0);
        }
}

static void ours_is_found_among_others(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        use_repository(stage);
        expect(stage, "GET", REPOSITORY HOOKS, 200,
                "[" HOOK(6, true, "workflow_job", "https://y.test/") "," HOOK(
                        7, true, "workflow_job", "https://X.lambda-url.test") "]");
        expect(stage, "GET", REPOSITORY "/hooks/7" DELIVERIES, 200, "[]");
        sweep_once(stage, &sweep);
        assert_int_equal(sweep.result, 0);
}

/* Each sweep says it in its answer. */
static void assert_unread(const struct sweep *sweep, const char *repository, const char *reason)
{
        const cJSON *unread = cJSON_GetArrayItem(sweep->unread, 0);

        assert_int_equal(cJSON_GetArraySize(sweep->unread), 1);
        assert_contains(json_string(unread, "scope"), repository);
        assert_contains(json_string(unread, "reason"), reason);
}

/* What a person has to do is no failure of each sweep, and is said once. */
static void what_a_token_does_not_reach_is_said_once(void **state)
{
        static const struct {
                int status;
                const char *repository;
                const char *said;
        } rows[] = {
                {404, "o/a", "reaches no such repository"},
                {403, "o/b", "token needs the permission"},
                {200, "o/c", "leads to WEBHOOK_URL"},
                {301, "o/d", "use its present name"},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *url =
                        mem_format(STAGE_GITHUB "/repos/%s" HOOKS, rows[i].repository);

                use_repositories(stage, &rows[i].repository, 1);
                for (int times = 1; times <= 2; times++) {
                        _cleanup_(sweep_release) struct sweep sweep = {0};
                        const char *said;

                        expect(stage, "GET", url, rows[i].status, "[]");
                        sweep_once(stage, &sweep);
                        assert_int_equal(sweep.result, 0);
                        said = strstr(stage_log(stage), rows[i].said);
                        assert_non_null(said);
                        assert_null(strstr(said + 1, rows[i].said));
                        assert_unread(&sweep, rows[i].repository, rows[i].said);
                }
        }
}

static void what_github_fails_to_list_fails_the_sweep(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        use_repository(stage);
        expect(stage, "GET", REPOSITORY HOOKS, 401, "{\"message\":\"Bad credentials\"}");
        sweep_once(stage, &sweep);
        assert_int_equal(sweep.failed, 1);
        assert_contains(sweep.err.text, "check the personal token");
}

/* By a process that is warm. */
static void a_token_that_was_refused_is_read_again(void **state)
{
        struct stage *stage = *state;

        use_repository(stage);
        setenv("GITHUB_TOKEN", "replaced", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        for (int i = 0; i < 2; i++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};

                expect(stage, "GET", REPOSITORY HOOKS, i == 0 ? 401 : 200, "[]");
                sweep_once(stage, &sweep);
                assert_int_equal(sweep.failed, i == 0);
        }
        unsetenv("GITHUB_TOKEN");
        unsetenv("GITHUB_API_URL");
        assert_string_equal(github_kept_token(stage->scaler.github, 0), "replaced");
}

static void without_its_url_no_webhook_is_ours(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {.scaler = &stage->scaler};

        expect_machines(stage);
        sweep_run(&sweep);
        assert_int_equal(sweep.result, 0);
        assert_logged(stage, "WEBHOOK_URL is not set");
}

/* Twenty in each; the next sweep begins elsewhere. */
static void so_many_repositories_are_looked_at_in_a_sweep(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};
        const char *names[25];
        char text[25][8];

        for (int i = 0; i < 25; i++) {
                snprintf(text[i], sizeof(text[i]), "o/r%d", i);
                names[i] = text[i];
        }
        use_repositories(stage, names, 25);
        script_serve(stage->script, "GET", STAGE_GITHUB "/repos/o/r", NULL, 200, "[]");
        sweep_once(stage, &sweep);
        assert_int_equal(sweep.left, 5);
        assert_int_equal(sweep.calls, 22);
}

/* GitHub needs nine seconds for each call: machines get their third of the time all the same, and
 * the next sweep begins with another repository. */
static void a_slow_github_leaves_time_for_machines(void **state)
{
        struct stage *stage = *state;
        const char *names[20];
        char text[20][8];

        for (int i = 0; i < 20; i++) {
                snprintf(text[i], sizeof(text[i]), "o/r%d", i);
                names[i] = text[i];
        }
        use_repositories(stage, names, 20);
        for (int times = 0; times < 2; times++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};
                int turn = (int)(clock_wall_ms(stage->scaler.clock) / (600 * MSEC_PER_SEC));

                scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + 120000);
                for (int i = 0; i < 9; i++) {
                        _cleanup_free_ char *url =
                                mem_format(STAGE_GITHUB "/repos/o/r%d" HOOKS, (turn + i) % 20);

                        expect(stage, "GET", url, 200, "[]");
                        script_latency(stage->script, 9000);
                }
                sweep_once(stage, &sweep);
                assert_int_equal(sweep.result, 0);
                assert_int_equal(sweep.left, 11);
                script_sleep(stage->script, 600 * MSEC_PER_SEC);
        }
}

/* However rare sweeps are: three of an hour each look at sixty. */
static void each_repository_has_its_turn(void **state)
{
        struct stage *stage = *state;
        const char *names[60];
        char text[60][8];

        for (int i = 0; i < 60; i++) {
                snprintf(text[i], sizeof(text[i]), "o/r%d", i);
                names[i] = text[i];
        }
        use_repositories(stage, names, 60);
        setenv("RECOVER_MINUTES", "60", 1);
        script_serve(stage->script, "GET", STAGE_GITHUB "/repos/o/r", NULL, 404, "{}");
        for (int times = 0; times < 3; times++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};

                sweep_once(stage, &sweep);
                script_sleep(stage->script, 3600 * MSEC_PER_SEC);
        }
        unsetenv("RECOVER_MINUTES");
        for (int i = 0; i < 60; i++) {
                _cleanup_free_ char *said = mem_format("\"scope\":\"repos/o/r%d\"", i);

                assert_logged(stage, said);
        }
}

/* The token is that of all repositories. */
static void a_limit_or_a_refused_token_ends_the_sweep_of_all_repositories(void **state)
{
        static const char *const names[] = {"o/r", "o/s"};
        struct stage *stage = *state;

        use_repositories(stage, names, 2);
        if (clock_wall_ms(stage->scaler.clock) / (600 * MSEC_PER_SEC) % 2 == 1)
                script_sleep(stage->script, 600 * MSEC_PER_SEC);
        setenv("GITHUB_TOKEN", "again", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        for (int i = 0; i < 6; i++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};
                int status = i % 2 ? 401 : 429;
                int where = i / 2;

                expect(stage, "GET", REPOSITORY HOOKS, where == 0 ? status : 200,
                        "[" HOOK(7, true, "workflow_job", URL) "]");
                if (where > 0)
                        expect(stage, "GET", REPOSITORY "/hooks/7" DELIVERIES,
                                where == 1 ? status : 200, LOST);
                if (where > 1)
                        expect(stage, "POST", REPOSITORY "/hooks/7/deliveries/5/attempts", status,
                                "{}");
                sweep_once(stage, &sweep);
                assert_int_equal(sweep.failed, 1);
                assert_int_equal(sweep.left, 1);
        }
        unsetenv("GITHUB_TOKEN");
        unsetenv("GITHUB_API_URL");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)
                STAGE_TEST(of_a_repository_what_got_no_answer_is_delivered_again),
                STAGE_TEST(all_repositories_of_an_owner_have_the_organization_s),
                STAGE_TEST(webhooks_of_others_are_left_alone),
                STAGE_TEST(ours_is_found_among_others),
                STAGE_TEST(what_a_token_does_not_reach_is_said_once),
                STAGE_TEST(what_github_fails_to_list_fails_the_sweep),
                STAGE_TEST(a_token_that_was_refused_is_read_again),
                STAGE_TEST(without_its_url_no_webhook_is_ours),
                STAGE_TEST(so_many_repositories_are_looked_at_in_a_sweep),
                STAGE_TEST(a_slow_github_leaves_time_for_machines),
                STAGE_TEST(each_repository_has_its_turn),
                STAGE_TEST(a_limit_or_a_refused_token_ends_the_sweep_of_all_repositories),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
