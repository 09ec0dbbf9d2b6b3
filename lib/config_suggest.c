/* SPDX-License-Identifier: MIT */

/*
 * "did you mean …?": the known key that is nearest to an unknown one, where one is near. Case, "_"
 * and "-" do not count, so that idleLimitSeconds is near idle_limit_seconds.
 */

#include <ctype.h>
#include <string.h>

#include "config_fields.h"
#include "mem.h"

/* Longer keys are not compared. */
#define KEY_SIZE 48

/* The letters that count; false when there are too many, or none. */
static bool fold(const char *name, char ret[static KEY_SIZE])
{
        size_t length = 0;

        for (; *name; name++) {
                if (*name == '_' || *name == '-')
                        continue;
                if (length == KEY_SIZE - 1)
                        return false;
                ret[length++] = (char)tolower((unsigned char)*name);
        }
        ret[length] = '\0';
        return length > 0;
}

static size_t smaller(size_t a, size_t b)
{
        return a < b ? a : b;
}

/* How many letters must be added, left out or replaced to make A into B (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
        size_t row[KEY_SIZE];
        size_t b_length = strlen(b);

        for (size_t j = 0; j <= b_length; j++)
                row[j] = j;
        for (size_t i = 0; a[i]; i++) {
                size_t diagonal = row[0];

                row[0] = i + 1;
                for (size_t j = 1; j <= b_length; j++) {
                        size_t above = row[j];

                        row[j] = smaller(
                                diagonal + (a[i] != b[j - 1]), 1 + smaller(above, row[j - 1]));
                        diagonal = above;
                }
        }
        return row[b_length];
}

/* Whether the shorter of the two begins the longer, as "repo" does "repositories". */
static bool is_beginning(const char *a, const char *b)
{
        size_t length = smaller(strlen(a), strlen(b));

        return length >= 4 && strncmp(a, b, length) == 0;
}

const char *config_suggest(const struct config_object *object, const char *name)
{
        char wanted[KEY_SIZE];
        char known[KEY_SIZE];
        const char *nearest = NULL;
        size_t least = 3; /* beyond two letters it is another word */

        if (!fold(name, wanted))
                return NULL;
        for (size_t i = 0; i < object->n_fields; i++) {
                size_t letters;

                if (!fold(object->fields[i].name, known))
                        continue;
                letters = is_beginning(wanted, known) ? 2 : distance(wanted, known);
                if (letters < least && letters < strlen(known) / 2) {
                        least = letters;
                        nearest = object->fields[i].name;
                }
        }
        return nearest;
}
