/* SPDX-License-Identifier: MIT */

/*
 * Allocation that never fails: without memory the program says what it wanted and aborts.
 */

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *pointer, size_t size)
{
        if (pointer)
                return pointer;
        fprintf(stderr, "{\"level\":\"error\",\"message\":\"out of memory for %zu bytes\"}\n",
                size);
        abort();
}

void *mem_alloc(size_t size)
{
        return or_abort(calloc(1, size ? size : 1), size);
}

void *mem_resize(void *pointer, size_t count, size_t size)
{
        size_t bytes;

        if (__builtin_mul_overflow(count, size, &bytes))
                return or_abort(NULL, SIZE_MAX);
        return or_abort(realloc(pointer, bytes ? bytes : 1), bytes);
}

char *mem_string(const char *string)
{
        return string ? or_abort(strdup(string), strlen(string)) : NULL;
}

char *mem_format(const char *format, ...)
{
        va_list arguments;
        char *text = NULL;
        int size;

        va_start(arguments, format);
        size = vasprintf(&text, format, arguments);
        va_end(arguments);
        return size < 0 ? or_abort(NULL, strlen(format)) : text;
}

void mem_free_secret(char *secret)
{
        if (!secret)
                return;
        explicit_bzero(secret, strlen(secret));
        free(secret);
}

void mem_freep(void *pointer)
{
        free(*(void **)pointer);
}
