/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Structured messages: a line of JSON each, or journal fields on the machine. A message says in
 * words what happened; what it happened to is in its fields, under the same names everywhere:
 * job, run, repository, instance, delivery, spec, parameter, error.
 *
 *      log_info(log, "launched", LOG_TEXT("instance", id), LOG_NUMBER("tries", tries));
 *
 * Only programs and handlers log; libraries return errors, and log at debug at most.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
};

struct log_field {
        const char *name; /* NULL: the field is left out */
        const char *text; /* NULL: `number` is the value */
        int64_t number;
};

/* A field whose text is NULL is left out. */
#define LOG_TEXT(name_, text_) log_text_field((name_), (text_))
#define LOG_NUMBER(name_, number_)                   \
        (struct log_field)                           \
        {                                            \
                .name = (name_), .number = (number_) \
        }

static inline struct log_field log_text_field(const char *name, const char *text)
{
        return (struct log_field){.name = text ? name : NULL, .text = text};
}

struct log;

/* Where messages go: lines of JSON (below), or the journal (runner-agent/journal.h). */
struct log_sink {
        void (*write)(struct log_sink *sink, enum log_level level, const char *message,
                const struct log_field *fields, size_t n_fields);
};

/* More context fields are a programming error and are left out; longer texts are cut. */
#define LOG_CONTEXT_MAX 8
#define LOG_CONTEXT_TEXT_MAX 256

struct log {
        struct log_sink *sink;
        enum log_level level; /* messages that matter less are dropped */
        size_t n_context;
        struct {
                const char *name; /* a literal */
                char text[LOG_CONTEXT_TEXT_MAX];
        } context[LOG_CONTEXT_MAX];
};

/* Adds a field to every message that follows, or replaces it; NULL or "" removes it. NAME must be a
 * literal; TEXT is copied. */
void log_context(struct log *log, const char *name, const char *text);

/* Removes all context fields; a program does so before each event. */
void log_context_clear(struct log *log);

void log_write(struct log *log, enum log_level level, const char *message,
        const struct log_field *fields, size_t n_fields);

#define LOG_WRITE_(log_, level_, message_, ...)                                     \
        log_write((log_), (level_), (message_),                                     \
                (const struct log_field[]){{.name = NULL}, ##__VA_ARGS__},          \
                sizeof((const struct log_field[]){{.name = NULL}, ##__VA_ARGS__}) / \
                        sizeof(struct log_field))

#define log_error(log, message, ...) LOG_WRITE_(log, LOG_LEVEL_ERROR, message, ##__VA_ARGS__)
#define log_warning(log, message, ...) LOG_WRITE_(log, LOG_LEVEL_WARNING, message, ##__VA_ARGS__)
#define log_info(log, message, ...) LOG_WRITE_(log, LOG_LEVEL_INFO, message, ##__VA_ARGS__)
#define log_debug(log, message, ...) LOG_WRITE_(log, LOG_LEVEL_DEBUG, message, ##__VA_ARGS__)

/* "error", "warning", "info", "debug"; -EINVAL for other words. */
int log_level_parse(const char *word, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

/* The sink that writes lines of JSON: {"time":…,"level":…,"message":…,<context>,<fields>}. */
struct log_json_sink {
        struct log_sink sink;
        const struct clock *clock;
        int fd;
};

void log_json_sink_init(struct log_json_sink *sink, int fd, const struct clock *clock);
