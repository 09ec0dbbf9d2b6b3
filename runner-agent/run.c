/* SPDX-License-Identifier: MIT */

/*
 * Starts the runner, follows it to its end, and decides whether it is started again.
 */

#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "runner_exit.h"
#include "starter/client.h"

#define STARTS_MAX 4
#define RESTART_FIRST_MS 1000
#define RESTART_MOST_MS 5000

/* After SIGKILL: the kernel takes less, so by then it is the starter that does not answer. */
#define KILLED_LIMIT_MS 5000

#define UPDATE_POLL_MS 250
#define UPDATE_POLLS_MAX 120

static void start_runner(struct run *run);

/* -- starting again -- */

static int on_restart(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        start_runner(userdata);
        return 0;
}

static int on_update_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct run *run = userdata;
        const char *directory = run->agent->settings.directory;

        (void)source;
        (void)usec;
        if (runner_exit_is_updated(directory, run->asked_ms) ||
                ++run->update_polls > UPDATE_POLLS_MAX)
                start_runner(run);
        else
                agent_timer(run->agent, &run->timer, UPDATE_POLL_MS, on_update_poll, run);
        return 0;
}

static void end_run(struct run *run)
{
        struct agent *agent = run->agent;

        agent_timer_stop(&run->kill_timer);
        mem_free_secret(MEM_STEAL(agent->handover.jit_config));
        if (!run->err.text[0])
                runner_exit_explain(agent->runner_exit_code, run->signal,
                        agent->times[REPORT_TIME_JOB_STARTED] != 0, run->progress.last_line,
                        &run->err);
        run->events->ended(run->userdata, &run->err);
}

/* The runner does not run, or no longer. */
static void restart_or_end(struct run *run, enum runner_exit_next next)
{
        struct agent *agent = run->agent;
        int64_t delay;

        if (next == RUNNER_EXIT_FINAL || run->is_stopping ||
                agent->times[REPORT_TIME_JOB_STARTED] || run->starts >= STARTS_MAX) {
                end_run(run);
                return;
        }
        log_warning(agent_log(agent), "the runner will be started again",
                LOG_NUMBER("exit_code", agent->runner_exit_code), LOG_NUMBER("starts", run->starts),
                LOG_TEXT("error", run->err.text));
        run->update_polls = 0;
        delay = agent_backoff_ms(run->starts, RESTART_FIRST_MS, RESTART_MOST_MS);
        if (next == RUNNER_EXIT_UPDATE)
                agent_timer(agent, &run->timer, UPDATE_POLL_MS, on_update_poll, run);
        else
                agent_timer(agent, &run->timer, delay, on_restart, run);
}

/* -- its end -- */

/* The starter kills what still runs. */
static void disconnect(struct run *run)
{
        if (!run->source)
                return;
        run->source = sd_event_source_disable_unref(run->source);
        close(run->socket);
        run->pid = 0;
}

static void runner_ended(struct run *run, int exit_code, int signal)
{
        run->signal = signal;
        run->agent->runner_exit_code = exit_code;
        progress_finish(&run->progress);
        log_info(agent_log(run->agent), "the runner ended", LOG_NUMBER("exit_code", exit_code),
                LOG_NUMBER("signal", signal));
        disconnect(run);
        restart_or_end(run, runner_exit_next(exit_code));
}

/* How the runner ends, or whether it ever started, is not known. */
static void lose_runner(struct run *run, const struct err *err, enum runner_exit_next next)
{
        run->err = *err;
        run->signal = 0;
        run->agent->runner_exit_code = -1;
        progress_finish(&run->progress);
        disconnect(run);
        restart_or_end(run, next);
}

static int on_kill_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct run *run = userdata;
        struct err err;

        (void)source;
        (void)usec;
        if (!run->source)
                return 0;
        if (run->pid == 0 || run->was_killed) {
                err_set(&err, -ETIMEDOUT, "runner.service did not %s the runner in time",
                        run->pid == 0 ? "start" : "end");
                lose_runner(run, &err, RUNNER_EXIT_FINAL);
                return 0;
        }
        log_warning(agent_log(run->agent), "the runner did not end in time, it is killed");
        starter_client_signal(run->socket, SIGKILL);
        run->was_killed = true;
        agent_timer(run->agent, &run->kill_timer, KILLED_LIMIT_MS, on_kill_time, run);
        return 0;
}

static int on_stopped(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        restart_or_end(userdata, RUNNER_EXIT_FINAL);
        return 0;
}

static void kill_after(struct run *run, int64_t grace_ms)
{
        int64_t kill_ms = clock_monotonic_ms(run->agent->clock) + grace_ms;

        if (run->kill_timer && run->kill_ms <= kill_ms)
                return;
        run->kill_ms = kill_ms;
        agent_timer(run->agent, &run->kill_timer, grace_ms, on_kill_time, run);
}

void run_stop(struct run *run, int64_t grace_ms)
{
        if (run->source) {
                if (!run->is_stopping)
                        starter_client_signal(run->socket, SIGINT);
                if (!run->was_killed)
                        kill_after(run, grace_ms);
        } else if (!run->is_stopping) {
                agent_timer(run->agent, &run->timer, 0, on_stopped, run); /* not a restart */
        }
        run->is_stopping = true;
}

void run_ask_worker(struct run *run)
{
        if (run->pid == 0)
                run->events->worker(run->userdata, false); /* no runner, no worker */
        else
                starter_client_signal(run->socket, STARTER_ASK_WORKER);
}

/* -- its start -- */

static void runner_started(struct run *run, pid_t pid)
{
        bool is_first = run->agent->times[REPORT_TIME_RUNNER_STARTED] == 0;

        run->pid = pid;
        agent_time(run->agent, REPORT_TIME_RUNNER_STARTED);
        log_info(agent_log(run->agent), "the runner started", LOG_NUMBER("pid", pid));
        if (is_first)
                run->events->started(run->userdata);
}

static void on_answer(struct run *run, const struct starter_answer *answer)
{
        struct err err;

        switch ((enum starter_event)answer->event) {
        case STARTER_STARTED:
                runner_started(run, answer->value);
                break;
        case STARTER_EXITED:
                runner_ended(run, answer->value, 0);
                break;
        case STARTER_KILLED:
                runner_ended(run, -1, answer->value);
                break;
        case STARTER_FAILED:
                err_set(&err, -ENOEXEC, "the runner cannot be started: %s", answer->text);
                lose_runner(run, &err, RUNNER_EXIT_FINAL);
                break;
        case STARTER_WORKER:
                run->events->worker(run->userdata, answer->value != 0);
                break;
        case STARTER_EVENTS:
                break;
        }
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct run *run = userdata;
        struct starter_answer answer;
        struct err err;
        int r = starter_client_read(fd, &answer, &err);

        (void)source;
        (void)events;
        if (r < 0)
                lose_runner(run, &err, RUNNER_EXIT_RESTART);
        else if (r > 0)
                on_answer(run, &answer);
        return 0;
}

static int ask_starter(const struct agent *agent, struct starter_client *ret, struct err *err)
{
        const struct agent_settings *settings = &agent->settings;
        _cleanup_free_ char *path = mem_format("PATH=%s", settings->path);
        char *jit_config =
                mem_format("ACTIONS_RUNNER_INPUT_JITCONFIG=%s", agent->handover.jit_config);
        char *variables[] = {
                path,
                (char *)"LANG=C.UTF-8",
                /* Otherwise a runner whose version GitHub refuses exits with 1. */
                (char *)"ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1",
                jit_config, /* not an argument: every user can read those of a process */
                NULL,
        };
        int r = starter_client_ask(
                settings->socket, settings->directory, settings->command, variables, ret, err);

        mem_free_secret(jit_config);
        return r;
}

static int follow_runner(struct run *run, const struct starter_client *client)
{
        int r = sd_event_add_io(
                agent_event(run->agent), &run->source, client->socket, EPOLLIN, on_readable, run);

        if (r < 0) {
                close(client->socket);
                close(client->output);
                return r;
        }
        run->socket = client->socket;
        /* Before its output, so that its start comes before what it prints. */
        sd_event_source_set_priority(run->source, SD_EVENT_PRIORITY_IMPORTANT);
        return progress_start(
                &run->progress, client->output, &run->events->progress, run->userdata);
}

static void start_runner(struct run *run)
{
        struct starter_client client;
        struct err err;
        int r = ask_starter(run->agent, &client, &err);
        bool would_refuse = r == -E2BIG || r == -EINVAL;

        run->starts++;
        run->asked_ms = clock_wall_ms(run->agent->clock);
        run->err.text[0] = '\0';
        if (r >= 0) {
                r = follow_runner(run, &client);
                if (r < 0)
                        err_set(&err, r, "the runner cannot be followed: %s", strerror(-r));
        }
        if (r < 0)
                lose_runner(run, &err, would_refuse ? RUNNER_EXIT_FINAL : RUNNER_EXIT_RESTART);
}

void run_start(struct run *run, const struct run_events *events, void *userdata)
{
        run->progress.agent = run->agent;
        run->events = events;
        run->userdata = userdata;
        start_runner(run);
}

void run_release(struct run *run)
{
        disconnect(run);
        progress_release(&run->progress);
        agent_timer_stop(&run->timer);
        agent_timer_stop(&run->kill_timer);
}
