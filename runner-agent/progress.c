/* SPDX-License-Identifier: MIT */

/*
 * The runner's two outputs arrive in one pipe.
 */

#include "progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent.h"
#include "base/mem.h"
#include "base/utf8.h"

/* So much is read at one go, and so often at the end: a process that left the runner's group may
 * print for ever. */
#define READ_SIZE 16384
#define READS_AT_END 64

static void job_started(struct agent *agent, const char *name)
{
        if (agent->times[REPORT_TIME_JOB_STARTED])
                return;
        agent->job_name = mem_string(name);
        agent_time(agent, REPORT_TIME_JOB_STARTED);
        agent->run.events->job_started(agent);
}

static void job_finished(struct agent *agent, const char *result)
{
        if (agent->times[REPORT_TIME_JOB_FINISHED] || !agent->times[REPORT_TIME_JOB_STARTED])
                return;
        agent->result = mem_string(result);
        agent_time(agent, REPORT_TIME_JOB_FINISHED);
        agent->run.events->job_finished(agent);
}

static void listening(struct agent *agent)
{
        if (agent->times[REPORT_TIME_LISTENING])
                return;
        agent_time(agent, REPORT_TIME_LISTENING);
        agent->run.events->listening(agent);
}

/* Cut between two characters, since it becomes part of a report. */
static void keep_last_line(struct progress *progress, const char *line)
{
        size_t size = strlen(line);

        if (size >= sizeof(progress->last_line))
                size = utf8_fit(line, sizeof(progress->last_line) - 1);
        memcpy(progress->last_line, line, size);
        progress->last_line[size] = '\0';
}

static void on_line(void *userdata, const char *line)
{
        struct agent *agent = userdata;
        _cleanup_free_ char *name = NULL;
        _cleanup_free_ char *result = NULL;

        log_info(agent_runner_log(agent), line);
        keep_last_line(&agent->progress, line);
        switch (output_read(line, &name, &result)) {
        case OUTPUT_LISTENING:
                listening(agent);
                break;
        case OUTPUT_JOB_STARTED:
                job_started(agent, name);
                break;
        case OUTPUT_JOB_FINISHED:
                job_finished(agent, result);
                break;
        case OUTPUT_OTHER:
                break;
        }
}

/* Positive: there may be more; -EAGAIN: not now; 0 or another negative: never. */
static int read_output(struct agent *agent)
{
        struct progress *progress = &agent->progress;
        char bytes[READ_SIZE];
        ssize_t n = read(progress->fd, bytes, sizeof(bytes));

        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        output_add(&progress->output, bytes, (size_t)n, on_line, agent);
        return n > 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        int r = read_output(userdata);

        (void)fd;
        (void)events;
        if (r <= 0 && r != -EAGAIN)
                sd_event_source_set_enabled(source, SD_EVENT_OFF); /* nobody can write any more */
        return 0;
}

int progress_start(struct agent *agent, int fd)
{
        int r = sd_event_add_io(
                agent_event(agent), &agent->progress.source, fd, EPOLLIN, on_output, agent);

        if (r < 0) {
                close(fd);
                return r;
        }
        agent->progress.fd = fd;
        return 0;
}

void progress_finish(struct agent *agent)
{
        if (!agent->progress.source)
                return;
        for (int i = 0; i < READS_AT_END && read_output(agent) > 0; i++)
                ;
        output_end(&agent->progress.output, on_line, agent);
        progress_release(agent);
}

void progress_release(struct agent *agent)
{
        if (!agent->progress.source)
                return;
        agent->progress.source = sd_event_source_disable_unref(agent->progress.source);
        close(agent->progress.fd);
}
