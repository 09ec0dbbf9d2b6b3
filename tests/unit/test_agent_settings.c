/* SPDX-License-Identifier: MIT */

/*
 * The agent's settings: defaults that work, and every fault told at once.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "settings.h"

static int parse(const char *text, struct agent_settings *ret, struct buf *faults)
{
        return agent_settings_parse(text, strlen(text), ret, faults);
}

static void test_everything_may_be_left_out(void **state)
{
        _cleanup_buf_ struct buf faults = BUF_INIT(4096);
        _cleanup_(agent_settings_release) struct agent_settings settings = {0};

        (void)state;
        assert_int_equal(parse("{}", &settings, &faults), 0);
        assert_string_equal(settings.prefix, "/scale-agent");
        assert_string_equal(settings.command[0], "/opt/actions-runner/bin/Runner.Listener");
        assert_string_equal(settings.command[1], "run");
        assert_null(settings.command[2]);
        assert_string_equal(settings.socket, "/run/runner-agent/starter.socket");
        assert_int_equal(settings.identify_limit_seconds, 120);
        assert_int_equal(settings.parameter_limit_seconds, 4200);
        assert_int_equal(settings.idle_limit_seconds, 300);
        assert_int_equal(settings.job_limit_seconds, 21600);
        assert_int_equal(settings.idle_poll_seconds, 30);
        assert_int_equal(settings.idle_grace_seconds, 90);
        assert_int_equal(settings.stop_grace_seconds, 30);
        assert_int_equal(settings.spot_poll_seconds, 5);
}

static void test_everything_may_be_set(void **state)
{
        static const char text[] =
                "{\"prefix\":\"/a/b-c\",\"runner\":{\"command\":[\"/bin/x\",\"y\",\"z\"],"
                "\"directory\":\"/d\",\"socket\":\"/s\",\"path\":\"/p:/q\"},"
                "\"identify_limit_seconds\":1,\"parameter_limit_seconds\":2,"
                "\"idle_limit_seconds\":3,\"job_limit_seconds\":4,\"stop_grace_seconds\":0,"
                "\"spot_poll_seconds\":6,\"idle_poll_seconds\":7,\"idle_grace_seconds\":8}";
        _cleanup_buf_ struct buf faults = BUF_INIT(4096);
        _cleanup_(agent_settings_release) struct agent_settings settings = {0};

        (void)state;
        assert_int_equal(parse(text, &settings, &faults), 0);
        assert_string_equal(settings.prefix, "/a/b-c");
        assert_string_equal(settings.command[2], "z");
        assert_null(settings.command[3]);
        assert_string_equal(settings.directory, "/d");
        assert_string_equal(settings.socket, "/s");
        assert_string_equal(settings.path, "/p:/q");
        assert_int_equal(settings.identify_limit_seconds, 1);
        assert_int_equal(settings.parameter_limit_seconds, 2);
        assert_int_equal(settings.idle_limit_seconds, 3);
        assert_int_equal(settings.job_limit_seconds, 4);
        assert_int_equal(settings.stop_grace_seconds, 0);
        assert_int_equal(settings.spot_poll_seconds, 6);
        assert_int_equal(settings.idle_poll_seconds, 7);
        assert_int_equal(settings.idle_grace_seconds, 8);
}

static void test_faults_are_named(void **state)
{
        static const struct {
                const char *text;
                const char *words;
        } cases[] = {
                {"", "the settings file is empty"},
                {"{", "the settings file is not JSON"},
                {"[]", "an object is needed, found a list"},
                {"{\"x\":1}", "x: there is no such setting"},
                {"{\"runner.path\":\"x\"}", "runner.path: there is no such setting"},
                {"{\"runner\":{\"user\":\"x\"}}", "runner.user: there is no such setting"},
                {"{\"runner\":1}", "runner: an object is needed, found 1"},
                {"{\"runner\":{\"x\":1}}", "runner.x: there is no such setting"},
                {"{\"runner\":{\"path\":\"\"}}", "runner.path: a text is needed, found \"\""},
                {"{\"runner\":{\"path\":null}}", "runner.path: a text is needed, found null"},
                {"{\"runner\":{\"directory\":\"x\"}}", "an absolute path is needed, found \"x\""},
                {"{\"runner\":{\"command\":\"x\"}}", "runner.command: a list of texts"},
                {"{\"runner\":{\"command\":[]}}", "runner.command: a list of texts"},
                {"{\"runner\":{\"command\":[\"x\"]}}", "runner.command: a list of texts"},
                {"{\"runner\":{\"command\":[\"/x\",1]}}", "runner.command: a list of texts"},
                {"{\"prefix\":\"x\"}", "aws or ssm) is needed, found \"x\""},
                {"{\"prefix\":\"/\"}", "prefix: "},
                {"{\"prefix\":\"/x/\"}", "prefix: "},
                {"{\"prefix\":\"/x y\"}", "prefix: "},
                {"{\"prefix\":\"/aws/x\"}", "prefix: "},
                {"{\"idle_limit_seconds\":0}", "a whole number from 1 to 86400 is needed, found 0"},
                {"{\"idle_limit_seconds\":1e99}", "idle_limit_seconds: a whole number"},
                {"{\"job_limit_seconds\":604801}", "found 604801"},
                {"{\"spot_poll_seconds\":\"5\"}", "found \"5\""},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_buf_ struct buf faults = BUF_INIT(4096);
                struct agent_settings settings = {.idle_limit_seconds = 4711};

                assert_int_equal(parse(cases[i].text, &settings, &faults), -EINVAL);
                if (!strstr(buf_string(&faults), cases[i].words))
                        fail_msg("\"%s\" does not say \"%s\"", buf_string(&faults), cases[i].words);
                assert_int_equal(settings.idle_limit_seconds, 4711);
        }
}

static void test_all_faults_are_told_at_once(void **state)
{
        _cleanup_buf_ struct buf faults = BUF_INIT(4096);
        struct agent_settings settings = {0};
        size_t lines = 0;

        (void)state;
        assert_int_equal(
                parse("{\"a\":1,\"b\":2,\"prefix\":3,\"runner\":{\"directory\":4,\"path\":5}}",
                        &settings, &faults),
                -EINVAL);
        for (const char *c = buf_string(&faults); *c; c++)
                lines += *c == '\n';
        assert_int_equal(lines, 5);
}

static void test_a_file_that_is_named_must_be_there(void **state)
{
        _cleanup_buf_ struct buf faults = BUF_INIT(4096);
        struct agent_settings settings = {0};

        (void)state;
        assert_int_equal(agent_settings_load("/nowhere/config.json", &settings, &faults), -ENOENT);
        assert_non_null(strstr(buf_string(&faults), "No such file"));
        assert_int_equal(agent_settings_load("/", &settings, &faults), -EISDIR);
}

static void test_a_huge_file_is_refused(void **state)
{
        char name[] = "/tmp/test_agent_settings.XXXXXX";
        _cleanup_buf_ struct buf faults = BUF_INIT(4096);
        struct agent_settings settings = {0};
        int fd = mkstemp(name);
        int r;

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 1024L * 1024), 0);
        r = agent_settings_load(name, &settings, &faults);
        unlink(name);
        close(fd);
        assert_int_equal(r, -EFBIG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_everything_may_be_left_out),
                cmocka_unit_test(test_everything_may_be_set),
                cmocka_unit_test(test_faults_are_named),
                cmocka_unit_test(test_all_faults_are_told_at_once),
                cmocka_unit_test(test_a_file_that_is_named_must_be_there),
                cmocka_unit_test(test_a_huge_file_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
