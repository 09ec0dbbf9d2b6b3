/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Memory, and the attributes that free it when a scope ends.
 *
 * No allocation here returns NULL: a program that gets no memory prints what it wanted and aborts.
 * Both programs are made to die safely (Lambda delivers the event again; systemd powers the machine
 * off), and a path that is never taken is not worth a check at each call.
 */

#include <stddef.h>

/* Runs FUNCTION(&variable) at the end of the variable's scope. */
#define _cleanup_(function) __attribute__((cleanup(function)))

/* Frees the char * (or other malloc'ed) variable at the end of its scope. */
#define _cleanup_free_ _cleanup_(mem_freep)

/* Passes ownership on: the value of a pointer variable, which is NULL afterwards. */
#define MEM_STEAL(pointer)                               \
        ({                                               \
                __typeof__(pointer) stolen_ = (pointer); \
                (pointer) = NULL;                        \
                stolen_;                                 \
        })

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* SIZE zeroed bytes; the caller frees. */
void *mem_alloc(size_t size);

/* POINTER (may be NULL) resized to COUNT elements of SIZE bytes; new bytes are not zeroed. */
void *mem_resize(void *pointer, size_t count, size_t size);

/* A copy of STRING, NULL for NULL; the caller frees. */
char *mem_string(const char *string);

/* A formatted string; the caller frees. */
char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Overwrites and frees a string that is a secret. Accepts NULL. */
void mem_free_secret(char *secret);

/* For _cleanup_free_: frees *(void **)POINTER. */
void mem_freep(void *pointer);
