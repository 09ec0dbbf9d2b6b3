/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/base: where cJSON's memory comes from (json_use_arena()).
 */

#include <stdbool.h>

/* Whether what cJSON allocates now belongs to a document that is parsed. What it prints does not:
 * callers free that. */
void json_arena_open(bool open);
