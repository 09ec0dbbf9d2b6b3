/* SPDX-License-Identifier: MIT */

/*
 * Makes text for messages to people bounded, escaped and valid. A job's name is whatever its author
 * typed, and must neither break a message nor put a link into it.
 */

#include "text.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

#define ELLIPSIS "…"

/* What replaces the character C, or NULL if it stays. */
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
                size_t size = utf8_character(c, strlen(c));
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
