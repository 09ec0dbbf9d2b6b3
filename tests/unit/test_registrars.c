/* SPDX-License-Identifier: MIT */

/*
 * Several Apps register: the one that has most calls left does, one that GitHub refuses is passed
 * over within the event, and what lowers an App's budget is its own.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job/pace.h"
#include "queued_stage.h"

#define FIRST 4711
#define SECOND 4712
#define LOOK_UP "/repos/o/r/installation"

static char folder[] = "/tmp/scaler-apps-XXXXXX";

static void write_key(const char *app, const char *key)
{
        _cleanup_free_ char *path = mem_format("%s/%s", folder, app);
        _cleanup_free_ char *command = mem_format("mkdir -p %s", path);
        _cleanup_free_ char *name = mem_format("%s/private-key", path);
        FILE *file;

        assert_int_equal(system(command), 0);
        file = fopen(name, "w");
        assert_non_null(file);
        assert_true(fputs(key, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* App 12345 delivers through installation 4711, and App 2 is additional. */
static int set_up(void **state)
{
        _cleanup_free_ char *keys = NULL;
        struct stage *stage;

        strcpy(strrchr(folder, '-'), "-XXXXXX");
        assert_non_null(mkdtemp(folder));
        keys = mem_format("file:%s", folder);
        stage_set_up(state);
        stage = *state;
        stage_become_app(stage);
        setenv("GITHUB_APP_KEYS", keys, 1);
        write_key("2", getenv("GITHUB_PRIVATE_KEY"));
        stage->scaler.config->additional_apps = mem_alloc(sizeof(int64_t));
        stage->scaler.config->additional_apps[0] = 2;
        stage->scaler.config->n_additional_apps = 1;
        return 0;
}

static int tear_down(void **state)
{
        _cleanup_free_ char *command = mem_format("rm -r %s", folder);

        assert_int_equal(system(command), 0);
        return stage_tear_down(state);
}

/* -- expectations -- */

static void expect_look_up(struct stage *stage, int status, const char *answer)
{
        script_expect(stage->script, "GET", LOOK_UP, NULL, status, answer);
}

static void expect_installed(struct stage *stage)
{
        expect_look_up(stage, 200, "{\"id\":4712,\"suspended_at\":null}");
}

static void expect_token(struct stage *stage, int installation)
{
        _cleanup_free_ char *url = mem_format("/app/installations/%d/access_tokens", installation);

        script_expect(stage->script, "POST", url, NULL, 201,
                "{\"token\":\"secret-token\",\"expires_at\":\"2026-01-02T04:04:05Z\"}");
}

static void expect_no_token(struct stage *stage, int installation, int status, const char *headers)
{
        _cleanup_free_ char *url = mem_format("/app/installations/%d/access_tokens", installation);

        script_expect_headers(
                stage->script, "POST", url, NULL, status, headers, "{\"message\":\"no\"}");
}

/* Expects a registration and answers that LEFT calls of the hour remain. */
static void expect_registered(struct stage *stage, int instance, int left)
{
        _cleanup_free_ char *headers =
                mem_format("x-ratelimit-remaining: %d\r\nx-ratelimit-reset: 1767325045\r\n", left);

        script_expect_headers(stage->script, "POST", QUEUED_JIT_URL, NULL, 201, headers,
                "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
        expect_put(stage, instance, 200, "{\"Version\":1}");
}

static void expect_limit(struct stage *stage, const char *seconds)
{
        _cleanup_free_ char *headers = mem_format("Retry-After: %s\r\n", seconds);

        script_expect_headers(stage->script, "POST", QUEUED_JIT_URL, NULL, 429, headers,
                "{\"message\":\"too many\"}");
}

static char *launched_of(struct stage *stage, int id, const char *repository, const char *spec)
{
        return mem_format(
                "{\"action\":\"launched\",\"id\":%d,\"run_id\":2,\"attempt\":1,\"repository\":"
                "\"%s\",\"name\":\"build\",\"labels\":[\"linux\"],\"spec\":\"%s\","
                "\"instance_type\":\"m7i.large\",\"machine_type\":\"m7i.large\",\"account\":"
                "\"123456789012\",\"instance\":\"i-%08x\",\"launched_ms\":%lld,"
                "\"installation\":4711}",
                id, repository, spec, (unsigned)id, (long long)clock_wall_ms(stage->scaler.clock));
}

static char *launched(struct stage *stage, int id)
{
        return launched_of(stage, id, "o/r", "linux");
}

static const char *register_in(struct stage *stage, int id, const char *repository)
{
        _cleanup_free_ char *body = launched_of(stage, id, repository, "linux");

        return stage_one(stage, register_handle, body);
}

static const char *register_one(struct stage *stage, int id)
{
        return register_in(stage, id, "o/r");
}

static void assert_registered(struct stage *stage, int id)
{
        assert_string_equal(register_one(stage, id), STAGE_NONE_FAILED);
}

/* -- tests -- */

static void the_one_with_most_calls_left_registers(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 4000);
        assert_registered(stage, 1);
        expect_token(stage, SECOND);
        expect_registered(stage, 2, 4500);
        assert_registered(stage, 2);
        expect_registered(stage, 3, 3999);
        assert_registered(stage, 3);
        assert_true(pace_hour_left(&stage->scaler, FIRST) == 4000);
        assert_true(pace_hour_left(&stage->scaler, SECOND) == 3999);
        expect_registered(stage, 4, 3998);
        assert_registered(stage, 4);
        assert_true(pace_hour_left(&stage->scaler, FIRST) == 3998);
        assert_not_logged(stage, "secret-token");
}

/* No answer has said yet what they have left: a first batch is spread all the same. */
static void a_batch_is_spread(void **state)
{
        struct stage *stage = *state;
        struct stage_message messages[4];
        char *bodies[4];

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_token(stage, SECOND);
        for (int i = 0; i < 4; i++) {
                bodies[i] = launched(stage, i + 1);
                messages[i] = (struct stage_message){.id = "m", .body = bodies[i]};
                expect_registration(stage, i + 1);
        }
        assert_string_equal(stage_batch(stage, register_handle, messages, 4), STAGE_NONE_FAILED);
        assert_true(pace_of_github(&stage->scaler, FIRST)->level ==
                    pace_of_github(&stage->scaler, SECOND)->level);
        for (int i = 0; i < 4; i++)
                free(bodies[i]);
}

static void one_that_is_limited_is_passed_over_within_the_event(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_limit(stage, "1000");
        expect_token(stage, SECOND);
        expect_registered(stage, 1, 4000);
        assert_registered(stage, 1);
        assert_logged(stage, "an App is passed over\",\"installation\":4711");
        /* Its budget is its own. */
        assert_true(budget_wait(pace_of_github(&stage->scaler, FIRST), stage_now_ms(stage), 5) >
                    900 * MSEC_PER_SEC);
        assert_int_equal(
                budget_wait(pace_of_github(&stage->scaler, SECOND), stage_now_ms(stage), 5), 0);
        expect_registered(stage, 2, 3999);
        assert_registered(stage, 2);
        script_sleep(stage->script, 1010 * MSEC_PER_SEC);
        expect_installed(stage);
        expect_registered(stage, 3, 3000);
        assert_registered(stage, 3);
        assert_true(pace_hour_left(&stage->scaler, FIRST) == 3000);
        /* And the other way round. */
        expect_limit(stage, "1000");
        expect_registered(stage, 4, 2999);
        assert_registered(stage, 4);
        assert_logged(stage, "an App is passed over\",\"installation\":4712");
        /* Launches go on. */
        assert_null(script_take_served(stage->script, "/p/breakers/_limit"));
}

/* App 3 is additional, too: installation 4713. */
static void add_third(struct stage *stage)
{
        struct config *config = stage->scaler.config;

        free(config->additional_apps);
        config->additional_apps = mem_alloc(2 * sizeof(int64_t));
        config->additional_apps[0] = 2;
        config->additional_apps[1] = 3;
        config->n_additional_apps = 2;
        write_key("3", getenv("GITHUB_PRIVATE_KEY"));
        expect_installed(stage);
        expect_look_up(stage, 200, "{\"id\":4713}");
}

/* Each of them is tried. */
static void of_three_the_last_may_be_left(void **state)
{
        struct stage *stage = *state;

        add_third(stage);
        expect_token(stage, FIRST);
        expect_limit(stage, "1000");
        expect_token(stage, SECOND);
        expect_limit(stage, "1000");
        expect_token(stage, 4713);
        expect_registered(stage, 1, 4000);
        assert_registered(stage, 1);
        assert_true(pace_hour_left(&stage->scaler, 4713) == 4000);
        assert_null(script_take_served(stage->script, "/p/breakers/_limit"));
}

static void of_two_that_are_refused_the_first_to_be_tried_again_is_waited_for(void **state)
{
        struct stage *stage = *state;

        add_third(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 100);
        assert_registered(stage, 1);
        expect_no_token(stage, SECOND, 403, "");
        expect_token(stage, 4713);
        expect_registered(stage, 2, 4000);
        assert_registered(stage, 2);
        script_sleep(stage->script, 100 * MSEC_PER_SEC);
        expect_installed(stage);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 403, "{\"message\":\"no\"}");
        expect_limit(stage, "1000");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_one(stage, 3), STAGE_FAILED("m1"));
        assert_logged(stage, "\"until\":\"2026-01-02T03:14:0");
}

/* GitHub limits the first App at o/other, where the second is not installed. */
static void limit_the_first(struct stage *stage)
{
        script_expect(stage->script, "GET", "/repos/o/other/installation", NULL, 404, "{}");
        script_expect_headers(stage->script, "POST", "/repos/o/other/actions/runners", NULL, 429,
                "Retry-After: 1000\r\n", "{\"message\":\"too many\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_in(stage, 2, "o/other"), STAGE_FAILED("m1"));
}

/* Jobs of an account are one group, and the second App is not installed for all of its
 * repositories. */
static void one_that_registers_elsewhere_keeps_launches_going(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 4000);
        assert_registered(stage, 1);
        limit_the_first(stage);
        assert_null(script_take_served(stage->script, "/p/breakers/_limit"));
}

/* Those who launch are told of GitHub's limit: until UNTIL_MS, of which the first digits do. */
static void assert_told(struct stage *stage, const char *until_ms)
{
        _cleanup_free_ char *told = script_take_served(stage->script, "/p/breakers/_limit.4711");
        _cleanup_free_ char *until = mem_format("until_ms\\\":%s", until_ms);

        assert_non_null(told);
        assert_contains(told, until);
}

/* It may have been removed since. */
static void one_that_was_installed_ten_minutes_ago_does_not(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 4000);
        assert_registered(stage, 1);
        script_sleep(stage->script, 601 * MSEC_PER_SEC);
        limit_the_first(stage);
        assert_told(stage, "17673246460");
}

/* No job of this account can go there. */
static void nor_does_one_of_another_account(void **state)
{
        static const char *const others[] = {"oo/r", "p/r"};
        struct stage *stage = *state;

        expect_token(stage, FIRST);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                _cleanup_free_ char *look_up = mem_format("/repos/%s/installation", others[i]);
                _cleanup_free_ char *runners = mem_format("/repos/%s/actions/runners", others[i]);

                script_expect(stage->script, "GET", look_up, NULL, 200, "{\"id\":4712}");
                script_expect(stage->script, "POST", runners, NULL, 201,
                        "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
                expect_put(stage, 1, 200, "{\"Version\":1}");
                if (i == 1)
                        expect_token(stage, SECOND);
                assert_string_equal(register_in(stage, 1, others[i]), STAGE_NONE_FAILED);
        }
        limit_the_first(stage);
        assert_told(stage, "17673240450");
}

static void where_all_are_limited_the_first_that_ends_is_waited_for(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_limit(stage, "1000");
        expect_token(stage, SECOND);
        expect_limit(stage, "300");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_one(stage, 1), STAGE_FAILED("m1"));
        assert_logged(stage, "\"until\":\"2026-01-02T03:09:0");
        /* Those who launch are told of that one. */
        assert_told(stage, "17673233450");
        script_sleep(stage->script, 302 * MSEC_PER_SEC);
        expect_registered(stage, 1, 4000);
        assert_registered(stage, 1);
        assert_true(pace_hour_left(&stage->scaler, SECOND) == 4000);
}

/* Not for the whole of the other's limit. */
static void one_that_is_passed_over_is_tried_again_while_the_other_is_limited(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_no_token(stage, FIRST, 403, "");
        expect_token(stage, SECOND);
        expect_registered(stage, 1, 4000);
        assert_registered(stage, 1);
        expect_limit(stage, "3000");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_one(stage, 2), STAGE_FAILED("m1"));
        assert_logged(stage, "\"until\":\"2026-01-02T03:14:0");
        assert_told(stage, "17673236450");
        script_sleep(stage->script, 601 * MSEC_PER_SEC);
        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 3, 4000);
        assert_registered(stage, 3);
}

/* Whichever of the two it is, and however often that is seen. */
static void so_is_the_other_one(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_limit(stage, "3000");
        expect_no_token(stage, SECOND, 403, "");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_one(stage, 1), STAGE_FAILED("m1"));
        assert_logged(stage, "\"until\":\"2026-01-02T03:14:0");
        assert_told(stage, "17673236450");
        stage->scaler.n_stored_limits = 0;
        expect_installed(stage);
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_one(stage, 2), STAGE_FAILED("m1"));
        assert_told(stage, "17673236450");
        script_sleep(stage->script, 601 * MSEC_PER_SEC);
        expect_installed(stage);
        expect_token(stage, SECOND);
        expect_registered(stage, 3, 4000);
        assert_registered(stage, 3);
}

static void a_suspended_first_one_is_passed_over(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_no_token(stage, FIRST, 403, "");
        expect_token(stage, SECOND);
        expect_registered(stage, 1, 4000);
        assert_registered(stage, 1);
        expect_registered(stage, 2, 3999);
        assert_registered(stage, 2);
        script_sleep(stage->script, 601 * MSEC_PER_SEC);
        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 3, 4000);
        assert_registered(stage, 3);
}

static void one_that_was_removed_is_noticed(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 100);
        assert_registered(stage, 1);
        expect_token(stage, SECOND);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 401,
                "{\"message\":\"Bad credentials\"}");
        expect_registered(stage, 2, 99);
        assert_registered(stage, 2);
        expect_look_up(stage, 404, "{\"message\":\"Not Found\"}");
        expect_registered(stage, 3, 98);
        assert_registered(stage, 3);
        assert_logged(
                stage, "an additional App cannot register runners for this scope\",\"app\":2");
        assert_logged(stage, "\"error\":\"it is not installed for this scope\"");
        /* And that it is installed again. */
        script_sleep(stage->script, 601 * MSEC_PER_SEC);
        expect_look_up(stage, 200, "{\"id\":4713}");
        expect_token(stage, 4713);
        expect_registered(stage, 4, 5000);
        assert_registered(stage, 4);
}

static void one_that_is_suspended_or_not_installed_is_not_asked(void **state)
{
        static const struct {
                int status;
                const char *answer;
                int kept_seconds;
        } cases[] = {
                {200, "{\"id\":4712,\"suspended_at\":\"2026-01-01T00:00:00Z\"}", 600},
                {404, "{\"message\":\"Not Found\"}", 600},
                {403, "{\"message\":\"suspended\"}", 60},
                {200, "{\"id\":0}", 60},
        };
        struct stage *stage = *state;

        expect_token(stage, FIRST);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                expect_look_up(stage, cases[i].status, cases[i].answer);
                expect_registered(stage, 1, 100);
                assert_registered(stage, 1);
                script_sleep(stage->script, (cases[i].kept_seconds - 10) * MSEC_PER_SEC);
                expect_registered(stage, 2, 100);
                assert_registered(stage, 2);
                script_sleep(stage->script, 20 * MSEC_PER_SEC);
        }
}

/* Whoever waits for it could register already. */
static void one_that_github_does_not_tell_of_is_not_waited_for(void **state)
{
        struct stage *stage = *state;
        int64_t began_ms = stage_now_ms(stage);

        script_expect_silence(stage->script, "GET", LOOK_UP);
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 100);
        assert_registered(stage, 1);
        assert_in_range(stage_now_ms(stage) - began_ms, 5000, 5100);
}

static void without_its_key_an_app_is_left_out(void **state)
{
        struct stage *stage = *state;

        write_key("2", "no key");
        expect_token(stage, FIRST);
        for (int i = 1; i <= 2; i++) {
                expect_registered(stage, i, 100);
                assert_registered(stage, i);
        }
        assert_logged(stage, "an additional App is left out\",\"app\":2");
        assert_not_logged(stage, "no key");
        write_key("2", getenv("GITHUB_PRIVATE_KEY"));
        script_sleep(stage->script, 301 * MSEC_PER_SEC);
        expect_installed(stage);
        expect_token(stage, SECOND);
        expect_registered(stage, 3, 5000);
        assert_registered(stage, 3);
}

static void a_failure_of_github_is_nobody_s(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 503, "{}");
        stage_expect_sent(stage, "wait");
        assert_string_equal(register_one(stage, 1), STAGE_FAILED("m1"));
        assert_not_logged(stage, "passed over");
}

static void what_all_refuse_is_refused(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_token(stage, SECOND);
        for (int i = 0; i < 2; i++)
                script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 422,
                        "{\"message\":\"labels\"}");
        stage_expect_sent(stage, "sqs.test/dead");
        expect_terminated(stage, "InstanceId.1=i-00000001");
        (void)register_one(stage, 1);
        assert_logged(stage, "launch undone");
        assert_null(script_take_served(stage->script, "/p/breakers/_limit")); /* it is none */
}

/* The first one found that its runner is there. */
static void what_another_refuses_as_well_may_have_been_handed_over(void **state)
{
        static const char parameter[] = "\"Name\":\"/p/runners/i-00000001\"";
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_token(stage, SECOND);
        script_expect(stage->script, "POST", QUEUED_JIT_URL, NULL, 409,
                "{\"message\":\"Already exists - A runner with the name\"}");
        for (int i = 0; i < 2; i++) {
                script_expect(stage->script, "POST", STAGE_SSM, parameter, 400,
                        "{\"__type\":\"ParameterNotFound\"}");
                script_expect(stage->script, i == 0 ? "GET" : "POST", QUEUED_RUNNERS_URL, NULL, 403,
                        "{\"message\":\"no\"}");
        }
        stage_expect_sent(stage, "sqs.test/dead");
        (void)register_one(stage, 1);
        assert_not_logged(stage, "launch undone");
}

/* For a job that nobody tried yet: somebody may have helped. */
static void where_all_are_refused_the_first_is_tried_again(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_no_token(stage, FIRST, 403, "");
        expect_no_token(stage, SECOND, 403, "");
        stage_expect_sent(stage, "sqs.test/dead");
        expect_terminated(stage, "InstanceId.1=i-00000001");
        (void)register_one(stage, 1);
        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 2, 4000);
        assert_registered(stage, 2);
}

static void runners_of_an_enterprise_are_registered_with_its_token(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->specs[0].enterprise = mem_string("octo-corp");
        github_set_enterprise_token(stage->scaler.github, "classic-token");
        script_expect_headers(stage->script, "POST",
                "/enterprises/octo-corp/actions/runners/generate-jitconfig", NULL, 201,
                "x-ratelimit-remaining: 4000\r\nx-ratelimit-reset: 1767325045\r\n",
                "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
        expect_put(stage, 1, 200, "{\"Version\":1}");
        assert_registered(stage, 1);
        assert_true(pace_hour_left(&stage->scaler, PACE_OF_ENTERPRISE) == 4000);
        assert_true(pace_hour_left(&stage->scaler, FIRST) == INT64_MAX);
        /* A limit of it is waited for: no App can help. */
        script_expect_headers(stage->script, "POST",
                "/enterprises/octo-corp/actions/runners/generate-jitconfig", NULL, 429,
                "Retry-After: 100\r\n", "{\"message\":\"too many\"}");
        stage_expect_sent(stage, "wait: GitHub refuses");
        assert_string_equal(register_one(stage, 2), STAGE_FAILED("m1"));
}

/* That the one of the enterprise was accepted says nothing of the App's. */
static void a_key_that_was_refused_is_read_again_whatever_an_enterprise_s_does(void **state)
{
        struct stage *stage = *state;
        struct stage_message messages[2];
        char *bodies[2];

        stage->scaler.config->n_additional_apps = 0;
        stage->scaler.config->specs[1].enterprise = mem_string("octo-corp");
        github_set_enterprise_token(stage->scaler.github, "classic-token");
        bodies[0] = launched(stage, 1);
        bodies[1] = launched_of(stage, 2, "o/r", "fallback");
        for (int i = 0; i < 2; i++)
                messages[i] = (struct stage_message){.id = i ? "b" : "a", .body = bodies[i]};
        expect_no_token(stage, FIRST, 401, "");
        script_expect(stage->script, "POST",
                "/enterprises/octo-corp/actions/runners/generate-jitconfig", NULL, 201,
                "{\"runner\":{\"id\":101},\"encoded_jit_config\":\"c2VjcmV0\"}");
        expect_put(stage, 2, 200, "{\"Version\":1}");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "wait: GitHub refuses");
        (void)stage_batch(stage, register_handle, messages, 2);
        assert_true(stage->scaler.github_refused);
        for (int i = 0; i < 2; i++)
                free(bodies[i]);
}

/* -- keys -- */

/* Somebody replaces it in SSM, where a warm process finds it. */
static void a_second_key_that_is_rotated_is_read_again(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 100);
        assert_registered(stage, 1);
        expect_no_token(stage, SECOND, 401, "");
        expect_registered(stage, 2, 99);
        assert_registered(stage, 2);
        /* It is passed over meanwhile; and was read: this one cannot sign. */
        write_key("2", "swordfish");
        expect_registered(stage, 3, 98);
        assert_registered(stage, 3);
        assert_logged(stage, "an additional App is left out\",\"app\":2");
        assert_not_logged(stage, "swordfish");
        write_key("2", getenv("GITHUB_PRIVATE_KEY"));
        script_sleep(stage->script, 301 * MSEC_PER_SEC);
        expect_installed(stage);
        expect_token(stage, SECOND);
        expect_registered(stage, 4, 4000);
        assert_registered(stage, 4);
        assert_true(pace_hour_left(&stage->scaler, SECOND) == 4000);
}

/* Or its App was made anew: then it is refused before any token is asked for. */
static void a_key_that_cannot_ask_where_it_is_installed_is_read_again(void **state)
{
        struct stage *stage = *state;

        expect_look_up(stage, 401, "{\"message\":\"no\"}");
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 100);
        assert_registered(stage, 1);
        write_key("2", "swordfish");
        expect_registered(stage, 2, 99);
        assert_registered(stage, 2);
        assert_logged(stage, "an additional App is left out\",\"app\":2");
}

/* It was installed anew: what is kept is of the past. */
static void an_installation_that_changed_is_looked_up_again(void **state)
{
        struct stage *stage = *state;

        expect_installed(stage);
        expect_token(stage, FIRST);
        expect_registered(stage, 1, 100);
        assert_registered(stage, 1);
        expect_no_token(stage, SECOND, 404, "");
        expect_registered(stage, 2, 99);
        assert_registered(stage, 2);
        expect_look_up(stage, 200, "{\"id\":4713,\"suspended_at\":null}");
        expect_token(stage, 4713);
        expect_registered(stage, 3, 4000);
        assert_registered(stage, 3);
        assert_true(pace_hour_left(&stage->scaler, 4713) == 4000);
}

/* -- what is kept -- */

/* A process that serves very many repositories keeps the latest 512 answers. */
static void a_further_answer_takes_the_place_of_the_oldest(void **state)
{
        static const size_t oldest[] = {0, 1, 511};
        struct stage *stage = *state;
        struct scaler *scaler = &stage->scaler;
        struct app_installation *kept = mem_alloc(512 * sizeof(*kept));

        scaler->app_installations = kept;
        scaler->n_app_installations = 512;
        expect_token(stage, FIRST);
        for (size_t i = 0; i < ARRAY_SIZE(oldest); i++) {
                for (size_t j = 0; j < 512; j++)
                        kept[j] = (struct app_installation){.until_ms = INT64_MAX};
                kept[oldest[i]].until_ms = INT64_MAX - 1;
                expect_look_up(stage, 404, "{}");
                expect_registered(stage, 1, 4000);
                assert_registered(stage, 1);
                assert_int_equal(scaler->n_app_installations, 512);
                assert_string_equal(scaler->app_installations[oldest[i]].scope, "repos/o/r");
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_one_with_most_calls_left_registers),
                TEST(a_batch_is_spread),
                TEST(one_that_is_limited_is_passed_over_within_the_event),
                TEST(of_three_the_last_may_be_left),
                TEST(of_two_that_are_refused_the_first_to_be_tried_again_is_waited_for),
                TEST(one_that_registers_elsewhere_keeps_launches_going),
                TEST(one_that_was_installed_ten_minutes_ago_does_not),
                TEST(nor_does_one_of_another_account),
                TEST(where_all_are_limited_the_first_that_ends_is_waited_for),
                TEST(one_that_is_passed_over_is_tried_again_while_the_other_is_limited),
                TEST(so_is_the_other_one),
                TEST(a_suspended_first_one_is_passed_over),
                TEST(one_that_was_removed_is_noticed),
                TEST(one_that_is_suspended_or_not_installed_is_not_asked),
                TEST(one_that_github_does_not_tell_of_is_not_waited_for),
                TEST(without_its_key_an_app_is_left_out),
                TEST(a_failure_of_github_is_nobody_s),
                TEST(what_all_refuse_is_refused),
                TEST(what_another_refuses_as_well_may_have_been_handed_over),
                TEST(where_all_are_refused_the_first_is_tried_again),
                TEST(runners_of_an_enterprise_are_registered_with_its_token),
                TEST(a_key_that_was_refused_is_read_again_whatever_an_enterprise_s_does),
                TEST(a_second_key_that_is_rotated_is_read_again),
                TEST(a_key_that_cannot_ask_where_it_is_installed_is_read_again),
                TEST(an_installation_that_changed_is_looked_up_again),
                TEST(a_further_answer_takes_the_place_of_the_oldest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
