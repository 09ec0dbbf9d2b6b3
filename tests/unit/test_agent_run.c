/* SPDX-License-Identifier: MIT */

/*
 * The runner, as the starter tells of it: when it is started again, how it is stopped, and what its
 * end means.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent_stand.h"
#include "base/mem.h"
#include "fake_starter.h"
#include "run.h"
#include "starter/message.h"
#include "unit.h"

static struct {
        struct stand *stand;
        struct run run;
        struct fake_starter starter;
        char **command; /* of the settings, which are given it back */
        unsigned started;
        unsigned listening;
        unsigned workers;
        bool worker_lives;
        unsigned ended;
        char why[ERR_TEXT_SIZE];
} seen;

static void on_started(void *userdata)
{
        assert_ptr_equal(userdata, &seen);
        seen.started++;
}

static void on_listening(void *userdata)
{
        (void)userdata;
        seen.listening++;
}

static void on_step(void *userdata)
{
        (void)userdata;
}

static void on_worker(void *userdata, bool lives)
{
        assert_ptr_equal(userdata, &seen);
        seen.workers++;
        seen.worker_lives = lives;
}

static void on_ended(void *userdata, const struct err *why)
{
        assert_ptr_equal(userdata, &seen);
        seen.ended++;
        snprintf(seen.why, sizeof(seen.why), "%s", why->text);
}

static const struct run_events events = {
        .started = on_started,
        .progress = {on_listening, on_step, on_step, on_step},
        .worker = on_worker,
        .ended = on_ended,
};

static int set_up(void **state)
{
        static char *command[] = {(char *)"/opt/runner", (char *)"run", NULL};
        struct agent *agent;

        stand_make_identified(state);
        memset(&seen, 0, sizeof(seen));
        seen.stand = *state;
        agent = &seen.stand->agent;
        agent->log.level = LOG_LEVEL_INFO;
        agent->runner_log.sink = &seen.stand->sink;
        agent->handover.jit_config = mem_string("QUJD");
        fake_starter_init(&seen.starter, agent);
        seen.command = agent->settings.command;
        agent->settings.command = command;
        seen.run.agent = agent;
        return 0;
}

static int tear_down(void **state)
{
        run_release(&seen.run);
        fake_starter_release(&seen.starter);
        seen.stand->agent.settings.command = seen.command;
        return stand_free(state);
}

static struct agent *agent(void)
{
        return &seen.stand->agent;
}

/* Handles what is there, without waiting. */
static void go_on(void)
{
        while (sd_event_run(agent_event(agent()), 0) > 0)
                ;
}

/* The next time of TIMER is now. */
static void pass(sd_event_source *timer)
{
        assert_non_null(timer);
        assert_true(sd_event_source_set_time(timer, 0) >= 0);
        go_on();
}

static void start(void)
{
        run_start(&seen.run, &events, &seen);
        assert_true(fake_starter_take(&seen.starter));
        fake_starter_answer(&seen.starter, STARTER_STARTED, 4711, "");
        go_on();
}

static void end(int code)
{
        fake_starter_answer(&seen.starter, STARTER_EXITED, code, "");
        fake_starter_hang_up(&seen.starter);
        go_on();
}

/* Whether it is asked for again after its pause; then it starts. */
static bool starts_again(void)
{
        if (!seen.run.timer || seen.ended > 0)
                return false;
        assert_false(fake_starter_take(&seen.starter)); /* not before */
        pass(seen.run.timer);
        if (!fake_starter_take(&seen.starter))
                return false;
        fake_starter_answer(&seen.starter, STARTER_STARTED, 4712, "");
        go_on();
        return true;
}

static void a_runner_gets_its_secret_as_a_variable(void **state)
{
        (void)state;
        start();
        assert_true(fake_starter_was_given(&seen.starter, "/opt/runner"));
        assert_true(fake_starter_was_given(&seen.starter, seen.starter.directory));
        assert_true(fake_starter_was_given(&seen.starter, "LANG=C.UTF-8"));
        assert_true(fake_starter_was_given(&seen.starter, "PATH="));
        assert_true(fake_starter_was_given(
                &seen.starter, "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1"));
        assert_true(fake_starter_was_given(&seen.starter, "ACTIONS_RUNNER_INPUT_JITCONFIG=QUJD"));
        assert_int_equal(seen.started, 1);
        assert_int_equal(seen.run.pid, 4711);
        assert_true(agent()->times[REPORT_TIME_RUNNER_STARTED] > 0);
        fake_starter_print(&seen.starter, "2026-01-02 03:04:05Z: Listening for Jobs");
        go_on();
        assert_int_equal(seen.listening, 1);
}

/* Exit code 2 is worth another start, up to four in all; the rest is final at once. */
static void some_ends_are_worth_another_start(void **state)
{
        (void)state;
        start();
        for (int i = 0; i < 3; i++) {
                end(2);
                assert_true(starts_again());
        }
        assert_int_equal(seen.started, 1);
        assert_string_equal(agent()->handover.jit_config, "QUJD");
        end(2);
        assert_int_equal(seen.ended, 1);
        assert_contains(seen.why, "exit code 2");
        assert_null(agent()->handover.jit_config);
        assert_int_equal(seen.run.pid, 0);
}

static void other_ends_are_final(void **state)
{
        static const int codes[] = {0, 1, 5, 7, 99};

        for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
                _cleanup_free_ char *text = mem_format("exit code %d", codes[i]);

                if (i > 0) {
                        tear_down(state);
                        set_up(state);
                }
                start();
                end(codes[i]);
                assert_int_equal(seen.ended, 1);
                assert_contains(seen.why, text);
                assert_int_equal(agent()->runner_exit_code, codes[i]);
                assert_false(starts_again());
        }
}

static void a_runner_that_had_a_job_is_not_started_again(void **state)
{
        (void)state;
        start();
        fake_starter_print(&seen.starter, "2026-01-02 03:04:05Z: Running job: build");
        fake_starter_print(&seen.starter, "the last words");
        end(2); /* its last lines are read all the same */
        assert_int_equal(seen.ended, 1);
        assert_contains(seen.why, "in the middle of its job (exit code 2)");
        assert_contains(seen.why, "the last words");
}

static void a_runner_that_was_killed_is_explained(void **state)
{
        (void)state;
        start();
        fake_starter_answer(&seen.starter, STARTER_KILLED, SIGKILL, "");
        go_on();
        assert_int_equal(seen.ended, 1);
        assert_contains(seen.why, "killed by SIGKILL");
        assert_int_equal(agent()->runner_exit_code, -1);
        assert_int_equal(fake_starter_signal(&seen.starter), -2);
}

/* -- the starter -- */

static void a_runner_that_cannot_be_started_is_final(void **state)
{
        (void)state;
        run_start(&seen.run, &events, &seen);
        assert_true(fake_starter_take(&seen.starter));
        fake_starter_answer(&seen.starter, STARTER_FAILED, 0, "no such file");
        go_on();
        assert_int_equal(seen.ended, 1);
        assert_string_equal(seen.why, "the runner cannot be started: no such file");
        assert_int_equal(seen.started, 0);
}

static void a_starter_that_goes_away_is_asked_again(void **state)
{
        (void)state;
        start();
        agent()->runner_exit_code = 5;
        seen.run.signal = SIGTERM;
        fake_starter_hang_up(&seen.starter);
        go_on();
        assert_int_equal(seen.ended, 0);
        assert_int_equal(agent()->runner_exit_code, -1);
        assert_non_null(stand_logged(seen.stand, "the runner will be started again"));
        assert_true(starts_again());
        end(0);
        assert_contains(seen.why, "exit code 0"); /* not what was said before */
}

static void without_a_starter_it_is_tried_again(void **state)
{
        (void)state;
        free(agent()->settings.socket);
        agent()->settings.socket = mem_string("/nowhere/socket");
        run_start(&seen.run, &events, &seen);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(seen.ended, 0);
                pass(seen.run.timer);
        }
        assert_int_equal(seen.ended, 1);
        assert_contains(seen.why, "is runner.socket active?");
        assert_int_equal(seen.run.starts, 4);
}

static void what_the_starter_would_refuse_is_final(void **state)
{
        static char big[256 * 1024];

        memset(big, 'x', sizeof(big) - 1);
        for (int i = 0; i < 2; i++) {
                if (i > 0) {
                        tear_down(state);
                        set_up(state);
                }
                if (i == 0) {
                        free(agent()->handover.jit_config);
                        agent()->handover.jit_config = mem_string(big);
                } else {
                        free(agent()->settings.directory);
                        agent()->settings.directory = mem_string("relative");
                }
                run_start(&seen.run, &events, &seen);
                assert_int_equal(seen.ended, 1);
                assert_int_equal(seen.run.starts, 1);
        }
}

/* -- stopping -- */

/* One SIGINT, upon which the runner cancels its job; SIGKILL after the grace. */
static void a_runner_is_asked_to_end_and_then_made_to(void **state)
{
        (void)state;
        start();
        run_stop(&seen.run, 60000);
        assert_int_equal(fake_starter_signal(&seen.starter), SIGINT);
        run_stop(&seen.run, 60000);
        assert_int_equal(fake_starter_signal(&seen.starter), -1);
        pass(seen.run.kill_timer);
        assert_int_equal(fake_starter_signal(&seen.starter), SIGKILL);
        assert_non_null(stand_logged(seen.stand, "it is killed"));
        run_stop(&seen.run, 0); /* it is being killed already */
        go_on();
        assert_int_equal(seen.ended, 0);
        pass(seen.run.kill_timer);
        assert_int_equal(seen.ended, 1);
        assert_string_equal(seen.why, "runner.service did not end the runner in time");
        assert_int_equal(fake_starter_signal(&seen.starter), -2);
}

static void the_earlier_end_counts(void **state)
{
        uint64_t first;
        uint64_t later;
        uint64_t sooner;

        (void)state;
        start();
        run_stop(&seen.run, 60000);
        sd_event_source_get_time(seen.run.kill_timer, &first);
        run_stop(&seen.run, 120000);
        sd_event_source_get_time(seen.run.kill_timer, &later);
        assert_true(later == first);
        run_stop(&seen.run, 1000);
        sd_event_source_get_time(seen.run.kill_timer, &sooner);
        assert_true(sooner < first);
        run_release(&seen.run);
        assert_null(seen.run.kill_timer);
        assert_null(seen.run.source);
        assert_int_equal(fake_starter_signal(&seen.starter), SIGINT);
        assert_int_equal(fake_starter_signal(&seen.starter), -2);
}

static void a_runner_that_ends_when_asked_is_not_started_again(void **state)
{
        (void)state;
        start();
        run_stop(&seen.run, 60000);
        end(2);
        assert_int_equal(seen.ended, 1);
        assert_null(seen.run.kill_timer);
}

static void a_stop_between_two_starts_ends_them(void **state)
{
        (void)state;
        start();
        end(2);
        assert_int_equal(seen.ended, 0);
        assert_non_null(seen.run.timer);
        run_stop(&seen.run, 60000);
        assert_int_equal(seen.ended, 0); /* not within the call */
        run_stop(&seen.run, 60000);
        pass(seen.run.timer);
        assert_int_equal(seen.ended, 1);
        assert_false(fake_starter_take(&seen.starter));
}

static void a_runner_that_never_started_is_given_up(void **state)
{
        (void)state;
        run_start(&seen.run, &events, &seen);
        assert_true(fake_starter_take(&seen.starter));
        run_stop(&seen.run, 60000);
        pass(seen.run.kill_timer);
        assert_int_equal(seen.ended, 1);
        assert_string_equal(seen.why, "runner.service did not start the runner in time");
}

/* -- the worker -- */

static void whether_a_worker_lives_is_asked(void **state)
{
        (void)state;
        run_start(&seen.run, &events, &seen);
        assert_true(fake_starter_take(&seen.starter));
        run_ask_worker(&seen.run);
        assert_int_equal(seen.workers, 1);
        assert_false(seen.worker_lives);
        assert_int_equal(fake_starter_signal(&seen.starter), -1);
        fake_starter_answer(&seen.starter, STARTER_STARTED, 4711, "");
        go_on();
        run_ask_worker(&seen.run);
        assert_int_equal(seen.workers, 1);
        assert_int_equal(fake_starter_signal(&seen.starter), STARTER_ASK_WORKER);
        fake_starter_answer(&seen.starter, STARTER_WORKER, 1, "");
        go_on();
        assert_int_equal(seen.workers, 2);
        assert_true(seen.worker_lives);
        fake_starter_answer(&seen.starter, STARTER_WORKER, 0, "");
        go_on();
        assert_false(seen.worker_lives);
        end(2);
        run_ask_worker(&seen.run);
        assert_int_equal(seen.workers, 4);
}

/* -- an update of the runner -- */

/* The file that says so, from so many seconds before (or after) the runner was asked for. */
static void finish_update(int64_t seconds)
{
        _cleanup_free_ char *path = mem_format("%s/update.finished", seen.starter.directory);
        int64_t at = clock_wall_ms(agent()->clock) / MSEC_PER_SEC + seconds;
        const struct timeval times[2] = {{.tv_sec = at}, {.tv_sec = at}};
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fclose(file);
        assert_int_equal(utimes(path, times), 0);
}

static void the_end_of_an_update_is_waited_for(void **state)
{
        (void)state;
        finish_update(-10); /* of an earlier one */
        for (int code = 3; code <= 4; code++) {
                if (code == 4) {
                        tear_down(state);
                        set_up(state);
                }
                start();
                end(code);
                for (int i = 0; i < 5; i++) {
                        pass(seen.run.timer);
                        assert_false(fake_starter_take(&seen.starter));
                }
                finish_update(10);
                assert_true(starts_again());
        }
}

static void an_update_that_does_not_end_is_not_waited_for(void **state)
{
        (void)state;
        start();
        for (int start = 0; start < 2; start++) {
                end(3);
                for (int i = 0; i < 120; i++)
                        pass(seen.run.timer);
                assert_true(starts_again());
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_runner_gets_its_secret_as_a_variable),
                TEST(some_ends_are_worth_another_start),
                TEST(other_ends_are_final),
                TEST(a_runner_that_had_a_job_is_not_started_again),
                TEST(a_runner_that_was_killed_is_explained),
                TEST(a_runner_that_cannot_be_started_is_final),
                TEST(a_starter_that_goes_away_is_asked_again),
                TEST(without_a_starter_it_is_tried_again),
                TEST(what_the_starter_would_refuse_is_final),
                TEST(a_runner_is_asked_to_end_and_then_made_to),
                TEST(the_earlier_end_counts),
                TEST(a_runner_that_ends_when_asked_is_not_started_again),
                TEST(a_stop_between_two_starts_ends_them),
                TEST(a_runner_that_never_started_is_given_up),
                TEST(whether_a_worker_lives_is_asked),
                TEST(the_end_of_an_update_is_waited_for),
                TEST(an_update_that_does_not_end_is_not_waited_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
