/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What every fuzz target includes. A target gives one input to the functions that read it, and
 * checks what must be true of whatever they made of it.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/utf8.h"

/* Ends the program, which libFuzzer reports together with the input. */
#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

/* A failure's text is not empty, and is UTF-8. */
static inline void check_err(const struct err *err)
{
        CHECK(err->text[0] && utf8_is_valid(err->text, strlen(err->text)));
}

/* libFuzzer calls it with one input after another. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
