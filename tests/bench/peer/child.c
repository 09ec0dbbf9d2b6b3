/* SPDX-License-Identifier: MIT */

/*
 * The program that is measured: its start, its memory, its end.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

void child_start(struct child *child, const char *log, char *command[])
{
        int output = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        must(output >= 0 && null >= 0, log);
        child->begun_ns = now_ns(CLOCK_MONOTONIC);
        child->pid = fork();
        must(child->pid >= 0, "fork");
        if (child->pid == 0) {
                dup2(null, STDIN_FILENO);
                dup2(output, STDOUT_FILENO);
                dup2(output, STDERR_FILENO);
                execv(command[0], command);
                _exit(127);
        }
        clock_getcpuclockid(child->pid, &child->cpu);
        child->fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
        must(child->fd >= 0, "pidfd_open");
}

void child_print_end(struct child *child)
{
        int64_t at = now_ns(CLOCK_MONOTONIC);
        struct rusage usage = {0};
        int status = 0;

        wait4(child->pid, &status, 0, &usage);
        child->pid = 0;
        printf("exited %d %" PRId64 "\nmemory %ld 0 0\n", status, (at - child->begun_ns) / 1000,
                usage.ru_maxrss);
}

/* Of /proc/PID/status. */
struct status {
        long peak;
        long present;
        long own;
        long waits;
};

static struct status read_status(const struct child *child)
{
        struct status found = {0};
        char path[64];
        char line[256];
        FILE *status;

        snprintf(path, sizeof(path), "/proc/%d/status", child->pid);
        status = fopen(path, "re");
        must(status, path);
        while (fgets(line, sizeof(line), status)) {
                sscanf(line, "VmHWM: %ld", &found.peak);
                sscanf(line, "VmRSS: %ld", &found.present);
                sscanf(line, "RssAnon: %ld", &found.own);
                sscanf(line, "voluntary_ctxt_switches: %ld", &found.waits);
        }
        fclose(status);
        return found;
}

void child_count_waits(struct child *child)
{
        child->waits = read_status(child).waits;
}

void child_print_memory(const struct child *child)
{
        struct status found = read_status(child);

        printf("memory %ld %ld %ld\nwaits %ld\n", found.peak, found.present, found.own,
                found.waits - child->waits);
}

void child_kill(struct child *child)
{
        if (child->pid <= 0)
                return;
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        child->pid = 0;
}
