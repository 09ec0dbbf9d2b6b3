/* SPDX-License-Identifier: MIT */

/*
 * The hand-over: the agent reads what the scaler wrote, and refuses everything else with a text
 * that shows no secret.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "exchange/handover.h"
#include "unit.h"

#define VALID                                                   \
        "{\"version\":1,\"jit_config\":\"QUJD\",\"prefix\":\"/" \
        "p\",\"spec\":\"s\",\"scope\":\"orgs/o\","              \
        "\"job\":{\"id\":7}"

static struct handover example(void)
{
        return (struct handover){
                .jit_config = mem_string("QUJDREVGR0g="),
                .prefix = mem_string("/scale-agent"),
                .spec = mem_string("linux-x64"),
                .scope = mem_string("repos/octo-org/one"),
                .ticket = mem_string("1.x.{\"a\":\"\\u0041\"}.y"),
                .runner_id = 23,
                .idle_limit_seconds = 300,
                .job_limit_seconds = 21600,
                .job =
                        {
                                .id = INT64_C(9007199254740991),
                                .run_id = 2,
                                .attempt = 3,
                                .repository = mem_string("octo-org/one"),
                                .name = mem_string("build \"it\" — now"),
                                .url = mem_string("https://github.com/x"),
                        },
                .times = {.queued = 1, .webhook = 2, .launched = 3, .handed_over = 1795460869381},
        };
}

static void test_what_is_written_is_read(void **state)
{
        _cleanup_(handover_release) struct handover before = example();
        _cleanup_(handover_release) struct handover after = {0};
        _cleanup_free_ char *text = handover_print(&before);
        struct err err;

        (void)state;
        assert_int_equal(handover_parse(text, strlen(text), &after, &err), 0);
        assert_string_equal(after.jit_config, before.jit_config);
        assert_string_equal(after.prefix, before.prefix);
        assert_string_equal(after.spec, before.spec);
        assert_string_equal(after.scope, before.scope);
        assert_string_equal(after.ticket, before.ticket);
        assert_int_equal(after.runner_id, 23);
        assert_int_equal(after.idle_limit_seconds, 300);
        assert_int_equal(after.job_limit_seconds, 21600);
        assert_int_equal(after.job.id, before.job.id);
        assert_int_equal(after.job.run_id, 2);
        assert_int_equal(after.job.attempt, 3);
        assert_string_equal(after.job.repository, before.job.repository);
        assert_string_equal(after.job.name, before.job.name);
        assert_string_equal(after.job.url, before.job.url);
        assert_memory_equal(&after.times, &before.times, sizeof(after.times));
}

static void test_limits_and_times_may_be_absent(void **state)
{
        _cleanup_(handover_release) struct handover handover = {0};
        struct err err;

        (void)state;
        assert_int_equal(handover_parse(VALID "}", strlen(VALID "}"), &handover, &err), 0);
        assert_int_equal(handover.idle_limit_seconds, 0);
        assert_int_equal(handover.job_limit_seconds, 0);
        assert_int_equal(handover.times.queued, 0);
        assert_int_equal(handover.job.id, 7);
        assert_null(handover.job.name);
        assert_null(handover.ticket);
}

static void test_unknown_members_are_ignored(void **state)
{
        static const char text[] = VALID ",\"later\":{\"x\":1}}";
        _cleanup_(handover_release) struct handover handover = {0};
        struct err err;

        (void)state;
        assert_int_equal(handover_parse(text, strlen(text), &handover, &err), 0);
}

/* TEXT is refused with these WORDS, and nothing is written. */
static void assert_refused(const char *text, const char *words)
{
        struct handover handover = {.runner_id = 4711};
        struct err err = {0};

        assert_int_equal(handover_parse(text, strlen(text), &handover, &err), -EBADMSG);
        assert_contains(err.text, words);
        assert_int_equal(handover.runner_id, 4711);
        assert_null(handover.jit_config);
}

static void test_faults_are_named(void **state)
{
        static const struct {
                const char *text;
                const char *words;
        } cases[] = {
                {"", "is empty"},
                {"{", "is not JSON"},
                {"{}", "version: a number is needed, found nothing"},
                {"[]", "an object is needed, found"},
                {"null", "an object is needed, found null"},
                {"{\"version\":2}", "of different releases"},
                {"{\"version\":\"1\"}", "version: a number is needed, found a string"},
                {"{\"version\":1}", "jit_config: a string is needed, found nothing"},
                {"{\"version\":1,\"jit_config\":\"\"}", "jit_config: a string is needed"},
                {VALID ",\"idle_limit_seconds\":-1}", "idle_limit_seconds: 0 to 604800"},
                {VALID ",\"idle_limit_seconds\":604801}", "idle_limit_seconds: 0 to 604800"},
                {VALID ",\"job_limit_seconds\":1.5}", "job_limit_seconds: a whole number"},
                {VALID ",\"job_limit_seconds\":null}", "job_limit_seconds: a number is needed"},
                {VALID ",\"runner_id\":1e300}", "runner_id: a whole number"},
                {VALID ",\"times\":{\"queued\":\"now\"}}", "times.queued: a number is needed"},
                {VALID "} {}", "something after its JSON value"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_refused(cases[i].text, cases[i].words);
}

static void test_the_job_needs_an_id(void **state)
{
        static const char *const jobs[] = {"", ",\"job\":null", ",\"job\":[]", ",\"job\":{}",
                ",\"job\":{\"id\":0}", ",\"job\":{\"id\":\"7\"}", ",\"job\":{\"id\":-7}"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
                _cleanup_free_ char *text =
                        mem_format("{\"version\":1,\"jit_config\":\"QUJD\",\"prefix\":\"/p\","
                                   "\"spec\":\"s\",\"scope\":\"orgs/o\"%s}",
                                jobs[i]);

                assert_refused(text, "job: ");
        }
}

/* The JIT configuration goes into an environment, so it may be nothing but base64. */
static void test_only_base64_is_a_jit_config(void **state)
{
        static const struct {
                const char *jit_config;
                const char *words;
        } cases[] = {
                {"QUJD\\n", "jit_config: base64 is needed"},
                {"QU JD", "jit_config: base64 is needed"},
                {"$(id)", "jit_config: base64 is needed"},
                {"ä", "jit_config: base64 is needed"},
                {"QUJD\\u0000QUJD", "\\u0000"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text =
                        mem_format("{\"version\":1,\"jit_config\":\"%s\",\"prefix\":\"/p\","
                                   "\"spec\":\"s\",\"scope\":\"orgs/o\",\"job\":{\"id\":7}}",
                                cases[i].jit_config);

                assert_refused(text, cases[i].words);
        }
}

static void test_faults_do_not_show_the_secret(void **state)
{
        static const char *const texts[] = {
                "{\"version\":1,\"jit_config\":\"TOPSECRET!\"",
                "{\"version\":1,\"jit_config\":\"TOPSECRET!\",\"prefix\":\"/p\",\"spec\":\"s\","
                "\"scope\":\"orgs/o\"}",
                "{\"version\":1,\"jit_config\":[\"TOPSECRET\"]}",
                "\"TOPSECRET\"",
                "TOPSECRET",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct handover handover = {0};
                struct err err = {0};

                assert_true(handover_parse(texts[i], strlen(texts[i]), &handover, &err) < 0);
                assert_lacks(err.text, "TOPSECRET");
        }
}

static void test_the_parameter_is_named_as_the_instance(void **state)
{
        _cleanup_free_ char *name = handover_parameter("/scale-agent", "i-0123456789abcdef0");

        (void)state;
        assert_string_equal(name, "/scale-agent/runners/i-0123456789abcdef0");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_written_is_read),
                cmocka_unit_test(test_limits_and_times_may_be_absent),
                cmocka_unit_test(test_unknown_members_are_ignored),
                cmocka_unit_test(test_faults_are_named),
                cmocka_unit_test(test_the_job_needs_an_id),
                cmocka_unit_test(test_only_base64_is_a_jit_config),
                cmocka_unit_test(test_faults_do_not_show_the_secret),
                cmocka_unit_test(test_the_parameter_is_named_as_the_instance),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
