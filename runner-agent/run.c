/* SPDX-License-Identifier: MIT */

/*
 * Running the runner: its start, its end, and whether it is started once more.
 */

#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "base/mem.h"
#include "runner_exit.h"
#include "starter/client.h"

#define STARTS_MAX 4
#define RESTART_FIRST_MS 1000
#define RESTART_MOST_MS 5000

/* From SIGKILL on: the kernel needs no longer, so it is the starter that does not answer. */
#define KILLED_LIMIT_MS 5000

/* A runner that updates itself ends first; a script of its own swaps its files, and leaves this
 * behind for who starts it again. */
#define UPDATE_FILE "update.finished"
#define UPDATE_LOOK_MS 250
#define UPDATE_LOOKS_MAX 120

static void start_runner(struct agent *agent);

/* -- its end --------------------------------------------------------------------------------- */

static int on_restart(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        start_runner(userdata);
        return 0;
}

/* A file of an earlier update does not count. The agent cannot remove it: it may write nowhere. */
static bool is_updated(const struct agent *agent)
{
        _cleanup_free_ char *file = mem_format("%s/%s", agent->settings.directory, UPDATE_FILE);
        struct stat status;

        if (stat(file, &status) < 0)
                return false;
        return status.st_mtim.tv_sec * MSEC_PER_SEC + status.st_mtim.tv_nsec / 1000000 >=
               agent->run.started_ms;
}

static int on_update_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;

        (void)source;
        (void)usec;
        if (is_updated(agent) || ++agent->run.looks > UPDATE_LOOKS_MAX)
                start_runner(agent);
        else
                agent_timer(agent, &agent->run.timer, UPDATE_LOOK_MS, on_update_time);
        return 0;
}

/* There is no runner, or none any more. */
static void go_on(struct agent *agent, enum runner_exit_next next)
{
        struct run *run = &agent->run;

        if (run->is_stopping || agent->times[REPORT_TIME_JOB_STARTED] || run->starts >= STARTS_MAX)
                next = RUNNER_EXIT_FINAL;
        if (next == RUNNER_EXIT_FINAL) {
                agent_timer_stop(&run->kill_timer);
                mem_free_secret(MEM_STEAL(agent->handover.jit_config));
                run->events->ended(agent, run->err.text[0] ? &run->err : NULL);
                return;
        }
        log_warning(agent_log(agent), "the runner will be started again",
                LOG_NUMBER("exit_code", agent->runner_exit_code), LOG_NUMBER("starts", run->starts),
                LOG_TEXT("error", run->err.text));
        run->looks = 0;
        if (next == RUNNER_EXIT_UPDATE)
                agent_timer(agent, &run->timer, UPDATE_LOOK_MS, on_update_time);
        else
                agent_timer(agent, &run->timer,
                        agent_backoff_ms(run->starts, RESTART_FIRST_MS, RESTART_MOST_MS),
                        on_restart);
}

static int on_end_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        go_on(userdata, RUNNER_EXIT_FINAL);
        return 0;
}

/* To the starter, this is the end of what still runs. */
static void disconnect(struct agent *agent)
{
        struct run *run = &agent->run;

        if (!run->source)
                return;
        run->source = sd_event_source_disable_unref(run->source);
        close(run->socket);
        run->pid = 0;
}

static void end_runner(struct agent *agent, int exit_code, int signal)
{
        agent->run.signal = signal;
        agent->runner_exit_code = exit_code;
        progress_finish(agent);
        log_info(agent_log(agent), "the runner ended", LOG_NUMBER("exit_code", exit_code),
                LOG_NUMBER("signal", signal));
        disconnect(agent);
        go_on(agent, runner_exit_next(exit_code));
}

/* How it ends, or whether it ever began, is not known. */
static void lose_runner(struct agent *agent, const struct err *err, enum runner_exit_next next)
{
        agent->run.err = *err;
        agent->run.signal = 0;
        agent->runner_exit_code = -1;
        progress_finish(agent);
        disconnect(agent);
        go_on(agent, next);
}

static int on_kill_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        struct run *run = &agent->run;
        struct err err;

        (void)source;
        (void)usec;
        if (!run->source)
                return 0;
        if (run->pid == 0 || run->was_killed) {
                err_set(&err, -ETIMEDOUT, "runner.service did not %s the runner in time",
                        run->pid == 0 ? "start" : "end");
                lose_runner(agent, &err, RUNNER_EXIT_FINAL);
                return 0;
        }
        log_warning(agent_log(agent), "the runner did not end in time, it is killed");
        starter_client_signal(run->socket, SIGKILL);
        run->was_killed = true;
        agent_timer(agent, &run->kill_timer, KILLED_LIMIT_MS, on_kill_time);
        return 0;
}

void run_stop(struct agent *agent, int64_t grace_ms)
{
        struct run *run = &agent->run;

        if (run->source) {
                if (!run->is_stopping)
                        starter_client_signal(run->socket, SIGINT);
                if (!run->was_killed)
                        agent_timer(agent, &run->kill_timer, grace_ms, on_kill_time);
        } else if (!run->is_stopping) {
                agent_timer(agent, &run->timer, 0, on_end_time); /* instead of a restart */
        }
        run->is_stopping = true;
}

/* -- its start ------------------------------------------------------------------------------- */

static void runner_started(struct agent *agent, pid_t pid)
{
        struct run *run = &agent->run;

        run->pid = pid;
        agent_time(agent, REPORT_TIME_RUNNER_STARTED);
        log_info(agent_log(agent), "the runner started", LOG_NUMBER("pid", pid));
        if (run->starts == 1)
                run->events->started(agent);
}

static void on_answer(struct agent *agent, const struct starter_answer *answer)
{
        struct err err;

        switch ((enum starter_event)answer->event) {
        case STARTER_STARTED:
                runner_started(agent, answer->value);
                break;
        case STARTER_EXITED:
                end_runner(agent, answer->value, 0);
                break;
        case STARTER_KILLED:
                end_runner(agent, -1, answer->value);
                break;
        case STARTER_FAILED:
                err_set(&err, -ENOEXEC, "the runner cannot be started: %s", answer->text);
                lose_runner(agent, &err, RUNNER_EXIT_FINAL);
                break;
        case STARTER_EVENTS:
                break;
        }
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct agent *agent = userdata;
        struct starter_answer answer;
        struct err err;
        int r = starter_client_read(fd, &answer, &err);

        (void)source;
        (void)events;
        if (r < 0)
                lose_runner(agent, &err, RUNNER_EXIT_RESTART);
        else if (r > 0)
                on_answer(agent, &answer);
        return 0;
}

static int ask(struct agent *agent, struct starter_client *ret, struct err *err)
{
        const struct agent_settings *settings = &agent->settings;
        _cleanup_free_ char *path = mem_format("PATH=%s", settings->path);
        char *jit_config =
                mem_format("ACTIONS_RUNNER_INPUT_JITCONFIG=%s", agent->handover.jit_config);
        /* Never an argument: those can be read by every user. */
        char *variables[] = {path, (char *)"LANG=C.UTF-8", jit_config, NULL};
        int r = starter_client_ask(
                settings->socket, settings->directory, settings->command, variables, ret, err);

        mem_free_secret(jit_config);
        return r;
}

static int watch_runner(struct agent *agent, const struct starter_client *client)
{
        struct run *run = &agent->run;
        int r = sd_event_add_io(
                agent_event(agent), &run->source, client->socket, EPOLLIN, on_readable, agent);

        if (r < 0) {
                close(client->socket);
                close(client->output);
                return r;
        }
        run->socket = client->socket;
        /* Before its output: that it was started comes before what it says. */
        sd_event_source_set_priority(run->source, SD_EVENT_PRIORITY_IMPORTANT);
        return progress_start(agent, client->output);
}

static void start_runner(struct agent *agent)
{
        struct run *run = &agent->run;
        struct starter_client client;
        struct err err;
        int r = ask(agent, &client, &err);
        enum runner_exit_next next =
                r == -E2BIG || r == -EINVAL ? RUNNER_EXIT_FINAL : RUNNER_EXIT_RESTART;

        run->starts++;
        run->started_ms = clock_wall_ms(agent->clock);
        run->err.text[0] = '\0';
        if (r >= 0) {
                r = watch_runner(agent, &client);
                if (r < 0)
                        err_set(&err, r, "the runner cannot be watched: %s", strerror(-r));
        }
        if (r < 0)
                lose_runner(agent, &err, next);
}

void run_start(struct agent *agent, const struct run_events *events)
{
        agent->run.events = events;
        start_runner(agent);
}

void run_release(struct agent *agent)
{
        struct run *run = &agent->run;

        disconnect(agent);
        progress_release(agent);
        agent_timer_stop(&run->timer);
        agent_timer_stop(&run->kill_timer);
}
