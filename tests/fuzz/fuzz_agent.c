/* SPDX-License-Identifier: MIT */

/*
 * What the agent reads on its machine: its settings, and whatever the runner prints, in pieces
 * of any size.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "output.h"
#include "settings.h"

static void on_line(void *userdata, const char *line)
{
        _cleanup_free_ char *name = NULL;
        _cleanup_free_ char *result = NULL;
        enum output_marker marker = output_read(line, &name, &result);
        size_t size = strlen(line);

        (void)userdata;
        if (size == 0 || size > OUTPUT_LINE_MAX + 3 || !utf8_is_valid(line, size))
                abort();
        if ((marker == OUTPUT_JOB_STARTED || marker == OUTPUT_JOB_FINISHED) != (name != NULL))
                abort();
        if ((marker == OUTPUT_JOB_FINISHED) != (result != NULL))
                abort();
}

static void read_output(const char *text, size_t size)
{
        _cleanup_free_ struct output *output = mem_alloc(sizeof(*output));
        size_t piece = size > 0 ? 1 + (uint8_t)text[0] % 64 : 1;

        for (size_t at = 0; at < size; at += piece)
                output_add(output, text + at, size - at < piece ? size - at : piece, on_line, NULL);
        output_end(output, on_line, NULL);
}

/* From a file, the same is read. */
static void load_settings(const char *text, size_t size, int expected)
{
        _cleanup_buf_ struct buf faults = BUF_INIT(64UL * 1024);
        _cleanup_(agent_settings_release) struct agent_settings settings = {0};
        int fd = memfd_create("settings", MFD_CLOEXEC);
        char path[32];
        int r;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (fd < 0 || write(fd, text, size) != (ssize_t)size)
                abort();
        r = agent_settings_load(path, &settings, &faults);
        close(fd);
        if (r != expected && r != -EFBIG)
                abort();
        if ((r == 0) != (faults.size == 0))
                abort();
}

static void read_settings(const char *text, size_t size)
{
        _cleanup_buf_ struct buf faults = BUF_INIT(64UL * 1024);
        _cleanup_(agent_settings_release) struct agent_settings settings = {0};
        int r = agent_settings_parse(text, size, &settings, &faults);

        if ((r == 0) != (settings.command != NULL) || (r == 0) != (faults.size == 0))
                abort();
        load_settings(text, size, r);
        if (r == 0 && (!settings.command[0] || settings.command[0][0] != '/'))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        read_output((const char *)data, size);
        read_settings((const char *)data, size);
        return 0;
}
