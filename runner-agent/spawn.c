/* SPDX-License-Identifier: MIT */

/*
 * fork and exec, since posix_spawn cannot change the user. Everything that needs memory or files is
 * prepared before the fork; the child only makes system calls, and tells through a pipe that exec
 * closes which of them failed.
 */

#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "mem.h"

/* The kernel ends the job's processes before the agent when memory is short. */
#define OOM_SCORE_ADJUST "500"

/* -- the child ------------------------------------------------------------------------------- */

enum step {
        STEP_GROUP,
        STEP_OUTPUT,
        STEP_USER,
        STEP_DIRECTORY,
        STEP_EXEC,
};

struct failure {
        enum step step;
        int error;
};

struct plan {
        const struct agent_config *config;
        const struct account *account;
        const struct environment *environment;
        pid_t agent;
        int output;
        int failure;
        int null;
};

static bool become_user(const struct account *account)
{
        if (!account->is_other)
                return true;
        return setgroups((size_t)account->n_groups, account->groups) == 0 &&
               setresgid(account->gid, account->gid, account->gid) == 0 &&
               setresuid(account->uid, account->uid, account->uid) == 0;
}

static void reset_signals(void)
{
        struct sigaction standard = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int number = 1; number < NSIG; number++)
                sigaction(number, &standard, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool set_files(const struct plan *plan)
{
        return dup2(plan->null, STDIN_FILENO) >= 0 && dup2(plan->output, STDOUT_FILENO) >= 0 &&
               dup2(plan->output, STDERR_FILENO) >= 0 &&
               close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

static void prefer_for_oom(void)
{
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return;
        if (write(fd, OOM_SCORE_ADJUST, strlen(OOM_SCORE_ADJUST)) < 0)
                errno = 0; /* a preference only */
        close(fd);
}

static enum step run_child(const struct plan *plan)
{
        if (setpgid(0, 0) < 0)
                return STEP_GROUP;
        prefer_for_oom();
        umask(022);
        if (!set_files(plan))
                return STEP_OUTPUT;
        if (!become_user(plan->account))
                return STEP_USER;
        if (chdir(plan->config->directory) < 0)
                return STEP_DIRECTORY;
        /* After the change of user, which would take it back. No runner without an agent. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != plan->agent)
                _exit(127);
        reset_signals();
        execve(plan->config->command[0], plan->config->command, plan->environment->variables);
        return STEP_EXEC;
}

/* -- the parent ------------------------------------------------------------------------------ */

static int explain(const struct failure *failure, const struct plan *plan, struct err *err)
{
        static const char *const steps[] = {
                [STEP_GROUP] = "set its process group",
                [STEP_OUTPUT] = "set its output",
                [STEP_USER] = "become user",
                [STEP_DIRECTORY] = "enter its folder",
                [STEP_EXEC] = "start",
        };
        const char *what = failure->step == STEP_USER        ? plan->config->user
                           : failure->step == STEP_DIRECTORY ? plan->config->directory
                                                             : plan->config->command[0];

        return err_set(err, -failure->error, "the runner cannot %s %s: %s", steps[failure->step],
                what, strerror(failure->error));
}

static void close_fd(const int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

/* Returns when the program runs, or has failed to. */
static int start_child(struct plan *plan, int failure_read, pid_t *ret_pid, struct err *err)
{
        struct failure failure = {0};
        pid_t pid = fork();
        ssize_t n;

        if (pid < 0)
                return err_set(err, -errno, "the runner cannot be forked: %s", strerror(errno));
        if (pid == 0) {
                failure.step = run_child(plan);
                failure.error = errno;
                _exit(write(plan->failure, &failure, sizeof(failure)) < 0 ? 126 : 127);
        }
        close(plan->failure);
        plan->failure = -1;
        do
                n = read(failure_read, &failure, sizeof(failure));
        while (n < 0 && errno == EINTR);
        if (n == (ssize_t)sizeof(failure)) {
                waitpid(pid, NULL, 0);
                return explain(&failure, plan, err);
        }
        *ret_pid = pid;
        return 0;
}

static int open_pipe(int *ret_read, int *ret_write, struct err *err)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_set(err, -errno, "no pipe for the runner: %s", strerror(errno));
        *ret_read = ends[0];
        *ret_write = ends[1];
        return 0;
}

static int spawn_with(struct plan *plan, struct spawned *ret, struct err *err)
{
        _cleanup_(close_fd) int output_read = -1;
        _cleanup_(close_fd) int failure_read = -1;
        int r;

        plan->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (plan->null < 0)
                return err_set(err, -errno, "/dev/null: %s", strerror(errno));
        r = open_pipe(&output_read, &plan->output, err);
        if (r < 0)
                return r;
        r = open_pipe(&failure_read, &plan->failure, err);
        if (r < 0)
                return r;
        if (fcntl(output_read, F_SETFL, O_NONBLOCK) < 0)
                return err_set(err, -errno, "the runner's output: %s", strerror(errno));
        r = start_child(plan, failure_read, &ret->pid, err);
        if (r < 0)
                return r;
        ret->output = output_read;
        output_read = -1;
        return 0;
}

int spawn_runner(const struct agent_config *config, const char *jit_config, struct spawned *ret,
        struct err *err)
{
        _cleanup_(account_release) struct account account = {0};
        _cleanup_(environment_release) struct environment environment = {0};
        struct plan plan = {
                .config = config,
                .account = &account,
                .environment = &environment,
                .agent = getpid(),
                .output = -1,
                .failure = -1,
                .null = -1,
        };
        struct spawned spawned;
        int r = account_find(config->user, &account, err);

        if (r < 0)
                return r;
        environment_make(&environment, &account, config->path, jit_config);
        r = spawn_with(&plan, &spawned, err);
        close_fd(&plan.output);
        close_fd(&plan.failure);
        close_fd(&plan.null);
        if (r < 0)
                return r;
        *ret = spawned;
        return 0;
}
