/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where the memory of parsed JSON comes from, in programs that parse and delete one document after
 * the other, in one thread.
 */

#include <stdbool.h>

/* The size of the arena; what does not fit is allocated as usual. */
#define JSON_ARENA_SIZE (1024 * 1024)

/* From now on, parsed JSON lives in one piece of memory, which is used again once everything in it
 * has been deleted. */
void json_use_arena(void);

/* For json_parse(): whether what cJSON allocates now belongs to a document. What it prints does
 * not: callers free that. */
void json_arena_open(bool open);
