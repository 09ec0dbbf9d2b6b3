/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * UTF-8: whether bytes from outside are text, and where a text may be cut.
 */

#include <stdbool.h>
#include <stddef.h>

#define UTF8_SIZE_MAX 4 /* bytes of a character */

/* The size of the character that the SIZE bytes of TEXT begin with; 0 if it is not well-formed
 * (Unicode 15, table 3-7). */
size_t utf8_character(const char *text, size_t size);

/* Whether SIZE bytes are well-formed UTF-8. */
bool utf8_is_valid(const char *bytes, size_t size);

/* The number of characters in TEXT, which must be well-formed. */
size_t utf8_count(const char *text);

/* The length of the longest part of the first SIZE bytes of TEXT that ends with a whole
 * character. */
size_t utf8_fit(const char *text, size_t size);

/* Copies SIZE bytes into TO and ends them with a NUL; what does not fit into TO_SIZE is cut off, at
 * the end of a character. */
void utf8_copy(char *to, size_t to_size, const char *from, size_t size);

/* Writes a question mark over each byte that is not part of a well-formed character. */
void utf8_repair(char *text);
