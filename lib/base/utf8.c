/* SPDX-License-Identifier: MIT */

/*
 * UTF-8 by a table: how long a character is by its first byte, and which second byte it may have.
 * That rules out overlong forms, surrogates, and what is beyond Unicode.
 */

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static const struct {
        unsigned char first_from, first_to;
        unsigned char second_from, second_to;
        size_t size;
} rows[] = {
        {0x00, 0x7f, 0x00, 0x00, 1},
        {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static int is_between(unsigned char byte, unsigned char from, unsigned char to)
{
        return byte >= from && byte <= to;
}

size_t utf8_character(const char *text, size_t size)
{
        const unsigned char *bytes = (const unsigned char *)text;
        size_t row = 0;

        if (size == 0)
                return 0;
        while (row < ARRAY_SIZE(rows) &&
                !is_between(bytes[0], rows[row].first_from, rows[row].first_to))
                row++;
        if (row == ARRAY_SIZE(rows) || size < rows[row].size)
                return 0;
        if (rows[row].size > 1 && !is_between(bytes[1], rows[row].second_from, rows[row].second_to))
                return 0;
        for (size_t i = 2; i < rows[row].size; i++)
                if (!is_between(bytes[i], 0x80, 0xbf))
                        return 0;
        return rows[row].size;
}

/* The size of the ASCII that BYTES begin with, in whole words: most texts are nothing else. */
static size_t ascii_prefix(const char *bytes, size_t size)
{
        const uint64_t high_bits = UINT64_C(0x8080808080808080);
        uint64_t word = 0;
        size_t n = 0;

        while (size - n >= sizeof(word)) {
                memcpy(&word, bytes + n, sizeof(word));
                if (word & high_bits)
                        break;
                n += sizeof(word);
        }
        return n;
}

bool utf8_is_valid(const char *bytes, size_t size)
{
        while (size > 0) {
                size_t n = ascii_prefix(bytes, size);

                if (n == 0)
                        n = utf8_character(bytes, size);
                if (n == 0)
                        return false;
                bytes += n;
                size -= n;
        }
        return true;
}

size_t utf8_count(const char *text)
{
        size_t count = 0;

        for (; *text; text++)
                count += !is_between((unsigned char)*text, 0x80, 0xbf);
        return count;
}

size_t utf8_fit(const char *text, size_t size)
{
        size_t begin = size;

        while (begin > 0 && size - begin < 3 &&
                is_between((unsigned char)text[begin - 1], 0x80, 0xbf))
                begin--;
        if (begin == 0 || (unsigned char)text[begin - 1] < 0xc0)
                return size;
        return utf8_character(text + begin - 1, size - begin + 1) > 0 ? size : begin - 1;
}

void utf8_copy(char *to, size_t to_size, const char *from, size_t size)
{
        if (size >= to_size)
                size = utf8_fit(from, to_size - 1);
        memcpy(to, from, size);
        to[size] = '\0';
}

void utf8_repair(char *text)
{
        size_t size = strlen(text);

        while (size > 0) {
                size_t n = utf8_character(text, size);

                if (n == 0) {
                        *text = '?';
                        n = 1;
                }
                text += n;
                size -= n;
        }
}
