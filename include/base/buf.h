/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A byte buffer that grows up to a limit. An addition that would pass the limit adds nothing, sets
 * `overflow`, and makes all further additions fail, so that a writer may add many pieces and check
 * once. The bytes are always followed by a NUL that is not counted. They are overwritten when the
 * buffer is released, since many of our buffers hold secrets.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "mem.h"

struct buf {
        char *data;      /* NULL until something is added */
        size_t size;     /* bytes added */
        size_t capacity; /* bytes allocated */
        size_t limit;    /* of `size` */
        bool overflow;   /* something did not fit */
};

/* An empty buffer: struct buf b = BUF_INIT(4096); */
#define BUF_INIT(limit_)          \
        {                         \
                .limit = (limit_) \
        }

#define _cleanup_buf_ _cleanup_(buf_release)

/* Each adds all or nothing: 0, or -ENOBUFS beyond the limit. */
int buf_add(struct buf *buf, const void *bytes, size_t size);
int buf_add_string(struct buf *buf, const char *string);
int buf_add_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds STRING as application/x-www-form-urlencoded wants it (a space becomes "+"). */
int buf_add_form(struct buf *buf, const char *string);

/* Adds the rest of FILE: 0, -EFBIG beyond the limit, or the errno that reading failed with. */
int buf_add_file(struct buf *buf, FILE *file);

/* Makes room for SIZE bytes, as far as the limit and BUF_RESERVE_MAX go: additions up to there move
 * nothing. */
void buf_reserve(struct buf *buf, size_t size);
#define BUF_RESERVE_MAX (1024 * 1024)

/* The content as a string, "" where nothing was added; valid until the buffer changes. */
const char *buf_string(const struct buf *buf);

/* Empties the buffer, and keeps its memory. */
void buf_clear(struct buf *buf);

/* Returns the content as a string (never NULL) that the caller frees, and leaves BUF empty. */
char *buf_steal(struct buf *buf);

/* Overwrites and frees. The buffer is empty and usable afterwards. */
void buf_release(struct buf *buf);
