/* SPDX-License-Identifier: MIT */

/*
 * Writes log messages as journal entries.
 */

#include "journal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/mem.h"

#define FIELDS_MAX 48
#define NAME_SIZE 65 /* the journal takes names of up to 64 characters */

static const int priorities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

bool journal_is_stderr(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device;
        unsigned long long inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void journal_field_name(const char *name, char *journal_name, size_t size)
{
        size_t n;

        if (strcmp(name, "identifier") == 0) {
                snprintf(journal_name, size, "SYSLOG_IDENTIFIER");
                return;
        }
        snprintf(journal_name, size, "SCALE_AGENT_%s", name);
        n = strlen(journal_name);
        for (size_t i = 0; i < n; i++)
                journal_name[i] = isalnum((unsigned char)journal_name[i])
                                          ? (char)toupper((unsigned char)journal_name[i])
                                          : '_';
}

static char *field_text(const struct log_field *field)
{
        char name[NAME_SIZE];

        journal_field_name(field->name, name, sizeof(name));
        return field->text ? mem_format("%s=%s", name, field->text)
                           : mem_format("%s=%lld", name, (long long)field->number);
}

static const struct log_field *find_field(
        const struct log_field *fields, size_t n_fields, const char *name)
{
        for (size_t i = 0; i < n_fields; i++)
                if (strcmp(fields[i].name, name) == 0)
                        return &fields[i];
        return NULL;
}

/* Adds the reason of a failure, since journalctl shows only the message by default. */
static char *message_text(const char *message, const struct log_field *fields, size_t n_fields)
{
        const struct log_field *why = find_field(fields, n_fields, "error");

        if (!why)
                why = find_field(fields, n_fields, "reason");
        return why && why->text ? mem_format("MESSAGE=%s: %s", message, why->text)
                                : mem_format("MESSAGE=%s", message);
}

static void journal_write(struct log_sink *sink, enum log_level level, const char *message,
        const struct log_field *fields, size_t n_fields)
{
        char *texts[FIELDS_MAX + 3];
        struct iovec vectors[FIELDS_MAX + 3];
        size_t n = 0;

        (void)sink;
        texts[n++] = message_text(message, fields, n_fields);
        texts[n++] = mem_format("PRIORITY=%d", priorities[level]);
        for (size_t i = 0; i < n_fields && i < FIELDS_MAX; i++)
                texts[n++] = field_text(&fields[i]);
        if (!find_field(fields, n_fields, "identifier"))
                texts[n++] = mem_string("SYSLOG_IDENTIFIER=runner-agent");
        for (size_t i = 0; i < n; i++)
                vectors[i] = (struct iovec){texts[i], strlen(texts[i])};
        sd_journal_sendv(vectors, (int)n);
        for (size_t i = 0; i < n; i++)
                free(texts[i]);
}

struct log_sink *journal_sink(void)
{
        static struct log_sink sink = {.write = journal_write};

        return &sink;
}
