/* SPDX-License-Identifier: MIT */

/*
 * Makes text for messages to people bounded, escaped and valid. A job's name is whatever its author
 * typed, and must neither break a message nor put a link into it.
 */

#include "text.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

#define ELLIPSIS "…"

/* Characters that turn the text behind them around, or end its line, so that it reads as another
 * one. https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing */
static bool is_misleading(const char *character, size_t size)
{
        static const char *const characters[] = {
                "\u061c",
                "\u200e",
                "\u200f",
                "\u2028",
                "\u2029",
                "\u202a",
                "\u202b",
                "\u202c",
                "\u202d",
                "\u202e",
                "\u2066",
                "\u2067",
                "\u2068",
                "\u2069",
        };

        for (size_t i = 0; i < ARRAY_SIZE(characters); i++)
                if (strlen(characters[i]) == size && memcmp(character, characters[i], size) == 0)
                        return true;
        return false;
}

static bool is_control(const char *character, size_t size)
{
        unsigned char first = (unsigned char)character[0];

        if (size == 2) /* U+0080 to U+009F */
                return first == 0xc2 && (unsigned char)character[1] < 0xa0;
        return size == 1 && ((first < ' ' && first != '\n') || first == 0x7f);
}

/* What replaces a CHARACTER of SIZE bytes, or NULL if it stays. */
static const char *replacement(
        const char *character, size_t size, const struct notify_escape *escapes)
{
        for (; escapes && escapes->character; escapes++)
                if (escapes->character == *character)
                        return escapes->text;
        return is_control(character, size) || is_misleading(character, size) ? " " : NULL;
}

char *notify_text(const char *text, size_t limit, const struct notify_escape *escapes)
{
        _cleanup_buf_ struct buf out = BUF_INIT(limit);
        size_t cut = 0; /* the longest whole part that leaves room for the ellipsis */

        for (const char *c = text ? text : ""; *c;) {
                size_t size = utf8_character(c, strnlen(c, UTF8_SIZE_MAX));
                const char *instead = size > 0 ? replacement(c, size, escapes) : "?";

                if (instead)
                        buf_add_string(&out, instead);
                else
                        buf_add(&out, c, size);
                if (out.overflow)
                        break;
                if (out.size + strlen(ELLIPSIS) <= limit)
                        cut = out.size;
                c += size > 0 ? size : 1;
        }
        if (out.overflow) {
                out.overflow = false;
                out.size = cut;
                buf_add_string(&out, ELLIPSIS);
        }
        return buf_steal(&out);
}

bool notify_is_link(const char *url)
{
        if (!url || strncmp(url, "https://", 8) != 0 || strlen(url) > NOTIFY_URL_MAX)
                return false;
        for (const char *c = url; *c; c++)
                if (!isgraph((unsigned char)*c) || strchr("<>|\"\\()", *c))
                        return false;
        return true;
}

bool notify_is_fact_link(const char *url)
{
        return notify_is_link(url) && strlen(url) <= NOTIFY_FACT_URL_MAX;
}
