/* SPDX-License-Identifier: MIT */

/*
 * fork and exec. The child only makes system calls, and tells through a pipe that exec closes which
 * of them failed.
 */

#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

static enum step run_child(const struct launch_request *request, const int *output, pid_t server)
{
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (null < 0 || setpgid(0, 0) < 0 || dup2(null, STDIN_FILENO) < 0 ||
                dup2(output[0], STDOUT_FILENO) < 0 || dup2(output[1], STDERR_FILENO) < 0)
                return STEP_PREPARE;
        umask(022);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != server)
                _exit(LAUNCH_EXIT_FAILED);
        if (chdir(request->directory) < 0)
                return STEP_DIRECTORY;
        reset_signals();
        execve(request->arguments[0], (char **)request->arguments, (char **)request->variables);
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

int start_program(const struct launch_request *request, const int output[PACKET_DESCRIPTORS],
        pid_t *ret_pid, struct err *err)
{
        struct failure failure;
        pid_t server = getpid();
        int ends[2];
        pid_t pid;
        int r;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_set(err, -errno, "no pipe for the program: %s", strerror(errno));
        pid = fork();
        if (pid == 0) {
                failure.step = run_child(request, output, server);
                failure.error = errno;
                _exit(write(ends[1], &failure, sizeof(failure)) < 0 ? LAUNCH_EXIT_REFUSED
                                                                    : LAUNCH_EXIT_FAILED);
        }
        r = pid < 0 ? err_set(err, -errno, "the program cannot be forked: %s", strerror(errno)) : 0;
        close(ends[1]);
        if (r == 0)
                r = await_exec(ends[0], pid, request, err);
        close(ends[0]);
        if (r == 0)
                *ret_pid = pid;
        return r;
}
