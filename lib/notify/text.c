/* SPDX-License-Identifier: MIT */

/*
 * Bounded, escaped, valid text for messages to people: a job's name is whatever its author typed,
 * and must neither break a message nor put a link into it.
 */

#include "text.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"

#define ELLIPSIS "…"

/* The bytes of the UTF-8 character at TEXT; 0 when it is not well-formed. */
static size_t character_size(const char *text)
{
        static const struct {
                unsigned char first;
                unsigned char last;
                size_t size;
        } leads[] = {{0x01, 0x7f, 1}, {0xc2, 0xdf, 2}, {0xe0, 0xef, 3}, {0xf0, 0xf4, 4}};
        const unsigned char *bytes = (const unsigned char *)text;
        size_t size = 0;

        for (size_t i = 0; i < ARRAY_SIZE(leads); i++)
                if (bytes[0] >= leads[i].first && bytes[0] <= leads[i].last)
                        size = leads[i].size;
        for (size_t i = 1; i < size; i++)
                if ((bytes[i] & 0xc0) != 0x80)
                        return 0;
        /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
        if ((bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xed && bytes[1] > 0x9f) ||
                (bytes[0] == 0xf0 && bytes[1] < 0x90) || (bytes[0] == 0xf4 && bytes[1] > 0x8f))
                return 0;
        return size;
}

/* What stands for the character C, or NULL: the character itself. */
static const char *replacement(char c, const struct notify_escape *escapes)
{
        for (; escapes && escapes->character; escapes++)
                if (escapes->character == c)
                        return escapes->text;
        return (unsigned char)c < ' ' && c != '\n' ? " " : NULL;
}

char *notify_text(const char *text, size_t limit, const struct notify_escape *escapes)
{
        _cleanup_buf_ struct buf out = BUF_INIT(limit);
        size_t cut = 0; /* the longest whole part that leaves room for the ellipsis */

        for (const char *c = text ? text : ""; *c;) {
                size_t size = character_size(c);
                const char *instead = size > 0 ? replacement(*c, escapes) : "?";

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
                if (!isgraph((unsigned char)*c) || strchr("<>|\"\\", *c))
                        return false;
        return true;
}
