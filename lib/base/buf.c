/* SPDX-License-Identifier: MIT */

/*
 * A bounded byte buffer. Growing copies to new memory and wipes the old: it may hold a secret.
 */

#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 256

static void move_to(struct buf *buf, size_t capacity)
{
        char *data = mem_resize(NULL, capacity, 1);

        if (buf->data) {
                memcpy(data, buf->data, buf->size);
                explicit_bzero(buf->data, buf->capacity);
                free(buf->data);
        }
        buf->data = data;
        buf->capacity = capacity;
}

static void grow(struct buf *buf, size_t needed)
{
        size_t capacity = buf->capacity ? buf->capacity : CAPACITY_FIRST;

        while (capacity < needed)
                capacity *= 2;
        move_to(buf, capacity);
}

/* Makes room for SIZE more bytes and a NUL. */
static int reserve(struct buf *buf, size_t size)
{
        if (buf->overflow || size > buf->limit || buf->size > buf->limit - size) {
                buf->overflow = true;
                return -ENOBUFS;
        }
        if (buf->size + size + 1 > buf->capacity)
                grow(buf, buf->size + size + 1);
        return 0;
}

void buf_reserve(struct buf *buf, size_t size)
{
        if (size > buf->limit)
                size = buf->limit;
        if (size > BUF_RESERVE_MAX)
                size = BUF_RESERVE_MAX;
        if (size >= buf->capacity) {
                move_to(buf, size + 1);
                buf->data[buf->size] = '\0';
        }
}

int buf_add(struct buf *buf, const void *bytes, size_t size)
{
        int r = reserve(buf, size);

        if (r < 0)
                return r;
        if (size > 0)
                memcpy(buf->data + buf->size, bytes, size);
        buf->size += size;
        buf->data[buf->size] = '\0';
        return 0;
}

int buf_add_string(struct buf *buf, const char *string)
{
        return buf_add(buf, string, strlen(string));
}

int buf_add_format(struct buf *buf, const char *format, ...)
{
        va_list arguments;
        int size;
        int r;

        va_start(arguments, format);
        size = vsnprintf(NULL, 0, format, arguments);
        va_end(arguments);
        if (size < 0)
                return -EINVAL;
        r = reserve(buf, (size_t)size);
        if (r < 0)
                return r;
        va_start(arguments, format);
        vsnprintf(buf->data + buf->size, (size_t)size + 1, format, arguments);
        va_end(arguments);
        buf->size += (size_t)size;
        return 0;
}

int buf_add_form(struct buf *buf, const char *string)
{
        static const char digits[] = "0123456789ABCDEF";
        static const char plain[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

        for (const char *c = string; *c; c++) {
                unsigned char byte = (unsigned char)*c;
                const char escaped[3] = {'%', digits[byte >> 4], digits[byte & 15]};

                if (strchr(plain, *c))
                        buf_add(buf, c, 1);
                else if (*c == ' ')
                        buf_add(buf, "+", 1);
                else
                        buf_add(buf, escaped, sizeof(escaped));
        }
        return buf->overflow ? -ENOBUFS : 0;
}

int buf_add_file(struct buf *buf, FILE *file)
{
        char bytes[65536];
        size_t n;

        while (!buf->overflow && (n = fread(bytes, 1, sizeof(bytes), file)) > 0)
                buf_add(buf, bytes, n);
        explicit_bzero(bytes, sizeof(bytes));
        if (ferror(file))
                return errno ? -errno : -EIO;
        return buf->overflow ? -EFBIG : 0;
}

const char *buf_string(const struct buf *buf)
{
        return buf->data ? buf->data : "";
}

void buf_clear(struct buf *buf)
{
        if (buf->data) {
                explicit_bzero(buf->data, buf->size);
                buf->data[0] = '\0';
        }
        buf->size = 0;
        buf->overflow = false;
}

char *buf_steal(struct buf *buf)
{
        char *data = buf->data ? MEM_STEAL(buf->data) : mem_string("");

        *buf = (struct buf)BUF_INIT(buf->limit);
        return data;
}

void buf_release(struct buf *buf)
{
        if (buf->data) {
                explicit_bzero(buf->data, buf->capacity);
                free(buf->data);
        }
        *buf = (struct buf)BUF_INIT(buf->limit);
}
