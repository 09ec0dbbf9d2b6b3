/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What every unit test includes: cmocka with the headers that it wants before its own, and
 * assertions about texts that show both texts when they fail.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* PART occurs in TEXT, or does not. A TEXT that is NULL fails both. */
#define assert_contains(text, part) unit_assert_part(text, part, true, __FILE__, __LINE__)
#define assert_lacks(text, part) unit_assert_part(text, part, false, __FILE__, __LINE__)

void unit_assert_part(
        const char *text, const char *part, bool expected, const char *file, int line);
