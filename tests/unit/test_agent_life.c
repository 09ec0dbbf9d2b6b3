/* SPDX-License-Identifier: MIT */

/*
 * A machine's life, from its first question to its end: which stage follows which, what is
 * reported, and what the program's exit code says.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent_stand.h"
#include "base/mem.h"
#include "fake_starter.h"
#include "life.h"
#include "starter/message.h"
#include "unit.h"

static struct {
        struct stand *stand;
        struct life life;
        struct fake_starter starter;
        char **command; /* of the settings, which are given it back */
        int systemd;    /* where sd_notify() writes */
        char notified[4096];
        char path[96]; /* of its socket */
} at;

static struct agent *agent(void)
{
        return &at.stand->agent;
}

static void listen_as_systemd(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        snprintf(at.path, sizeof(at.path), "%s/notify", at.starter.directory);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", at.path);
        at.systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(at.systemd, (struct sockaddr *)&address, sizeof(address)), 0);
        setenv("NOTIFY_SOCKET", at.path, 1);
}

static int set_up(void **state)
{
        static char *command[] = {(char *)"/opt/runner", NULL};

        stand_make(state);
        memset(&at, 0, sizeof(at));
        at.stand = *state;
        agent()->log.level = LOG_LEVEL_INFO;
        agent()->runner_log.sink = &at.stand->sink;
        agent()->shuts_down = false;
        fake_starter_init(&at.starter, agent());
        listen_as_systemd();
        at.command = agent()->settings.command;
        agent()->settings.command = command;
        script_serve(at.stand->script, "GET", SPOT_URL, NULL, 404, "");
        life_init(&at.life, agent());
        return 0;
}

static int tear_down(void **state)
{
        life_release(&at.life);
        close(at.systemd);
        unlink(at.path);
        assert_string_equal(getenv("NOTIFY_SOCKET"), at.path); /* it was left for the next note */
        unsetenv("NOTIFY_SOCKET");
        fake_starter_release(&at.starter);
        agent()->settings.command = at.command;
        return stand_free(state);
}

static void listen_to_notes(void)
{
        size_t size = strlen(at.notified);
        ssize_t n;

        while ((n = recv(at.systemd, at.notified + size, sizeof(at.notified) - size - 2, 0)) > 0) {
                size += (size_t)n;
                at.notified[size++] = '\n';
                at.notified[size] = '\0';
        }
}

/* Handles what is there, without waiting for a timer. */
static void go_on(void)
{
        do
                http_finish(agent()->http);
        while (sd_event_run(agent_event(agent()), 0) > 0);
        listen_to_notes();
}

static void pass(sd_event_source *timer)
{
        assert_non_null(timer);
        assert_true(sd_event_source_set_time(timer, 0) >= 0);
        go_on();
}

/* -- what is expected -- */

static void expect_identity(void)
{
        script_expect(at.stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(at.stand->script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_expect(at.stand->script, "GET", ROLES_URL, NULL, 200, "runner\n");
        script_expect(at.stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
}

static void expect_look(int status, const char *answer)
{
        script_expect(at.stand->script, "POST", SSM_URL, NAME, status, answer);
}

static void expect_report(const char *stage)
{
        _cleanup_free_ char *text = mem_format("\\\"stage\\\":\\\"%s\\\"", stage);

        script_expect(at.stand->script, "POST", EVENTS_URL, text, 200, EVENT_TAKEN);
}

/* -- steps of a life -- */

static void receive(void)
{
        expect_identity();
        expect_look(200, FOUND);
        life_start(&at.life);
        go_on();
        assert_true(fake_starter_take(&at.starter));
        assert_int_equal(at.life.stage, LIFE_RUN);
}

static void run(void)
{
        receive();
        fake_starter_answer(&at.starter, STARTER_STARTED, 4711, "");
        go_on();
}

static void print(const char *line)
{
        fake_starter_print(&at.starter, line);
        go_on();
}

static void listen_for_jobs(void)
{
        run();
        print("2026-01-02 03:04:05Z: Listening for Jobs");
        expect_report("ready");
        pass(at.life.reporter.hold);
}

/* At once: both are reported with one call. */
static void run_job(void)
{
        run();
        print("2026-01-02 03:04:05Z: Listening for Jobs");
        expect_report("ready");
        expect_look(200, "{}"); /* the parameter is deleted */
        print("2026-01-02 03:04:05Z: Running job: build");
        assert_int_equal(at.life.reporter.n_waiting, 0);
}

static void end_runner(int code)
{
        fake_starter_answer(&at.starter, STARTER_EXITED, code, "");
        fake_starter_hang_up(&at.starter);
        go_on();
}

static void assert_exited(int wanted)
{
        int code = -1;

        assert_true(sd_event_get_exit_code(agent_event(agent()), &code) >= 0);
        assert_int_equal(code, wanted);
        assert_int_equal(at.life.stage, LIFE_END);
}

static void assert_not_exited(void)
{
        int code;

        assert_int_equal(sd_event_get_exit_code(agent_event(agent()), &code), -ENODATA);
}

static void assert_runs(void)
{
        assert_int_equal(at.life.stage, LIFE_RUN);
        assert_not_exited();
}

/* The runner has so many seconds, less what has passed of them. */
static void assert_grace(uint64_t seconds)
{
        uint64_t kill;
        uint64_t now;

        assert_non_null(at.life.run.kill_timer);
        assert_true(sd_event_source_get_time(at.life.run.kill_timer, &kill) >= 0);
        assert_true(sd_event_now(agent_event(agent()), CLOCK_MONOTONIC, &now) >= 0);
        assert_in_range(kill - now, (seconds - 10) * 1000000, seconds * 1000000 + 1000);
}

#define assert_notified(text) assert_contains(at.notified, text)
#define assert_not_notified(text) assert_lacks(at.notified, text)

/* What each further line of the log says beside. */
static const char *context(const char *name)
{
        const struct log *log = &agent()->log;

        for (size_t i = 0; i < log->n_context; i++)
                if (strcmp(log->context[i].name, name) == 0)
                        return log->context[i].text;
        return "";
}

/* -- a life that goes well -- */

static void a_job_runs_and_its_machine_ends(void **state)
{
        (void)state;
        receive();
        assert_true(agent()->times[REPORT_TIME_KERNEL] > 0);
        assert_true(agent()->times[REPORT_TIME_KERNEL] <= agent()->times[REPORT_TIME_AGENT]);
        assert_true(agent()->times[REPORT_TIME_AGENT] > 0);
        assert_not_notified("READY=1");
        assert_string_equal(context("job"), "7");
        assert_string_equal(context("spec"), "s");
        fake_starter_answer(&at.starter, STARTER_STARTED, 4711, "");
        go_on();
        assert_notified("READY=1");
        assert_null(at.life.ready_timer);
        print("2026-01-02 03:04:05Z: Listening for Jobs");
        assert_notified("STATUS=Waiting for a job");
        assert_non_null(agent()->handover.jit_config);
        expect_report("ready");
        pass(at.life.reporter.hold);
        expect_report("job_started");
        expect_look(200, "{}");
        print("2026-01-02 03:04:05Z: Running job: build");
        assert_notified("STATUS=Running job build");
        assert_null(agent()->handover.jit_config);
        assert_true(agent()->has_deleted_parameter);
        print("2026-01-02 03:04:05Z: Job build completed with result: Succeeded");
        assert_notified("STATUS=The job is done");
        expect_report("finished");
        end_runner(0);
        assert_exited(LIFE_EXIT_DONE);
        assert_notified("STOPPING=1");
        assert_non_null(strstr(strstr(at.notified, "READY=1") + 1, "STATUS=Waiting"));
        assert_null(strstr(strstr(at.notified, "READY=1") + 1, "READY=1"));
        assert_true(agent()->times[REPORT_TIME_FINISHED] > 0);
        assert_non_null(stand_logged(at.stand, "finished"));
        assert_null(stand_logged(at.stand, "failed"));
        assert_non_null(stand_logged(at.stand, "not shutting down, as was asked for"));
}

/* The rest of the boot does not wait for ever. */
static void the_boot_goes_on_without_the_runner(void **state)
{
        (void)state;
        receive();
        assert_not_notified("READY=1");
        pass(at.life.ready_timer);
        assert_notified("READY=1");
        assert_runs();
        at.notified[0] = '\0';
        fake_starter_answer(&at.starter, STARTER_STARTED, 4711, "");
        go_on();
        assert_not_notified("READY=1");
}

static void the_boot_goes_on_while_there_is_no_hand_over(void **state)
{
        (void)state;
        expect_identity();
        expect_look(400, NOT_FOUND);
        life_start(&at.life);
        go_on();
        assert_notified("READY=1");
        assert_notified("STATUS=Waiting for the hand-over");
        assert_int_equal(at.life.stage, LIFE_RECEIVE);
        expect_look(200, FOUND);
        pass(at.life.receive.timer);
        assert_int_equal(at.life.stage, LIFE_RUN);
}

/* Reported once, however often it listens. */
static void a_runner_that_updates_itself_listens_again(void **state)
{
        (void)state;
        listen_for_jobs();
        print("Runner update in progress, do not shutdown runner.");
        assert_notified("STATUS=The runner updates itself");
        pass(at.life.alarm.limit); /* which is the update's */
        assert_int_equal(fake_starter_signal(&at.starter), SIGINT);
        assert_contains(at.life.reason, "update of itself took longer");
}

static void a_second_listening_is_not_reported(void **state)
{
        (void)state;
        listen_for_jobs();
        end_runner(2);
        assert_runs();
        pass(at.life.run.timer);
        assert_true(fake_starter_take(&at.starter));
        fake_starter_answer(&at.starter, STARTER_STARTED, 4712, "");
        go_on();
        print("2026-01-02 03:04:05Z: Listening for Jobs");
        assert_runs();
}

/* -- lives that fail -- */

static void without_ec2_nothing_is_shut_down(void **state)
{
        (void)state;
        agent()->shuts_down = true;
        script_expect_failure(at.stand->script, "PUT", TOKEN_URL, -ETIMEDOUT);
        script_latency(at.stand->script, 12000);
        life_start(&at.life);
        go_on();
        assert_exited(LIFE_EXIT_NO_EC2);
        assert_null(stand_logged(at.stand, "shutting down"));
}

static void a_machine_without_a_role_fails(void **state)
{
        (void)state;
        script_expect(at.stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(at.stand->script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_expect(at.stand->script, "GET", ROLES_URL, NULL, 404, "");
        script_latency(at.stand->script, 12000);
        life_start(&at.life);
        go_on();
        assert_exited(LIFE_EXIT_FAILED);
}

static void a_hand_over_that_cannot_be_read_fails(void **state)
{
        (void)state;
        err_set(&agent()->clock_err, 0, "the clock is wrong");
        expect_identity();
        expect_look(200, "{\"Parameter\":{\"Value\":\"nonsense\"}}");
        script_expect(
                at.stand->script, "POST", EVENTS_URL, "the clock is wrong: ", 200, EVENT_TAKEN);
        life_start(&at.life);
        go_on();
        assert_exited(LIFE_EXIT_FAILED);
        assert_false(fake_starter_take(&at.starter));
}

/* Its parameter stays: it is the evidence by which the job is given back. */
static void a_runner_that_ends_without_a_job_fails(void **state)
{
        (void)state;
        listen_for_jobs();
        script_expect(at.stand->script, "POST", EVENTS_URL,
                "\\\"reason\\\":\\\"the runner ended without a job (exit code 1)", 200,
                EVENT_TAKEN);
        end_runner(1);
        assert_exited(LIFE_EXIT_FAILED);
        assert_non_null(stand_logged(at.stand, "failed"));
}

/* What it waits for may come with the rest of the boot. */
static void the_boot_goes_on_while_there_is_no_network(void **state)
{
        (void)state;
        script_expect_failure(at.stand->script, "PUT", TOKEN_URL, -ENETUNREACH);
        life_start(&at.life);
        go_on();
        assert_not_notified("READY=1");
        pass(at.life.ready_timer);
        assert_notified("READY=1");
        assert_int_equal(at.life.stage, LIFE_IDENTIFY);
}

static void a_runner_that_cannot_be_asked_for_fails_at_once(void **state)
{
        (void)state;
        free(agent()->settings.directory);
        agent()->settings.directory = mem_string("relative");
        expect_identity();
        expect_look(200, FOUND);
        expect_report("failed");
        life_start(&at.life);
        go_on();
        assert_exited(LIFE_EXIT_FAILED);
        assert_null(at.life.ready_timer);
        assert_null(at.life.alarm.limit);
}

/* -- being told to end -- */

static void before_its_runner_a_machine_ends_at_once(void **state)
{
        (void)state;
        expect_identity();
        expect_look(400, NOT_FOUND);
        life_start(&at.life);
        go_on();
        expect_report("interrupted");
        life_signal(&at.life, SIGTERM);
        life_signal(&at.life, SIGTERM); /* it ends already */
        go_on();
        assert_exited(LIFE_EXIT_DONE);
        assert_null(at.life.receive.timer);
        assert_null(stand_logged(at.stand, "stopping the runner"));
}

/* What waits for the start of a job goes with the report of the end. */
static void an_end_soon_after_the_runner_listens_loses_no_report(void **state)
{
        (void)state;
        run();
        print("2026-01-02 03:04:05Z: Listening for Jobs");
        assert_int_equal(at.life.reporter.n_waiting, 1);
        expect_report("ready");
        life_signal(&at.life, SIGTERM);
        assert_contains(script_last_body(at.stand->script), "told to end (SIGTERM)");
        go_on();
        assert_int_equal(at.life.reporter.n_waiting, 0);
        end_runner(0);
        assert_exited(LIFE_EXIT_DONE);
}

/* The report goes out at once, and only once; the first reason counts; the runner has its grace,
 * which a second signal ends. */
static void a_job_that_is_interrupted_has_its_grace(void **state)
{
        (void)state;
        run_job();
        script_expect(
                at.stand->script, "POST", EVENTS_URL, "told to end (SIGINT)", 200, EVENT_TAKEN);
        life_signal(&at.life, SIGINT);
        go_on();
        assert_int_equal(fake_starter_signal(&at.starter), SIGINT);
        assert_grace(30);
        life_signal(&at.life, SIGTERM);
        go_on();
        assert_int_equal(fake_starter_signal(&at.starter), SIGKILL);
        assert_int_equal(at.life.outcome, REPORT_INTERRUPTED);
        end_runner(143);
        assert_exited(LIFE_EXIT_DONE);
}

/* A job that has ended is finished, whatever comes then. */
static void a_signal_after_the_job_changes_nothing(void **state)
{
        (void)state;
        run_job();
        print("2026-01-02 03:04:05Z: Job build completed with result: Failed");
        life_signal(&at.life, SIGTERM);
        go_on();
        assert_int_equal(fake_starter_signal(&at.starter), SIGINT);
        script_expect(at.stand->script, "POST", EVENTS_URL, "\\\"stage\\\":\\\"finished\\\"", 200,
                EVENT_TAKEN);
        end_runner(0);
        assert_exited(LIFE_EXIT_DONE);
}

/* The runner does not end after its job: it is made to, and the job was finished. */
static void a_runner_that_does_not_end_after_its_job_is_made_to(void **state)
{
        (void)state;
        run_job();
        print("2026-01-02 03:04:05Z: Job build completed with result: Succeeded");
        pass(at.life.alarm.limit);
        assert_int_equal(fake_starter_signal(&at.starter), SIGINT);
        assert_false(at.life.was_stopped);
        expect_report("finished");
        end_runner(0);
        assert_exited(LIFE_EXIT_DONE);
}

static void a_job_past_its_limit_fails(void **state)
{
        (void)state;
        run_job();
        pass(at.life.alarm.limit);
        assert_int_equal(fake_starter_signal(&at.starter), SIGINT);
        script_expect(at.stand->script, "POST", EVENTS_URL, "took longer than its limit", 200,
                EVENT_TAKEN);
        end_runner(0);
        assert_exited(LIFE_EXIT_FAILED);
}

/* -- when no job comes -- */

static void idle(void)
{
        listen_for_jobs();
        expect_report("idle");
        pass(at.life.alarm.limit);
        assert_notified("STATUS=No job came");
        assert_non_null(stand_logged(at.stand, "the runner can be deregistered"));
        assert_int_equal(fake_starter_signal(&at.starter), -1);
        assert_runs();
}

static void a_machine_without_a_job_waits_until_it_is_deregistered(void **state)
{
        (void)state;
        idle();
        expect_look(400, NOT_FOUND);
        pass(at.life.idle.timer);
        pass(at.life.idle.timer); /* the grace */
        assert_int_equal(fake_starter_signal(&at.starter), STARTER_ASK_WORKER);
        fake_starter_answer(&at.starter, STARTER_WORKER, 1, "");
        go_on();
        assert_int_equal(fake_starter_signal(&at.starter), -1);
        assert_false(at.life.was_stopped);
        pass(at.life.idle.timer);
        assert_int_equal(fake_starter_signal(&at.starter), STARTER_ASK_WORKER);
        fake_starter_answer(&at.starter, STARTER_WORKER, 0, "");
        go_on();
        assert_int_equal(fake_starter_signal(&at.starter), SIGINT);
        assert_grace(30);
        script_expect(at.stand->script, "POST", EVENTS_URL,
                "\\\"reason\\\":\\\"no job within 300 s\\\"", 200, EVENT_TAKEN);
        end_runner(0);
        assert_exited(LIFE_EXIT_FAILED);
}

static void a_job_that_comes_late_is_run(void **state)
{
        (void)state;
        idle();
        expect_report("job_started");
        expect_look(200, "{}");
        print("2026-01-02 03:04:05Z: Running job: build");
        assert_null(at.life.idle.timer);
        assert_null(at.life.idle.events);
        assert_runs();
}

/* A report that it idles would deregister a runner that works. */
static void a_report_that_is_late_is_forgotten(void **state)
{
        static const char *const lines[] = {
                "2026-01-02 03:04:05Z: Running job: build",
                "Runner update in progress, do not shutdown runner.",
        };

        for (size_t i = 0; i < 2; i++) {
                if (i > 0) {
                        tear_down(state);
                        set_up(state);
                }
                listen_for_jobs();
                script_expect(at.stand->script, "POST", EVENTS_URL, "\\\"idle\\\"", 400, THROTTLED);
                pass(at.life.alarm.limit);
                assert_int_equal(at.life.reporter.n_waiting, 1);
                if (i == 0) {
                        expect_report("job_started");
                        expect_look(200, "{}");
                }
                print(lines[i]);
                assert_int_equal(at.life.reporter.n_waiting, 0);
                assert_null(at.life.idle.events);
        }
}

/* GitHub ended it meanwhile. */
static void an_idle_runner_that_ends_says_that_no_job_came(void **state)
{
        (void)state;
        idle();
        script_expect(at.stand->script, "POST", EVENTS_URL,
                "no job within 300 s: the runner ended without a job (exit code 0)", 200,
                EVENT_TAKEN);
        end_runner(0);
        assert_exited(LIFE_EXIT_FAILED);
        assert_null(at.life.idle.events);
}

/* -- powering off -- */

/* A program named shutdown, which is not the machine's. */
static void shut_down_with(int code, int wanted)
{
        _cleanup_free_ char *file = mem_format("%s/shutdown", at.starter.directory);
        _cleanup_free_ char *before = mem_string(getenv("PATH"));
        sigset_t child;
        FILE *script = fopen(file, "w");

        fprintf(script, "#!/bin/sh\n[ \"$*\" = '-h now' ] && exit %d\nexit 9\n", code);
        fclose(script);
        chmod(file, 0755);
        setenv("PATH", at.starter.directory, 1);
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_BLOCK, &child, NULL);
        agent()->shuts_down = true;
        run_job();
        print("2026-01-02 03:04:05Z: Job build completed with result: Succeeded");
        expect_report("finished");
        end_runner(0);
        for (int i = 0; i < 100 && sd_event_run(agent_event(agent()), 10000000) > 0; i++)
                ;
        assert_exited(wanted);
        assert_non_null(stand_logged(at.stand, "shutting down"));
        setenv("PATH", before, 1);
        unlink(file);
}

static void a_machine_powers_itself_off(void **state)
{
        (void)state;
        shut_down_with(0, LIFE_EXIT_DONE);
}

static void a_shutdown_that_fails_is_left_to_systemd(void **state)
{
        (void)state;
        shut_down_with(3, LIFE_EXIT_FAILED);
        assert_non_null(stand_logged(at.stand, "cannot shut down, systemd will power off"));
}

/* Neither EventBridge nor SSM keeps a machine alive. */
static void what_does_not_answer_at_the_end_is_not_waited_for(void **state)
{
        (void)state;
        run_job();
        print("2026-01-02 03:04:05Z: Job build completed with result: Succeeded");
        script_expect(at.stand->script, "POST", EVENTS_URL, NULL, 400, DENIED);
        end_runner(0);
        assert_not_exited();
        pass(at.life.reporter.limit);
        assert_exited(LIFE_EXIT_DONE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_job_runs_and_its_machine_ends),
                TEST(the_boot_goes_on_without_the_runner),
                TEST(the_boot_goes_on_while_there_is_no_hand_over),
                TEST(the_boot_goes_on_while_there_is_no_network),
                TEST(a_runner_that_updates_itself_listens_again),
                TEST(a_second_listening_is_not_reported),
                TEST(without_ec2_nothing_is_shut_down),
                TEST(a_machine_without_a_role_fails),
                TEST(a_hand_over_that_cannot_be_read_fails),
                TEST(a_runner_that_ends_without_a_job_fails),
                TEST(a_runner_that_cannot_be_asked_for_fails_at_once),
                TEST(before_its_runner_a_machine_ends_at_once),
                TEST(an_end_soon_after_the_runner_listens_loses_no_report),
                TEST(a_job_that_is_interrupted_has_its_grace),
                TEST(a_signal_after_the_job_changes_nothing),
                TEST(a_runner_that_does_not_end_after_its_job_is_made_to),
                TEST(a_job_past_its_limit_fails),
                TEST(a_machine_without_a_job_waits_until_it_is_deregistered),
                TEST(a_job_that_comes_late_is_run),
                TEST(a_report_that_is_late_is_forgotten),
                TEST(an_idle_runner_that_ends_says_that_no_job_came),
                TEST(a_machine_powers_itself_off),
                TEST(a_shutdown_that_fails_is_left_to_systemd),
                TEST(what_does_not_answer_at_the_end_is_not_waited_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
