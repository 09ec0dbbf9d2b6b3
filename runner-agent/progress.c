/* SPDX-License-Identifier: MIT */

/*
 * Standard output and standard error of the runner arrive in one pipe.
 */

#include "progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"

/* How much is read at once, and how often at the end: a process that left the runner's group may
 * print for ever. */
#define READ_SIZE 16384
#define READS_AT_END 64

/* -- steps -- */

static void listening(struct progress *progress)
{
        if (progress->is_listening || progress->agent->times[REPORT_TIME_JOB_STARTED])
                return;
        progress->is_listening = true;
        agent_time(progress->agent, REPORT_TIME_LISTENING);
        progress->events->listening(progress->userdata);
}

static void updating(struct progress *progress)
{
        if (progress->is_updating || progress->agent->times[REPORT_TIME_JOB_STARTED])
                return;
        progress->is_updating = true;
        progress->events->updating(progress->userdata);
}

static void job_started(struct progress *progress, const char *name)
{
        struct agent *agent = progress->agent;

        if (agent->times[REPORT_TIME_JOB_STARTED])
                return;
        agent->job_name = mem_string(name);
        agent_time(agent, REPORT_TIME_JOB_STARTED);
        progress->events->job_started(progress->userdata);
}

static void job_finished(struct progress *progress, const char *result)
{
        struct agent *agent = progress->agent;

        if (agent->times[REPORT_TIME_JOB_FINISHED] || !agent->times[REPORT_TIME_JOB_STARTED])
                return;
        agent->result = mem_string(result);
        agent_time(agent, REPORT_TIME_JOB_FINISHED);
        progress->events->job_finished(progress->userdata);
}

/* -- lines -- */

/* Cuts between two characters, since the line becomes part of a report. */
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
        struct progress *progress = userdata;
        _cleanup_free_ char *name = NULL;
        _cleanup_free_ char *result = NULL;

        log_info(agent_runner_log(progress->agent), line);
        keep_last_line(progress, line);
        switch (output_read(line, &name, &result)) {
        case OUTPUT_LISTENING:
                listening(progress);
                break;
        case OUTPUT_UPDATING:
                updating(progress);
                break;
        case OUTPUT_JOB_STARTED:
                job_started(progress, name);
                break;
        case OUTPUT_JOB_FINISHED:
                job_finished(progress, result);
                break;
        case OUTPUT_OTHER:
                break;
        }
}

/* -- bytes -- */

/* Positive: there may be more; -EAGAIN: not now; 0 or another negative: never. */
static int read_output(struct progress *progress)
{
        char bytes[READ_SIZE];
        ssize_t n = read(progress->fd, bytes, sizeof(bytes));

        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        output_add(&progress->output, bytes, (size_t)n, on_line, progress);
        return n > 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        int r = read_output(userdata);

        (void)fd;
        (void)events;
        if (r <= 0 && r != -EAGAIN)
                sd_event_source_set_enabled(source, SD_EVENT_OFF); /* no writer is left */
        return 0;
}

int progress_start(
        struct progress *progress, int fd, const struct progress_events *events, void *userdata)
{
        int r;

        progress->events = events;
        progress->userdata = userdata;
        progress->is_listening = false;
        progress->is_updating = false;
        r = sd_event_add_io(
                agent_event(progress->agent), &progress->source, fd, EPOLLIN, on_output, progress);
        if (r < 0) {
                close(fd);
                return r;
        }
        progress->fd = fd;
        return 0;
}

void progress_finish(struct progress *progress)
{
        if (!progress->source)
                return;
        for (int i = 0; i < READS_AT_END && read_output(progress) > 0; i++)
                ;
        output_end(&progress->output, on_line, progress);
        progress_release(progress);
}

void progress_release(struct progress *progress)
{
        if (!progress->source)
                return;
        progress->source = sd_event_source_disable_unref(progress->source);
        close(progress->fd);
}
