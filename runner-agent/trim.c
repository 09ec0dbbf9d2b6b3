/* SPDX-License-Identifier: MIT */

/*
 * Free heap goes back to the kernel, and so do the mapped pages of code: dozens of libraries were
 * linked and initialised, of which waiting for the runner needs little. What is needed again comes
 * back from the page cache by itself.
 */

#include "trim.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "agent.h"

#define DELAY_MS 1000
#define LINE_MAX_SIZE 4352 /* a path, and what is before it */

bool trim_is_code(const char *line, void **ret_code, size_t *ret_size)
{
        char access[5];
        void *begin;
        void *end;
        int path = 0;

        if (sscanf(line, "%p-%p %4s %*s %*s %*s %n", &begin, &end, access, &path) != 3)
                return false;
        /* Never what can be written, or was, as the pages that the linker relocates. */
        if (strcmp(access, "r-xp") != 0 || path == 0 || line[path] != '/')
                return false;
        *ret_code = begin;
        *ret_size = (size_t)((char *)end - (char *)begin);
        return true;
}

static void drop_code(void)
{
        char line[LINE_MAX_SIZE];
        void *code;
        size_t size;
        FILE *maps = fopen("/proc/self/maps", "re");

        if (!maps)
                return;
        while (fgets(line, sizeof(line), maps))
                if (trim_is_code(line, &code, &size))
                        madvise(code, size, MADV_DONTNEED);
        fclose(maps);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        (void)userdata;
        malloc_trim(0);
        drop_code();
        return 0;
}

void trim_start(struct agent *agent)
{
        agent_timer(agent, &agent->trim.timer, DELAY_MS, on_time);
}

void trim_release(struct agent *agent)
{
        agent_timer_stop(&agent->trim.timer);
}
