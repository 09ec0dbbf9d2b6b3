/* SPDX-License-Identifier: MIT */

/*
 * The slow net and the App's webhook on bad days: its secret was wrong, an outage was longer than a
 * sweep can work off, GitHub lists half of it or takes nothing back.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recover/sweep.h"
#include "stage.h"

#define NOW 1767323045 /* 2026-01-02T03:04:05Z */
#define DELIVERIES STAGE_GITHUB "/app/hook/deliveries?per_page=100"
#define NEXT(cursor) "Link: <" DELIVERIES "&cursor=" cursor ">; rel=\"next\"\r\n"

/* Nothing to do for machines. */
static void expect_machines(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_SSM, "\"Values\":[\"/p/runners\"]", 200,
                "{\"Parameters\":[]}");
        script_expect(stage->script, "POST", STAGE_EC2, "Action=DescribeInstances", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
}

struct attempt {
        int id;
        const char *guid;
        int status;
        int seconds; /* ago */
        bool is_redelivery;
};

static void expect_list(struct stage *stage, const char *url, const char *headers,
        const struct attempt *attempts, size_t n)
{
        _cleanup_buf_ struct buf list = BUF_INIT(64UL * 1024);

        for (size_t i = 0; i < n; i++) {
                int64_t at_ms = (NOW - attempts[i].seconds) * MSEC_PER_SEC;
                char time[CLOCK_TEXT_SIZE];

                buf_add_format(&list,
                        "%s{\"id\":%d,\"guid\":\"%s\",\"event\":\"workflow_job\",\"action\":"
                        "\"queued\",\"status\":\"x\",\"status_code\":%d,\"redelivery\":%s,"
                        "\"delivered_at\":\"%s\"}",
                        i > 0 ? "," : "[", attempts[i].id, attempts[i].guid, attempts[i].status,
                        attempts[i].is_redelivery ? "true" : "false", clock_format(at_ms, time));
        }
        buf_add_string(&list, "]");
        script_expect_headers(stage->script, "GET", url, NULL, 200, headers, buf_string(&list));
}

static void expect_redelivered(struct stage *stage, int id, int status, const char *answer)
{
        _cleanup_free_ char *url = mem_format(STAGE_GITHUB "/app/hook/deliveries/%d/attempts", id);

        script_expect(stage->script, "POST", url, NULL, status, answer);
}

static int run(struct stage *stage, struct sweep *sweep)
{
        sweep->scaler = &stage->scaler;
        expect_machines(stage);
        sweep_run(sweep);
        return sweep->result;
}

static void sweep_once(struct stage *stage)
{
        _cleanup_(sweep_release) struct sweep sweep = {0};

        assert_int_equal(run(stage, &sweep), 0);
}

static const struct attempt refused[] = {{3, "c", 401, 100, false}, {2, "b", 401, 200, false}};

/* People hear of it once, and one event shows when the secret has been mended. */
static void a_wrong_secret_is_told_and_tried(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_list(stage, DELIVERIES, "", refused, 2);
        expect_redelivered(stage, 3, 202, "{}");
        stage_expect_sent(stage, "GitHub's webhooks are refused");
        sweep_once(stage);
        expect_list(stage, DELIVERIES, "", refused, 2);
        expect_redelivered(stage, 3, 202, "{}");
        sweep_once(stage);
        script_sleep(stage->script, 24 * 3600 * MSEC_PER_SEC);
        expect_list(stage, DELIVERIES, "", refused, 2);
        expect_redelivered(stage, 3, 202, "{}");
        stage_expect_sent(stage, "GitHub's webhooks are refused");
        sweep_once(stage);
}

static void a_dry_sweep_tells_nobody_of_a_wrong_secret(void **state)
{
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {.is_dry = true};

        stage_become_app(stage);
        expect_list(stage, DELIVERIES, "", refused, 2);
        assert_int_equal(run(stage, &sweep), 0);
        assert_int_equal(sweep.redelivered, 1);
}

/* Where people cannot be told, the next sweep tries again. */
static void who_could_not_be_told_is_told_by_the_next_sweep(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_list(stage, DELIVERIES, "", refused, 1);
        expect_redelivered(stage, 3, 202, "{}");
        script_expect(stage->script, "POST", STAGE_SQS, "webhooks are refused", 400,
                "{\"__type\":\"AccessDenied\"}");
        sweep_once(stage);
        expect_list(stage, DELIVERIES, "", refused, 1);
        expect_redelivered(stage, 3, 202, "{}");
        stage_expect_sent(stage, "GitHub's webhooks are refused");
        sweep_once(stage);
}

/* Back to where the secret was good before. */
static void once_the_secret_is_mended_all_is_delivered_again(void **state)
{
        static const struct attempt first[] = {
                {9, "d", 202, 60, false}, {3, "c", 401, 100, false}, {2, "b", 401, 1700, false}};
        static const struct attempt second[] = {
                {1, "a", 401, 3000, false}, {7, "z", 202, 4900, false}};
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_list(stage, DELIVERIES, NEXT("v1_2"), first, 3);
        expect_list(stage, DELIVERIES "&cursor=v1_2", NEXT("v1_3"), second, 2);
        expect_redelivered(stage, 1, 202, "{}");
        expect_redelivered(stage, 2, 202, "{}");
        expect_redelivered(stage, 3, 202, "{}");
        sweep_once(stage);
}

/* While it is wrong, what lies behind these is not due: no more of the list is read. */
static void while_the_secret_is_wrong_little_is_read(void **state)
{
        static const struct attempt attempts[] = {
                {3, "c", 401, 100, false}, {4, "d", 401, 1000, true}, {2, "b", 401, 1900, false}};
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_list(stage, DELIVERIES, NEXT("v1_2"), attempts, 3);
        expect_redelivered(stage, 3, 202, "{}");
        stage_expect_sent(stage, "GitHub's webhooks are refused");
        sweep_once(stage);
}

/* An outage ended 40 minutes ago. Sweeps have had much of it delivered again, the oldest first: the
 * rest is not forgotten. */
static void an_outage_is_worked_off_however_many_sweeps_it_takes(void **state)
{
        static const struct attempt first[] = {{9, "new", 202, 60, false},
                {8, "old", 202, 700, true}, {7, "fine", 202, 2000, false}};
        static const struct attempt second[] = {{6, "left", 503, 2400, false}};
        static const struct attempt third[] = {
                {5, "old", 503, 2500, false}, {4, "fine-2", 202, 4400, false}};
        struct stage *stage = *state;

        stage_become_app(stage);
        expect_list(stage, DELIVERIES, NEXT("v1_2"), first, 3);
        expect_list(stage, DELIVERIES "&cursor=v1_2", NEXT("v1_3"), second, 1);
        expect_list(stage, DELIVERIES "&cursor=v1_3", NEXT("v1_4"), third, 2);
        expect_redelivered(stage, 6, 202, "{}");
        sweep_once(stage);
}

static void what_was_read_before_a_page_failed_is_delivered_again(void **state)
{
        static const struct attempt attempts[] = {{2, "b", 0, 100, false}, {1, "a", 0, 200, false}};
        struct stage *stage = *state;
        _cleanup_(sweep_release) struct sweep sweep = {0};

        stage_become_app(stage);
        expect_list(stage, DELIVERIES, NEXT("v1_2"), attempts, 2);
        script_expect(stage->script, "GET", DELIVERIES "&cursor=v1_2", NULL, 400,
                "{\"message\":\"no such cursor\"}");
        expect_redelivered(stage, 1, 202, "{}");
        expect_redelivered(stage, 2, 202, "{}");
        assert_true(run(stage, &sweep) < 0);
        assert_int_equal(sweep.failed, 1);
        assert_int_equal(sweep.redelivered, 2);
}

/* Those of a repository or organization may tell of its jobs. */
static void an_app_without_a_webhook_is_no_failure(void **state)
{
        struct stage *stage = *state;

        stage_become_app(stage);
        for (int i = 0; i < 2; i++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};
                const char *said;

                script_expect(
                        stage->script, "GET", DELIVERIES, NULL, 404, "{\"message\":\"Not Found\"}");
                assert_int_equal(run(stage, &sweep), 0);
                assert_int_equal(cJSON_GetArraySize(sweep.unread), 1);
                said = strstr(stage_log(stage), "its webhook is not set up");
                assert_non_null(said);
                assert_null(strstr(said + 1, "its webhook is not set up"));
        }
}

/* A refusal that holds for all is met once; what is wrong with one event keeps no other out. */
static void what_github_refuses_for_all_is_asked_once(void **state)
{
        static const struct {
                int status;
                bool is_of_all;
        } rows[] = {{401, true}, {403, true}, {429, true}, {404, false}, {422, false}};
        static const struct attempt attempts[] = {{2, "b", 0, 100, false}, {1, "a", 0, 200, false}};
        struct stage *stage = *state;

        stage_become_app(stage);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(sweep_release) struct sweep sweep = {0};

                expect_list(stage, DELIVERIES, "", attempts, 2);
                expect_redelivered(stage, 1, rows[i].status, "{\"message\":\"no\"}");
                if (!rows[i].is_of_all)
                        expect_redelivered(stage, 2, 202, "{}");
                assert_true(run(stage, &sweep) < 0);
                assert_int_equal(sweep.failed, 1);
                assert_int_equal(sweep.redelivered, !rows[i].is_of_all);
                assert_int_equal(sweep.left, rows[i].is_of_all);
        }
}

/* Values that no GitHub sends. */
static void absurd_deliveries_are_left_alone(void **state)
{
        static const char *const lists[] = {
                "[]",
                "[{}]",
                "[null,5,\"x\",[]]",
                "[{\"id\":0,\"guid\":\"a\",\"event\":\"workflow_job\",\"status_code\":0,"
                "\"delivered_at\":\"2026-01-02T03:00:00Z\"}]",
                "[{\"id\":1e300,\"guid\":\"a\",\"event\":\"workflow_job\",\"status_code\":0,"
                "\"delivered_at\":\"2026-01-02T03:00:00Z\"}]",
                "[{\"id\":-7,\"guid\":\"a\",\"event\":\"workflow_job\",\"status_code\":0,"
                "\"delivered_at\":\"2026-01-02T03:00:00Z\"}]",
                "[{\"id\":7,\"guid\":5,\"event\":\"workflow_job\",\"status_code\":0,"
                "\"delivered_at\":\"2026-01-02T03:00:00Z\"}]",
                "[{\"id\":7,\"guid\":\"a\",\"event\":\"workflow_job\",\"status_code\":0,"
                "\"delivered_at\":\"yesterday\"}]",
                "[{\"id\":7,\"guid\":\"a\",\"event\":\"workflow_job\",\"status_code\":0,"
                "\"delivered_at\":\"2999-01-02T03:00:00Z\"}]",
        };
        struct stage *stage = *state;

        stage_become_app(stage);
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                script_expect(stage->script, "GET", DELIVERIES, NULL, 200, lists[i]);
                sweep_once(stage);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)
                STAGE_TEST(a_wrong_secret_is_told_and_tried),
                STAGE_TEST(a_dry_sweep_tells_nobody_of_a_wrong_secret),
                STAGE_TEST(who_could_not_be_told_is_told_by_the_next_sweep),
                STAGE_TEST(once_the_secret_is_mended_all_is_delivered_again),
                STAGE_TEST(while_the_secret_is_wrong_little_is_read),
                STAGE_TEST(an_outage_is_worked_off_however_many_sweeps_it_takes),
                STAGE_TEST(what_was_read_before_a_page_failed_is_delivered_again),
                STAGE_TEST(an_app_without_a_webhook_is_no_failure),
                STAGE_TEST(what_github_refuses_for_all_is_asked_once),
                STAGE_TEST(absurd_deliveries_are_left_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
