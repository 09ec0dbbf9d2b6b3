/* SPDX-License-Identifier: MIT */

/*
 * Messages with fields, and the sink that writes them as JSON lines.
 */

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/utf8.h"

static const char *const level_names[] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARNING] = "warning",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
};

const char *log_level_name(enum log_level level)
{
        return level_names[level];
}

int log_level_parse(const char *word, enum log_level *ret_level)
{
        for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
                if (strcmp(word, level_names[i]) == 0) {
                        *ret_level = (enum log_level)i;
                        return 0;
                }
        }
        return -EINVAL;
}

static void remove_context(struct log *log, size_t i)
{
        log->n_context--;
        memmove(&log->context[i], &log->context[i + 1],
                (log->n_context - i) * sizeof(log->context[0]));
}

void log_context(struct log *log, const char *name, const char *text)
{
        size_t i = 0;

        while (i < log->n_context && strcmp(log->context[i].name, name) != 0)
                i++;
        if (!text || !*text) {
                if (i < log->n_context)
                        remove_context(log, i);
                return;
        }
        if (i == LOG_CONTEXT_MAX)
                return;
        log->context[i].name = name;
        utf8_copy(log->context[i].text, LOG_CONTEXT_TEXT_MAX, text, strlen(text));
        if (i == log->n_context)
                log->n_context++;
}

void log_context_clear(struct log *log)
{
        log->n_context = 0;
}

static bool has_field(const struct log_field *fields, size_t n_fields, const char *name)
{
        for (size_t i = 0; i < n_fields; i++)
                if (fields[i].name && strcmp(fields[i].name, name) == 0)
                        return true;
        return false;
}

void log_write(struct log *log, enum log_level level, const char *message,
        const struct log_field *fields, size_t n_fields)
{
        struct log_field all[LOG_CONTEXT_MAX + 32];
        size_t n = 0;

        if (level > log->level)
                return;
        for (size_t i = 0; i < log->n_context; i++)
                if (!has_field(fields, n_fields, log->context[i].name))
                        all[n++] = LOG_TEXT(log->context[i].name, log->context[i].text);
        for (size_t i = 0; i < n_fields && n < ARRAY_SIZE(all); i++)
                if (fields[i].name)
                        all[n++] = fields[i];
        log->sink->write(log->sink, level, message, all, n);
}

static void write_line(int fd, char *line)
{
        size_t size = strlen(line);
        size_t written = 0;

        line[size++] = '\n'; /* in the place of the NUL */
        while (written < size) {
                ssize_t n = write(fd, line + written, size - written);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                written += (size_t)n;
        }
}

static void json_write(struct log_sink *sink, enum log_level level, const char *message,
        const struct log_field *fields, size_t n_fields)
{
        struct log_json_sink *json = (struct log_json_sink *)sink;
        _cleanup_json_ cJSON *line = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;
        char time[CLOCK_TEXT_SIZE];

        json_add_string(line, "time", clock_format(clock_wall_ms(json->clock), time));
        json_add_string(line, "level", level_names[level]);
        json_add_string(line, "message", message);
        for (size_t i = 0; i < n_fields; i++) {
                if (fields[i].text)
                        json_add_string(line, fields[i].name, fields[i].text);
                else
                        json_add_integer(line, fields[i].name, fields[i].number);
        }
        text = json_print(line);
        write_line(json->fd, text);
}

void log_json_sink_init(struct log_json_sink *sink, int fd, const struct clock *clock)
{
        *sink = (struct log_json_sink){
                .sink = {.write = json_write},
                .clock = clock,
                .fd = fd,
        };
}
