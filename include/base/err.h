/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How functions fail. The result is an int:
 *
 *      0         done
 *      positive  a condition that the header documents and the caller handles (no capacity, not
 *                found, name taken); nothing was written to the err
 *      negative  fatal, an errno value; forwarded unchanged; the err says what failed
 *
 * err_set() writes the text once, where most is known. Callers on the way up may put the job,
 * instance or parameter that they were working on in front of it with err_prefix(). A text says
 * what failed, on what and why, and what to do where that helps. It never holds a secret.
 */

#define ERR_TEXT_SIZE 1024

struct err {
        char text[ERR_TEXT_SIZE]; /* UTF-8, one line, cut when longer */
};

/* Writes the text and returns CODE, a negative errno. ERR may be NULL. */
int err_set(struct err *err, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " in front of the present text and returns CODE. ERR may be NULL. */
int err_prefix(struct err *err, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
