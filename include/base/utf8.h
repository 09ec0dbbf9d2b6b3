/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * UTF-8 in what comes from outside: told apart from other bytes, and not cut within a character.
 */

#include <stdbool.h>
#include <stddef.h>

/* Size of the well-formed character that TEXT, of SIZE bytes, begins with (Unicode 15, table 3-7);
 * 0 when it begins with something else. */
size_t utf8_character(const char *text, size_t size);

/* Whether SIZE bytes are well-formed UTF-8. */
bool utf8_is_valid(const char *bytes, size_t size);

/* The number of characters in TEXT, which must be well-formed. */
size_t utf8_count(const char *text);

/* SIZE, or less where the last of these bytes are only a part of a character. */
size_t utf8_fit(const char *text, size_t size);

/* Copies SIZE bytes into TO and ends them with a NUL; what does not fit into TO_SIZE is cut off, at
 * the end of a character. */
void utf8_copy(char *to, size_t to_size, const char *from, size_t size);

/* Writes a question mark over each byte that is not part of a well-formed character. */
void utf8_repair(char *text);
