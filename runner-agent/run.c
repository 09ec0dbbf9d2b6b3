/* SPDX-License-Identifier: MIT */

/*
 * Running the runner: its start, its output, its end, and whether it is started once more.
 */

#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "mem.h"
#include "spawn.h"

#define STARTS_MAX 4
#define RESTART_FIRST_MS 1000
#define RESTART_MOST_MS 5000

/* A runner that updates itself ends first; a script swaps its files and leaves this behind. */
#define UPDATE_FILE "update.finished"
#define UPDATE_LOOK_MS 250
#define UPDATE_LOOKS_MAX 120

#define GROUP_LOOK_MS 10
#define GROUP_LOOKS_MAX 200

/* So much output is read at one go, and after the runner's end. */
#define READ_SIZE 16384
#define READS_AT_END 64

enum next {
        NEXT_END,
        NEXT_AGAIN,
        NEXT_UPDATE,
};

/* Exit codes of Runner.Listener (Constants.Runner.ReturnCode). */
static const struct {
        int code;
        enum next next;
        const char *text;
} exits[] = {
        {0, NEXT_END, "it found nothing to do"},
        {1, NEXT_END, "it gave up"},
        {2, NEXT_AGAIN, "it could not reach GitHub, or GitHub could not serve it, again and again"},
        {3, NEXT_UPDATE, "it kept updating itself: bake an image with the current runner"},
        {4, NEXT_UPDATE, "it kept updating itself: bake an image with the current runner"},
        {5, NEXT_END, "another runner already has a session with this registration"},
        {7, NEXT_END, "GitHub refuses its version: bake an image with the current runner"},
};

static void start_runner(struct agent *agent);

static size_t find_exit(int64_t code)
{
        size_t i = 0;

        while (i < ARRAY_SIZE(exits) && exits[i].code != code)
                i++;
        return i;
}

void run_explain(const struct agent *agent, struct err *ret)
{
        const struct run *run = &agent->run;
        size_t i = find_exit(agent->runner_exit_code);
        const char *text = i < ARRAY_SIZE(exits) ? exits[i].text : "its exit code is not known";
        char last[sizeof(run->last_line) + 32] = "";
        char how[64];

        if (run->last_line[0])
                snprintf(last, sizeof(last), "; it said last: \"%s\"", run->last_line);
        if (run->signal)
                snprintf(how, sizeof(how), "SIG%s", sigabbrev_np(run->signal));
        else
                snprintf(how, sizeof(how), "exit code %d", (int)agent->runner_exit_code);
        if (agent->times[REPORT_TIME_JOB_STARTED])
                err_set(ret, 0, "the runner ended in the middle of its job (%s)%s", how, last);
        else
                err_set(ret, 0, "the runner ended without a job (%s): %s%s", how,
                        run->signal ? "it crashed, or was killed" : text, last);
}

/* -- its output ---------------------------------------------------------------------------------
 */

static void job_started(struct agent *agent, char *name)
{
        if (agent->times[REPORT_TIME_JOB_STARTED]) {
                free(name);
                return;
        }
        agent->job_name = name;
        agent_time(agent, REPORT_TIME_JOB_STARTED);
        /* It cannot be started again from here on. */
        mem_free_secret(MEM_STEAL(agent->handover.jit_config));
        agent->run.events->job_started(agent);
}

static void job_finished(struct agent *agent, char *name, char *result)
{
        if (agent->times[REPORT_TIME_JOB_FINISHED] || !agent->times[REPORT_TIME_JOB_STARTED]) {
                free(name);
                free(result);
                return;
        }
        free(agent->job_name);
        agent->job_name = name;
        agent->result = result;
        agent_time(agent, REPORT_TIME_JOB_FINISHED);
        agent->run.events->job_finished(agent);
}

/* Cut between two characters, since it becomes part of a report. */
static void keep_last_line(struct run *run, const char *line)
{
        size_t size = strlen(line);

        if (size >= sizeof(run->last_line)) {
                size = sizeof(run->last_line) - 1;
                while (size > 0 && ((unsigned char)line[size] & 0xc0) == 0x80)
                        size--;
        }
        memcpy(run->last_line, line, size);
        run->last_line[size] = '\0';
}

static void on_line(void *userdata, const char *line)
{
        struct agent *agent = userdata;
        char *name = NULL;
        char *result = NULL;

        log_info(agent_runner_log(agent), line);
        keep_last_line(&agent->run, line);
        switch (output_read(line, &name, &result)) {
        case OUTPUT_LISTENING:
                if (agent->times[REPORT_TIME_LISTENING] == 0) {
                        agent_time(agent, REPORT_TIME_LISTENING);
                        agent->run.events->listening(agent);
                }
                break;
        case OUTPUT_JOB_STARTED:
                job_started(agent, name);
                break;
        case OUTPUT_JOB_FINISHED:
                job_finished(agent, name, result);
                break;
        case OUTPUT_OTHER:
                break;
        }
}

/* Positive: there may be more; -EAGAIN: not now; 0 or negative: never. */
static int read_output(struct agent *agent)
{
        struct run *run = &agent->run;
        char bytes[READ_SIZE];
        ssize_t n = read(run->output_fd, bytes, sizeof(bytes));

        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        output_add(&run->output, bytes, (size_t)n, on_line, agent);
        return n > 0;
}

static void close_output(struct run *run)
{
        run->output_source = sd_event_source_disable_unref(run->output_source);
        if (run->output_fd >= 0)
                close(run->output_fd);
        run->output_fd = -1;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct agent *agent = userdata;
        int r;

        (void)fd;
        (void)events;
        r = read_output(agent);
        if (r <= 0 && r != -EAGAIN)
                sd_event_source_set_enabled(source, SD_EVENT_OFF); /* all writers closed it */
        return 0;
}

/* -- its end ------------------------------------------------------------------------------------
 */

static int on_restart(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        start_runner(userdata);
        return 0;
}

static int on_update_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        _cleanup_free_ char *file = mem_format("%s/%s", agent->config.directory, UPDATE_FILE);

        (void)source;
        (void)usec;
        if (unlink(file) == 0 || ++agent->run.looks > UPDATE_LOOKS_MAX)
                start_runner(agent);
        else
                agent_timer(agent, &agent->run.timer, UPDATE_LOOK_MS, on_update_time);
        return 0;
}

/* The runner and all of its processes are gone. */
static void go_on(struct agent *agent)
{
        struct run *run = &agent->run;
        size_t i = run->signal ? ARRAY_SIZE(exits) : find_exit(agent->runner_exit_code);
        enum next next = i < ARRAY_SIZE(exits) ? exits[i].next : NEXT_END;

        if (run->is_stopping || agent->times[REPORT_TIME_JOB_STARTED] || run->starts >= STARTS_MAX)
                next = NEXT_END;
        if (next == NEXT_END) {
                agent_timer_stop(&run->kill_timer);
                mem_free_secret(MEM_STEAL(agent->handover.jit_config));
                run->events->ended(agent, NULL);
                return;
        }
        log_warning(agent_log(agent), "the runner will be started again",
                LOG_NUMBER("exit_code", agent->runner_exit_code),
                LOG_NUMBER("starts", run->starts));
        run->looks = 0;
        if (next == NEXT_UPDATE)
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
        go_on(userdata);
        return 0;
}

static int on_group_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        struct run *run = &agent->run;

        (void)source;
        (void)usec;
        if (kill(-run->group, 0) == 0 && ++run->looks < GROUP_LOOKS_MAX) {
                agent_timer(agent, &run->timer, GROUP_LOOK_MS, on_group_time);
                return 0;
        }
        run->group = 0;
        go_on(agent);
        return 0;
}

/* The runner is a zombie during this call, so its group's number is still its own. */
static int on_exit_of_runner(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        struct agent *agent = userdata;
        struct run *run = &agent->run;

        (void)source;
        run->signal = info->si_code == CLD_EXITED ? 0 : info->si_status;
        agent->runner_exit_code = info->si_code == CLD_EXITED ? info->si_status : -1;
        kill(-run->pid, SIGKILL);
        for (int i = 0; i < READS_AT_END && read_output(agent) > 0; i++)
                ;
        output_end(&run->output, on_line, agent);
        close_output(run);
        log_info(agent_log(agent), "the runner ended",
                LOG_NUMBER("exit_code", agent->runner_exit_code),
                LOG_NUMBER("signal", run->signal));
        run->child = sd_event_source_disable_unref(run->child);
        run->group = run->pid;
        run->pid = 0;
        run->looks = 0;
        agent_timer(agent, &run->timer, 0, on_group_time);
        return 0;
}

static int on_kill_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;

        (void)source;
        (void)usec;
        if (agent->run.pid == 0)
                return 0;
        log_warning(agent_log(agent), "the runner did not end in time, it is killed");
        kill(-agent->run.pid, SIGKILL);
        return 0;
}

void run_stop(struct agent *agent, int64_t grace_ms)
{
        struct run *run = &agent->run;

        if (run->pid > 0) {
                if (!run->is_stopping)
                        kill(run->pid, SIGINT);
                agent_timer(agent, &run->kill_timer, grace_ms, on_kill_time);
        } else if (run->group == 0 && !run->is_stopping) {
                agent_timer(agent, &run->timer, 0, on_end_time); /* instead of a restart */
        }
        run->is_stopping = true;
}

/* -- its start ----------------------------------------------------------------------------------
 */

static int watch_runner(struct agent *agent, struct err *err)
{
        struct run *run = &agent->run;
        int r;

        r = sd_event_add_io(
                agent_event(agent), &run->output_source, run->output_fd, EPOLLIN, on_output, agent);
        if (r >= 0)
                r = sd_event_add_child(agent_event(agent), &run->child, run->pid, WEXITED,
                        on_exit_of_runner, agent);
        if (r < 0)
                return err_set(err, r, "the runner cannot be watched: %s", strerror(-r));
        return 0;
}

static void start_runner(struct agent *agent)
{
        struct run *run = &agent->run;
        struct spawned spawned;
        struct err err;
        int r = spawn_runner(&agent->config, agent->handover.jit_config, &spawned, &err);

        run->starts++;
        if (r >= 0) {
                run->pid = spawned.pid;
                run->output_fd = spawned.output;
                r = watch_runner(agent, &err);
        }
        if (r < 0) {
                run_release(agent);
                mem_free_secret(MEM_STEAL(agent->handover.jit_config));
                run->events->ended(agent, &err);
                return;
        }
        agent_time(agent, REPORT_TIME_RUNNER_STARTED);
        log_info(agent_log(agent), "the runner started", LOG_NUMBER("pid", run->pid));
        if (run->starts == 1)
                run->events->started(agent);
}

void run_start(struct agent *agent, const struct run_events *events)
{
        agent->run.events = events;
        agent->run.output_fd = -1;
        start_runner(agent);
}

void run_release(struct agent *agent)
{
        struct run *run = &agent->run;

        if (!run->events)
                return;
        if (run->pid > 0)
                kill(-run->pid, SIGKILL);
        run->pid = 0;
        run->child = sd_event_source_disable_unref(run->child);
        close_output(run);
        agent_timer_stop(&run->timer);
        agent_timer_stop(&run->kill_timer);
}
