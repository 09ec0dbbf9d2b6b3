/* SPDX-License-Identifier: MIT */

/*
 * "did you mean …?": the known key that is nearest to an unknown one, if any is near. Case does not
 * count, so idleLimitSeconds is near idle_limit_seconds.
 */

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "config_fields.h"

/* Longer keys are not compared. */
#define KEY_SIZE 48

/* NAME in lower case; false when it is too long. */
static bool fold(const char *name, char ret[static KEY_SIZE])
{
        size_t length = 0;

        while (length < KEY_SIZE - 1 && name[length]) {
                ret[length] = (char)tolower((unsigned char)name[length]);
                length++;
        }
        ret[length] = '\0';
        return name[length] == '\0';
}

static size_t smaller(size_t a, size_t b)
{
        return a < b ? a : b;
}

/* How many letters must be added, removed or replaced to turn A into B (Levenshtein distance). */
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

/* Whether KNOWN begins with WANTED, as "repositories" does with "repos". */
static bool begins_with(const char *wanted, const char *known)
{
        size_t length = strlen(wanted);

        return length >= 4 && strncmp(wanted, known, length) == 0;
}

const char *config_suggest(const struct config_object *object, const char *name)
{
        char wanted[KEY_SIZE];
        char known[KEY_SIZE];
        const char *nearest = NULL;
        size_t least = 0;

        if (!fold(name, wanted))
                return NULL;
        for (size_t i = 0; i < object->n_fields; i++) {
                size_t letters;

                if (!fold(object->fields[i].name, known))
                        continue;
                letters = begins_with(wanted, known) ? 1 : distance(wanted, known);
                /* with more than a third of its letters changed, it would be another word */
                if (letters <= strlen(known) / 3 && (!nearest || letters < least)) {
                        least = letters;
                        nearest = object->fields[i].name;
                }
        }
        return nearest;
}
