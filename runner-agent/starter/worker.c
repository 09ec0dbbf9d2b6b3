/* SPDX-License-Identifier: MIT */

/*
 * Reads /proc, in which the starter sees the processes of the runner's user; the agent's sandbox
 * hides them from the agent.
 */

#include "worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The listener starts one for each job, before the job's first step, and it ends with the job.
 * https://github.com/actions/runner/blob/main/src/Runner.Listener/JobDispatcher.cs */
#define WORKER "(Runner.Worker) "

/* A file of /proc comes with one read(). */
static ssize_t read_stat(const char *pid, char *text, size_t size)
{
        char path[64];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -1; /* it has ended */
        n = read(fd, text, size - 1);
        close(fd);
        if (n >= 0)
                text[n] = '\0';
        return n;
}

/* proc_pid_stat(5): "PID (NAME) STATE PPID PGRP ...". One that has ended and waits for its parent
 * (state Z) does not live. */
static bool is_worker(const char *pid, pid_t program)
{
        char text[512];
        const char *name;
        char state;
        int parent;
        int group;

        if (read_stat(pid, text, sizeof(text)) < 0)
                return false;
        name = strstr(text, WORKER);
        return name && sscanf(name + strlen(WORKER), "%c %d %d", &state, &parent, &group) == 3 &&
               state != 'Z' && (parent == program || group == program);
}

bool worker_lives(pid_t program)
{
        DIR *folder = opendir("/proc");
        const struct dirent *entry;
        bool found = false;

        if (!folder)
                return true;
        while (!found && (entry = readdir(folder)))
                found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
                        is_worker(entry->d_name, program);
        closedir(folder);
        return found;
}
