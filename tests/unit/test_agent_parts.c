/* SPDX-License-Identifier: MIT */

/*
 * Small parts of the agent that touch nothing: exit codes, names in the journal, back-off.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "base/mem.h"
#include "journal.h"
#include "runner_exit.h"

/* -- exit codes -- */

static void test_which_exit_code_deserves_another_start(void **state)
{
        (void)state;
        assert_int_equal(runner_exit_next(0), RUNNER_EXIT_FINAL);
        assert_int_equal(runner_exit_next(1), RUNNER_EXIT_FINAL);
        assert_int_equal(runner_exit_next(2), RUNNER_EXIT_RESTART);
        assert_int_equal(runner_exit_next(3), RUNNER_EXIT_UPDATE);
        assert_int_equal(runner_exit_next(4), RUNNER_EXIT_UPDATE);
        assert_int_equal(runner_exit_next(5), RUNNER_EXIT_FINAL);
        assert_int_equal(runner_exit_next(7), RUNNER_EXIT_FINAL);
        assert_int_equal(runner_exit_next(42), RUNNER_EXIT_FINAL);
        assert_int_equal(runner_exit_next(-1), RUNNER_EXIT_FINAL);
}

static void assert_explains(
        int64_t code, int signal, bool had_job, const char *last_line, const char *expected)
{
        struct err err;

        runner_exit_explain(code, signal, had_job, last_line, &err);
        assert_string_equal(err.text, expected);
}

static void test_how_a_runner_ended_is_explained(void **state)
{
        (void)state;
        assert_explains(7, 0, false, "",
                "the runner ended without a job (exit code 7): GitHub no longer accepts its "
                "version: build a new image with the current runner");
        assert_explains(0, 0, false, "",
                "the runner ended without a job (exit code 0): GitHub no longer has its job, "
                "or removed its registration (seen after 2 to 6 idle minutes), or it was told to "
                "end");
        assert_explains(5, 0, false, "bye",
                "the runner ended without a job (exit code 5): another runner already has a "
                "session with its registration; it said last: bye");
        assert_explains(
                -1, SIGSEGV, false, "", "the runner ended without a job (killed by SIGSEGV)");
        assert_explains(-1, SIGKILL, true, "x",
                "the runner ended in the middle of its job (killed by SIGKILL); it said last: x");
        assert_explains(1, 0, true, "", "the runner ended in the middle of its job (exit code 1)");
}

static void test_only_an_update_since_the_start_counts(void **state)
{
        char directory[] = "/tmp/agent-parts-XXXXXX";
        _cleanup_free_ char *file = NULL;
        struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000, .tv_nsec = 500000000}};
        int fd;

        (void)state;
        assert_non_null(mkdtemp(directory));
        file = mem_format("%s/update.finished", directory);
        assert_false(runner_exit_is_updated(directory, 0));
        fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(futimens(fd, times), 0);
        close(fd);
        assert_true(runner_exit_is_updated(directory, 1000500));
        assert_false(runner_exit_is_updated(directory, 1000501));
        assert_int_equal(unlink(file), 0);
        assert_int_equal(rmdir(directory), 0);
}

/* -- the journal -- */

static void test_names_in_the_journal(void **state)
{
        char name[65];
        char cut[10];

        (void)state;
        journal_field_name("job", name, sizeof(name));
        assert_string_equal(name, "SCALE_AGENT_JOB");
        journal_field_name("exit code-x", name, sizeof(name));
        assert_string_equal(name, "SCALE_AGENT_EXIT_CODE_X");
        journal_field_name("identifier", name, sizeof(name));
        assert_string_equal(name, "SYSLOG_IDENTIFIER");
        journal_field_name("job", cut, sizeof(cut));
        assert_string_equal(cut, "SCALE_AGE");
}

static void test_standard_error_is_the_journal_only_where_systemd_says_so(void **state)
{
        (void)state;
        unsetenv("JOURNAL_STREAM");
        assert_false(journal_is_stderr());
        setenv("JOURNAL_STREAM", "garbage", 1);
        assert_false(journal_is_stderr());
        setenv("JOURNAL_STREAM", "1:1", 1);
        assert_false(journal_is_stderr());
        unsetenv("JOURNAL_STREAM");
}

/* -- back-off -- */

static void test_back_off_doubles_up_to_its_limit(void **state)
{
        (void)state;
        for (int i = 0; i < 200; i++) {
                assert_in_range(agent_backoff_ms(1, 100, 2000), 50, 100);
                assert_in_range(agent_backoff_ms(2, 100, 2000), 100, 200);
                assert_in_range(agent_backoff_ms(5, 100, 2000), 800, 1600);
                assert_in_range(agent_backoff_ms(6, 100, 2000), 1000, 2000);
                assert_in_range(agent_backoff_ms(1000000, 100, 2000), 1000, 2000);
                assert_in_range(agent_backoff_ms(0, 100, 2000), 50, 100);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_which_exit_code_deserves_another_start),
                cmocka_unit_test(test_how_a_runner_ended_is_explained),
                cmocka_unit_test(test_only_an_update_since_the_start_counts),
                cmocka_unit_test(test_names_in_the_journal),
                cmocka_unit_test(test_standard_error_is_the_journal_only_where_systemd_says_so),
                cmocka_unit_test(test_back_off_doubles_up_to_its_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
