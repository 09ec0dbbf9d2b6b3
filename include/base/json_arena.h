/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where the memory of parsed JSON comes from, in programs that parse and delete one document after
 * the other, in one thread.
 */

#include <stdbool.h>

/* At most so many bytes; what has no room there is allocated as ever. */
#define JSON_ARENA_SIZE (1024 * 1024)

/* From now on, what is parsed is put into one piece of memory, which is used anew once all that is
 * in it has been deleted. */
void json_use_arena(void);

/* For json_parse(): whether what cJSON allocates now belongs to a document. What it prints does
 * not: callers free that. */
void json_arena_open(bool open);
