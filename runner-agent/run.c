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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "exits.h"
#include "mem.h"
#include "spawn.h"

#define STARTS_MAX 4
#define RESTART_FIRST_MS 1000
#define RESTART_MOST_MS 5000

/* A runner that updates itself ends first; a script of its own swaps its files, and leaves this
 * behind for who starts it again. */
#define UPDATE_FILE "update.finished"
#define UPDATE_LOOK_MS 250
#define UPDATE_LOOKS_MAX 120

#define GROUP_LOOK_MS 10
#define GROUP_LOOKS_MAX 50

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
        _cleanup_free_ char *file = mem_format("%s/%s", agent->config.directory, UPDATE_FILE);
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

/* The runner and all of its processes are gone. */
static void go_on(struct agent *agent)
{
        struct run *run = &agent->run;
        enum exits_next next = exits_next(agent->runner_exit_code);

        if (run->is_stopping || agent->times[REPORT_TIME_JOB_STARTED] || run->starts >= STARTS_MAX)
                next = EXITS_END;
        if (next == EXITS_END) {
                agent_timer_stop(&run->kill_timer);
                mem_free_secret(MEM_STEAL(agent->handover.jit_config));
                run->events->ended(agent, NULL);
                return;
        }
        log_warning(agent_log(agent), "the runner will be started again",
                LOG_NUMBER("exit_code", agent->runner_exit_code),
                LOG_NUMBER("starts", run->starts));
        run->looks = 0;
        if (next == EXITS_UPDATE)
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
        if (exits_next(agent->runner_exit_code) != EXITS_UPDATE)
                kill(-run->pid, SIGKILL);
        listen_finish(agent);
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

/* -- its start ------------------------------------------------------------------------------- */

static int watch_runner(struct agent *agent, const struct spawned *spawned, struct err *err)
{
        struct run *run = &agent->run;
        int r;

        r = listen_start(agent, spawned->output);
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
        run->started_ms = clock_wall_ms(agent->clock);
        if (r >= 0) {
                run->pid = spawned.pid;
                r = watch_runner(agent, &spawned, &err);
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
        listen_release(agent);
        agent_timer_stop(&run->timer);
        agent_timer_stop(&run->kill_timer);
}
