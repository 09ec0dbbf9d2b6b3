/* SPDX-License-Identifier: MIT */

/*
 * Writes the text of a failure into the caller's struct err.
 */

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* A text is shown as one line: control characters become blanks. */
static void make_one_line(char *text)
{
        for (char *c = text; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = ' ';
}

/* Logs and answers are JSON, which must be UTF-8, but a text may be cut within a character or quote
 * bytes from outside. */
static void make_utf8(char *text)
{
        size_t size = strlen(text);

        if (size + 1 == ERR_TEXT_SIZE)
                text[utf8_fit(text, size)] = '\0';
        utf8_repair(text);
}

int err_set(struct err *err, int code, const char *format, ...)
{
        va_list arguments;

        if (!err)
                return code;
        va_start(arguments, format);
        vsnprintf(err->text, sizeof(err->text), format, arguments);
        va_end(arguments);
        make_utf8(err->text);
        make_one_line(err->text);
        return code;
}

int err_prefix(struct err *err, int code, const char *format, ...)
{
        char prefix[ERR_TEXT_SIZE];
        char before[ERR_TEXT_SIZE];
        va_list arguments;

        if (!err)
                return code;
        va_start(arguments, format);
        vsnprintf(prefix, sizeof(prefix), format, arguments);
        va_end(arguments);
        memcpy(before, err->text, sizeof(before));
        return err_set(err, code, "%s: %s", prefix, before);
}
