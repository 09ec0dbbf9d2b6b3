/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Private to lib/notify: texts from people and from outside, made fit for a channel.
 */

#include <stdbool.h>
#include <stddef.h>

/* What a character becomes; a table ends with {0}. */
struct notify_escape {
        char character;
        const char *text;
};

/*
 * TEXT (NULL: "") with the characters of ESCAPES (may be NULL) replaced, as valid UTF-8 without
 * control characters other than line breaks and without those that change the direction of text,
 * and of at most LIMIT bytes: what is longer is cut between characters and ends with "…". The
 * caller frees.
 */
char *notify_text(const char *text, size_t limit, const struct notify_escape *escapes);

/* Whether URL can be shown as a link: https, printable ASCII without what ends a link in some
 * channel, at most NOTIFY_URL_MAX bytes. */
#define NOTIFY_URL_MAX 1000
bool notify_is_link(const char *url);
/* The same for the link of one fact among many. GitHub's links to jobs take about 100 bytes. */
#define NOTIFY_FACT_URL_MAX 200
bool notify_is_fact_link(const char *url);

/* The largest parts of a message in bytes, after escaping. Each byte takes at most two in JSON, and
 * one in a link, which keeps a whole message below Teams' 28 KB. */
#define NOTIFY_TITLE_MAX 250
#define NOTIFY_TEXT_MAX 6000
#define NOTIFY_NAME_MAX 100
#define NOTIFY_VALUE_MAX 300
