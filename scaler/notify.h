/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What was told lately: one notification of a key is enough for a quarter of an hour.
 */

#include <stddef.h>
#include <stdint.h>

struct told;

/* Accepts NULL. */
void told_free(struct told *told);

/* The deduplication id for a notification with KEY in the quarter of an hour with that number. */
void told_id(char *id, size_t size, const char *key, int64_t quarter);
