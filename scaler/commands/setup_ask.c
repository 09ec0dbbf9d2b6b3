/* SPDX-License-Identifier: MIT */

/*
 * Asks at a terminal. Questions go to standard error, so that standard output can be redirected. A
 * hidden answer is not shown, and leaves no trace in the buffers of the C library.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "setup.h"

enum {
        KEY_CANCEL = 3, /* Ctrl-C, which raises no signal while input is hidden */
        KEY_END = 4,    /* Ctrl-D */
        KEY_BACKSPACE = 8,
        KEY_CLEAR = 21, /* Ctrl-U */
        KEY_DELETE = 127,
};

/* Applies KEY to LINE: 0, 1 at the end of the line, or negative. */
static int take_key(struct buf *line, char key, bool hidden)
{
        if (key == '\n' || key == '\r')
                return 1;
        if (!hidden)
                return buf_add(line, &key, 1);
        switch (key) {
        case KEY_CANCEL:
                return -ECANCELED;
        case KEY_END:
                return -ENODATA;
        case KEY_CLEAR:
                buf_clear(line);
                return 0;
        case KEY_BACKSPACE:
        case KEY_DELETE:
                if (line->size > 0)
                        line->data[--line->size] = '\0';
                return 0;
        default:
                return buf_add(line, &key, 1);
        }
}

static int read_line(struct buf *line, bool hidden)
{
        char key = 0;
        int r = 0;

        while (r == 0) {
                ssize_t n = read(STDIN_FILENO, &key, 1);

                if (n < 0 && errno == EINTR)
                        continue;
                r = n <= 0 ? -ENODATA : take_key(line, key, hidden);
        }
        explicit_bzero(&key, sizeof(key));
        return r < 0 ? r : 0;
}

int ask_line(const char *question, bool hidden, struct buf *ret)
{
        struct termios before;
        struct termios quiet;
        bool is_quiet = false;
        int r;

        buf_clear(ret);
        fprintf(stderr, "%s: ", question);
        if (hidden && tcgetattr(STDIN_FILENO, &before) == 0) {
                quiet = before;
                quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG | ICANON);
                is_quiet = tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
        }
        r = read_line(ret, is_quiet);
        if (is_quiet) {
                (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
                fputc('\n', stderr);
        }
        return r;
}

int ask_yes(const char *question, bool fallback, bool *ret)
{
        _cleanup_buf_ struct buf answer = BUF_INIT(256);
        int r;

        fprintf(stderr, "%s", question);
        r = ask_line(fallback ? " [Y/n]" : " [y/N]", false, &answer);
        if (r < 0)
                return r;
        *ret = answer.size == 0 ? fallback : strchr("yY", *buf_string(&answer)) != NULL;
        return 0;
}
