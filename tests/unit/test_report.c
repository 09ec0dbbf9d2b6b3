/* SPDX-License-Identifier: MIT */

/*
 * Reports: the scaler reads what the agent wrote, and no nonsense gets into the metrics.
 */

#include <errno.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "exchange/report.h"
#include "unit.h"

static int parse(const char *text, struct report *ret, struct err *err)
{
        _cleanup_json_ cJSON *detail = cJSON_Parse(text);

        assert_non_null(detail);
        return report_parse(detail, ret, err);
}

static void test_what_is_written_is_read(void **state)
{
        _cleanup_(report_release) struct report before = {
                .stage = REPORT_FINISHED,
                .prefix = mem_string("/scale-agent"),
                .instance_id = mem_string("i-0123456789abcdef0"),
                .instance_type = mem_string("m7i.large"),
                .zone = mem_string("eu-central-1a"),
                .reason = mem_string("because — \"so\""),
                .ticket = mem_string("1.x.{\"a\":\"\\u0041\"}.y"),
                .spec = mem_string("linux-x64"),
                .scope = mem_string("orgs/octo-org"),
                .runner_id = 23,
                .hand_over_deleted = true,
                .job = {.id = 7, .run_id = 8, .attempt = 9, .url = mem_string("https://x")},
                .job_name = mem_string("build"),
                .result = mem_string("Succeeded"),
                .exit_code = 0,
                .before = {.queued = 1, .webhook = 2, .launched = 3, .handed_over = 4},
                .times = {10, 11, 12, 13, 14, 15, 16, 17, 18},
        };
        _cleanup_(report_release) struct report after = {0};
        _cleanup_free_ char *text = report_print(&before);
        struct err err;

        (void)state;
        assert_int_equal(parse(text, &after, &err), 0);
        assert_int_equal(after.stage, REPORT_FINISHED);
        assert_string_equal(after.prefix, before.prefix);
        assert_string_equal(after.instance_id, before.instance_id);
        assert_string_equal(after.instance_type, before.instance_type);
        assert_string_equal(after.zone, before.zone);
        assert_string_equal(after.reason, before.reason);
        assert_string_equal(after.ticket, before.ticket);
        assert_string_equal(after.spec, before.spec);
        assert_string_equal(after.scope, before.scope);
        assert_int_equal(after.runner_id, 23);
        assert_true(after.hand_over_deleted);
        assert_int_equal(after.job.id, 7);
        assert_int_equal(after.job.attempt, 9);
        assert_string_equal(after.job.url, "https://x");
        assert_string_equal(after.job_name, "build");
        assert_string_equal(after.result, "Succeeded");
        assert_int_equal(after.exit_code, 0);
        assert_memory_equal(&after.before, &before.before, sizeof(after.before));
        assert_memory_equal(after.times, before.times, sizeof(after.times));
}

static void test_what_is_not_known_is_left_out(void **state)
{
        struct report before = {
                .stage = REPORT_FAILED,
                .prefix = (char *)"/p",
                .instance_id = (char *)"i-1",
                .exit_code = -1,
        };
        _cleanup_(report_release) struct report after = {0};
        _cleanup_free_ char *text = report_print(&before);
        struct err err;

        (void)state;
        assert_string_equal(text, "{\"version\":1,\"stage\":\"failed\",\"prefix\":\"/p\","
                                  "\"instance_id\":\"i-1\",\"times\":{}}");
        assert_int_equal(parse(text, &after, &err), 0);
        assert_int_equal(after.exit_code, -1);
        assert_false(after.hand_over_deleted);
        assert_int_equal(after.job.id, 0);
        assert_null(after.spec);
}

static void test_every_stage_has_a_name_of_its_own(void **state)
{
        (void)state;
        for (int stage = 0; stage < REPORT_STAGES; stage++) {
                _cleanup_free_ char *text =
                        mem_format("{\"version\":1,\"stage\":\"%s\",\"prefix\":\"/p\","
                                   "\"instance_id\":\"i-1\"}",
                                report_stage_name((enum report_stage)stage));
                _cleanup_(report_release) struct report report = {0};
                struct err err;

                assert_int_equal(parse(text, &report, &err), 0);
                assert_int_equal((int)report.stage, stage);
        }
}

static void test_faults_are_named(void **state)
{
        static const struct {
                const char *text;
                const char *words;
        } cases[] = {
                {"[]", "an object is needed, found a list"},
                {"{}", "version: a number is needed"},
                {"{\"version\":2}", "version: 1 is needed, found 2"},
                {"{\"version\":1}", "stage: a string is needed"},
                {"{\"version\":1,\"stage\":\"lost\"}", "no such stage: \"lost\""},
                {"{\"version\":1,\"stage\":\"ready\"}", "prefix: a string is needed"},
                {"{\"version\":1,\"stage\":\"ready\",\"prefix\":\"/p\"}", "instance_id: a string"},
                {"{\"version\":1,\"stage\":\"ready\",\"prefix\":\"/p\",\"instance_id\":\"i\","
                 "\"job\":{}}",
                        "job: id: a number is needed"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct report report = {.runner_id = 4711};
                struct err err = {0};

                assert_int_equal(parse(cases[i].text, &report, &err), -EBADMSG);
                assert_contains(err.text, cases[i].words);
                assert_int_equal(report.runner_id, 4711);
                assert_null(report.prefix);
        }
}

/* Reports come from machines, which run anybody's code. */
static void test_odd_numbers_count_as_unknown(void **state)
{
        static const char text[] =
                "{\"version\":1,\"stage\":\"ready\",\"prefix\":\"/p\",\"instance_id\":\"i\","
                "\"runner_id\":-4,\"exit_code\":\"0\",\"times\":{\"agent\":-5,\"listening\":1e99,"
                "\"queued\":\"x\",\"received\":6}}";
        _cleanup_(report_release) struct report report = {0};
        struct err err;

        (void)state;
        assert_int_equal(parse(text, &report, &err), 0);
        assert_int_equal(report.runner_id, 0);
        assert_int_equal(report.exit_code, -1);
        assert_int_equal(report.times[REPORT_TIME_AGENT], 0);
        assert_int_equal(report.times[REPORT_TIME_LISTENING], 0);
        assert_int_equal(report.times[REPORT_TIME_RECEIVED], 6);
        assert_int_equal(report.before.queued, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_written_is_read),
                cmocka_unit_test(test_what_is_not_known_is_left_out),
                cmocka_unit_test(test_every_stage_has_a_name_of_its_own),
                cmocka_unit_test(test_faults_are_named),
                cmocka_unit_test(test_odd_numbers_count_as_unknown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
