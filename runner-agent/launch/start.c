/* SPDX-License-Identifier: MIT */

/*
 * fork and exec. What needs more than a system call is prepared before; the child tells through a
 * pipe that exec closes which call failed.
 */

#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"

enum step {
        STEP_PREPARE,
        STEP_DIRECTORY,
        STEP_EXEC,
};

struct failure {
        enum step step;
        int error;
};

static void reset_signals(void)
{
        struct sigaction standard = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int number = 1; number < NSIG; number++)
                sigaction(number, &standard, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

struct plan {
        const struct launch_request *request;
        const char *const *variables; /* the request's, and the user's */
        int output;
        pid_t server;
};

static enum step run_child(const struct plan *plan)
{
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (null < 0 || setpgid(0, 0) < 0 || dup2(null, STDIN_FILENO) < 0 ||
                dup2(plan->output, STDOUT_FILENO) < 0 || dup2(plan->output, STDERR_FILENO) < 0)
                return STEP_PREPARE;
        umask(022);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != plan->server)
                _exit(EXIT_FAILURE);
        if (chdir(plan->request->directory) < 0)
                return STEP_DIRECTORY;
        reset_signals();
        execve(plan->request->arguments[0], (char **)plan->request->arguments,
                (char **)plan->variables);
        return STEP_EXEC;
}

static int explain(
        const struct failure *failure, const struct launch_request *request, struct err *err)
{
        static const char *const steps[] = {
                [STEP_PREPARE] = "prepare",
                [STEP_DIRECTORY] = "enter its folder",
                [STEP_EXEC] = "start",
        };
        const char *what =
                failure->step == STEP_DIRECTORY ? request->directory : request->arguments[0];

        return err_set(err, -failure->error, "the program cannot %s %s: %s", steps[failure->step],
                what, strerror(failure->error));
}

/* Returns 0 when exec closed the pipe, so that the program runs. */
static int await_exec(
        int failure_read, pid_t pid, const struct launch_request *request, struct err *err)
{
        struct failure failure;
        ssize_t n;

        do
                n = read(failure_read, &failure, sizeof(failure));
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof(failure))
                return 0;
        waitpid(pid, NULL, 0);
        return explain(&failure, request, err);
}

static int start_child(const struct plan *plan, pid_t *ret_pid, struct err *err)
{
        struct failure failure;
        int ends[2];
        pid_t pid;
        int r;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_set(err, -errno, "no pipe for the program: %s", strerror(errno));
        pid = fork();
        if (pid == 0) {
                failure.step = run_child(plan);
                failure.error = errno;
                _exit(write(ends[1], &failure, sizeof(failure)) < 0 ? EXIT_FAILURE : 0);
        }
        r = pid < 0 ? err_set(err, -errno, "the program cannot be forked: %s", strerror(errno)) : 0;
        close(ends[1]);
        if (r == 0)
                r = await_exec(ends[0], pid, plan->request, err);
        close(ends[0]);
        if (r == 0)
                *ret_pid = pid;
        return r;
}

/* What systemd has set of the user (User= in runner.service), the request's first. */
static const char **make_variables(const struct launch_request *request)
{
        static const char *const names[] = {"HOME=", "LOGNAME=", "SHELL=", "USER="};
        const char **variables =
                mem_alloc((LAUNCH_VARIABLES_MAX + ARRAY_SIZE(names) + 2) * sizeof(*variables));
        size_t n = 0;

        while (request->variables[n]) {
                variables[n] = request->variables[n];
                n++;
        }
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                for (char **own = environ; *own; own++)
                        if (strncmp(*own, names[i], strlen(names[i])) == 0) {
                                variables[n++] = *own;
                                break;
                        }
        if (geteuid() == 0)
                variables[n++] = "RUNNER_ALLOW_RUNASROOT=1"; /* an image that says User=root */
        variables[n] = NULL;
        return variables;
}

int start_program(const struct launch_request *request, int output, pid_t *ret_pid, struct err *err)
{
        const char **variables = make_variables(request);
        struct plan plan = {
                .request = request,
                .variables = variables,
                .output = output,
                .server = getpid(),
        };
        int r = start_child(&plan, ret_pid, err);

        free(variables);
        return r;
}
