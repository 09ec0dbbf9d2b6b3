/* SPDX-License-Identifier: MIT */

/*
 * See unit.h.
 */

#include "unit.h"

#include <stdbool.h>
#include <string.h>

void unit_assert_part(const char *text, const char *part, bool expected, const char *file, int line)
{
        if (text && (strstr(text, part) != NULL) == expected)
                return;
        print_error("\"%s\" must %sbe in: %s\n", part, expected ? "" : "not ",
                text ? text : "(no text)");
        _fail(file, line);
}
