/* SPDX-License-Identifier: MIT */

/*
 * Splits the runner's output into lines, and finds the markers among them. Runner.Listener prints
 * those in Runner.cs and JobDispatcher.cs.
 */

#include "output.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define CUT "\u2026"

/* Replaces control characters by blanks, and bytes that are not UTF-8 by question marks. */
static void clean(char *line, size_t size)
{
        for (size_t i = 0; i < size;) {
                size_t n = utf8_character(line + i, size - i);

                if (n == 0)
                        line[i] = '?';
                else if (n == 1 && iscntrl((unsigned char)line[i]))
                        line[i] = ' ';
                i += n ? n : 1;
        }
}

static void end_line(struct output *output, output_line tell, void *userdata)
{
        size_t size = output->size;

        output->size = 0;
        clean(output->line, size);
        while (size > 0 && output->line[size - 1] == ' ')
                size--;
        if (size == 0)
                return;
        output->line[size] = '\0';
        if (output->is_cut)
                memcpy(output->line + size, CUT, sizeof(CUT));
        tell(userdata, output->line);
}

void output_add(
        struct output *output, const char *bytes, size_t size, output_line tell, void *userdata)
{
        for (size_t i = 0; i < size; i++) {
                if (bytes[i] == '\n') {
                        if (!output->is_cut)
                                end_line(output, tell, userdata);
                        output->is_cut = false;
                } else if (output->is_cut) {
                        continue;
                } else if (output->size == OUTPUT_LINE_MAX) {
                        output->is_cut = true;
                        end_line(output, tell, userdata);
                } else {
                        output->line[output->size++] = bytes[i];
                }
        }
}

void output_end(struct output *output, output_line tell, void *userdata)
{
        end_line(output, tell, userdata);
        output->is_cut = false;
}

/* -- markers -- */

/* Skips a leading "2026-11-23 18:00:00Z: ". */
static const char *after_time(const char *line)
{
        static const char shape[] = "0000-00-00 00:00:00Z: ";

        for (size_t i = 0; shape[i]; i++) {
                bool fits = shape[i] == '0' ? isdigit((unsigned char)line[i]) != 0
                                            : line[i] == shape[i];

                if (!fits)
                        return line;
        }
        return line + strlen(shape);
}

/* The last occurrence, since a job's name may contain " completed with result: " itself. */
static const char *find_last(const char *text, const char *part)
{
        const char *last = NULL;

        for (const char *at = text; (at = strstr(at, part)); at++)
                last = at;
        return last;
}

enum output_marker output_read(const char *line, char **ret_name, char **ret_result)
{
        static const char listening[] = "Listening for Jobs";
        static const char updating[] = "Runner update in progress,";
        static const char running[] = "Running job: ";
        static const char job[] = "Job ";
        static const char completed[] = " completed with result: ";
        const char *text = after_time(line);
        const char *end;

        if (strcmp(text, listening) == 0)
                return OUTPUT_LISTENING;
        if (strncmp(text, updating, strlen(updating)) == 0)
                return OUTPUT_UPDATING;
        if (strncmp(text, running, strlen(running)) == 0) {
                *ret_name = mem_string(text + strlen(running));
                return OUTPUT_JOB_STARTED;
        }
        if (strncmp(text, job, strlen(job)) != 0)
                return OUTPUT_OTHER;
        text += strlen(job);
        end = find_last(text, completed);
        if (!end)
                return OUTPUT_OTHER;
        *ret_name = mem_format("%.*s", (int)(end - text), text);
        *ret_result = mem_string(end + strlen(completed));
        return OUTPUT_JOB_FINISHED;
}
