/* SPDX-License-Identifier: MIT */

/*
 * vfork() and execve(): no memory is copied only to be thrown away, and this process continues once
 * the program runs, which is when a failure is known. The child shares this process' memory: it
 * does nothing but system calls, and records there which of them failed.
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

#include "base/mem.h"

enum step {
        STEP_PREPARE,
        STEP_DIRECTORY,
        STEP_EXEC,
};

struct failure {
        enum step step;
        int error;
};

struct plan {
        const struct starter_request *request;
        const char *const *variables; /* the request's and the user's */
        int output;
        pid_t server;
};

static enum step run_child(const struct plan *plan)
{
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        sigset_t none;

        if (null < 0 || setpgid(0, 0) < 0 || dup2(null, STDIN_FILENO) < 0 ||
                dup2(plan->output, STDOUT_FILENO) < 0 || dup2(plan->output, STDERR_FILENO) < 0)
                return STEP_PREPARE;
        umask(022);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != plan->server)
                _exit(EXIT_FAILURE);
        if (chdir(plan->request->directory) < 0)
                return STEP_DIRECTORY;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execve(plan->request->arguments[0], (char **)plan->request->arguments,
                (char **)plan->variables);
        return STEP_EXEC;
}

static int explain(
        enum step step, int error, const struct starter_request *request, struct err *err)
{
        static const char *const steps[] = {
                [STEP_PREPARE] = "prepare",
                [STEP_DIRECTORY] = "enter its folder",
                [STEP_EXEC] = "start",
        };
        const char *what = step == STEP_DIRECTORY ? request->directory : request->arguments[0];

        return err_set(
                err, -error, "the program cannot %s %s: %s", steps[step], what, strerror(error));
}

static int start_child(const struct plan *plan, pid_t *ret_pid, struct err *err)
{
        volatile struct failure failure = {0};
        pid_t pid;

        /* NOLINTBEGIN(clang-analyzer-*): the child writes only to its own frames and `failure`. */
        pid = vfork();
        if (pid == 0) {
                failure.step = run_child(plan);
                failure.error = errno;
                _exit(EXIT_FAILURE);
        }
        /* NOLINTEND(clang-analyzer-*) */
        if (pid < 0)
                return err_set(err, -errno, "the program cannot be forked: %s", strerror(errno));
        if (failure.error != 0) {
                waitpid(pid, NULL, 0);
                return explain(failure.step, failure.error, plan->request, err);
        }
        *ret_pid = pid;
        return 0;
}

/* The request's variables, then those that systemd set for the user (User= in runner.service). */
static const char **make_variables(const struct starter_request *request)
{
        static const char *const names[] = {"HOME=", "LOGNAME=", "SHELL=", "USER="};
        const char **variables =
                mem_alloc((STARTER_VARIABLES_MAX + ARRAY_SIZE(names) + 2) * sizeof(*variables));
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
                variables[n++] = "RUNNER_ALLOW_RUNASROOT=1"; /* an image with User=root */
        variables[n] = NULL;
        return variables;
}

int start_program(
        const struct starter_request *request, int output, pid_t *ret_pid, struct err *err)
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
