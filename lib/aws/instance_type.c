/* SPDX-License-Identifier: MIT */

/*
 * The table of EC2's instance families. A family is added by a row; tests/flow/test_ladder_types.py
 * then asks EC2's service model whether every type that follows from it exists. Left out are
 * families that cannot be launched as spot instances, and those of the first generations: a type
 * that is not here may be configured all the same, and has no stand-ins.
 */

#include "aws/instance_type.h"

#include <string.h>

#include "base/mem.h"

#define LARGE_TO_16 "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"
#define LARGE_TO_24 LARGE_TO_16 " 24xlarge"
#define LARGE_TO_32 LARGE_TO_24 " 32xlarge"
#define NANO_TO_2 "nano micro small medium large xlarge 2xlarge"
#define SIZES_C5 "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge"
#define SIZES_6A LARGE_TO_32 " 48xlarge"
#define SIZES_7I LARGE_TO_24 " 48xlarge"
#define SIZES_7A "medium " SIZES_6A
#define SIZES_8I SIZES_6A " 96xlarge"
#define SIZES_8A "medium " SIZES_7I
#define SIZES_8INE "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge"
#define SIZES_6G "medium " LARGE_TO_16
#define SIZES_8G "medium " SIZES_7I
#define SIZES_ZN "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge"
#define SIZES_AZN "large xlarge 3xlarge 6xlarge 12xlarge 24xlarge"
#define SIZES_I3 "large xlarge 2xlarge 4xlarge 8xlarge 16xlarge"
#define SIZES_7IE "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge 18xlarge 24xlarge 48xlarge"
#define SIZES_G5 "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"
#define SIZES_G7 "2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge"

/* name, sizes, sibling, the family that is climbed instead, architecture */
const struct instance_family instance_families[] = {
        /* Intel and AMD, which stand in for each other */
        {"m8i", SIZES_8I, "m8a", NULL, INSTANCE_X86},
        {"m8a", SIZES_8A, "m8i", NULL, INSTANCE_X86},
        {"c8i", SIZES_8I, "c8a", NULL, INSTANCE_X86},
        {"c8a", SIZES_8A, "c8i", NULL, INSTANCE_X86},
        {"r8i", SIZES_8I, "r8a", NULL, INSTANCE_X86},
        {"r8a", SIZES_8A, "r8i", NULL, INSTANCE_X86},
        {"m7i", SIZES_7I, "m7a", NULL, INSTANCE_X86},
        {"m7a", SIZES_7A, "m7i", NULL, INSTANCE_X86},
        {"c7i", SIZES_7I, "c7a", NULL, INSTANCE_X86},
        {"c7a", SIZES_7A, "c7i", NULL, INSTANCE_X86},
        {"r7i", SIZES_7I, "r7a", NULL, INSTANCE_X86},
        {"r7a", SIZES_7A, "r7i", NULL, INSTANCE_X86},
        {"m6i", LARGE_TO_32, "m6a", NULL, INSTANCE_X86},
        {"m6a", SIZES_6A, "m6i", NULL, INSTANCE_X86},
        {"c6i", LARGE_TO_32, "c6a", NULL, INSTANCE_X86},
        {"c6a", SIZES_6A, "c6i", NULL, INSTANCE_X86},
        {"r6i", LARGE_TO_32, "r6a", NULL, INSTANCE_X86},
        {"r6a", SIZES_6A, "r6i", NULL, INSTANCE_X86},
        {"m5", LARGE_TO_24, "m5a", NULL, INSTANCE_X86},
        {"m5a", LARGE_TO_24, "m5", NULL, INSTANCE_X86},
        {"m5d", LARGE_TO_24, "m5ad", NULL, INSTANCE_X86},
        {"m5ad", LARGE_TO_24, "m5d", NULL, INSTANCE_X86},
        {"c5", SIZES_C5, "c5a", NULL, INSTANCE_X86},
        {"c5a", LARGE_TO_24, "c5", NULL, INSTANCE_X86},
        {"c5d", SIZES_C5, "c5ad", NULL, INSTANCE_X86},
        {"c5ad", LARGE_TO_24, "c5d", NULL, INSTANCE_X86},
        {"r5", LARGE_TO_24, "r5a", NULL, INSTANCE_X86},
        {"r5a", LARGE_TO_24, "r5", NULL, INSTANCE_X86},
        {"r5d", LARGE_TO_24, "r5ad", NULL, INSTANCE_X86},
        {"r5ad", LARGE_TO_24, "r5d", NULL, INSTANCE_X86},
        {"t3", NANO_TO_2, "t3a", NULL, INSTANCE_X86},
        {"t3a", NANO_TO_2, "t3", NULL, INSTANCE_X86},

        /* flex types give less than a whole processor for less money; the AMD type of their size,
         * and then their Intel family in full, stand in for them */
        {"m8i-flex", LARGE_TO_16, "m8a", "m8i", INSTANCE_X86},
        {"c8i-flex", LARGE_TO_16, "c8a", "c8i", INSTANCE_X86},
        {"r8i-flex", LARGE_TO_16, "r8a", "r8i", INSTANCE_X86},
        {"m7i-flex", LARGE_TO_16, "m7a", "m7i", INSTANCE_X86},
        {"c7i-flex", LARGE_TO_16, "c7a", "c7i", INSTANCE_X86},

        /* Graviton */
        {"m9g", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"m9gd", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"c9g", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"c9gd", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"r9g", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"r9gd", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"m8g", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"m8gb", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"m8gd", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"m8gn", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"c8g", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"c8gb", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"c8gd", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"c8gn", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"r8g", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"r8gb", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"r8gd", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"r8gn", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"x8g", SIZES_8G, NULL, NULL, INSTANCE_ARM64},
        {"m7g", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"m7gd", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"c7g", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"c7gd", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"c7gn", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"r7g", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"r7gd", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"m6g", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"m6gd", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"c6g", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"c6gd", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"c6gn", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"r6g", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"r6gd", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"x2gd", SIZES_6G, NULL, NULL, INSTANCE_ARM64},
        {"t4g", NANO_TO_2, NULL, NULL, INSTANCE_ARM64},
        {"a1", "medium large xlarge 2xlarge 4xlarge", NULL, NULL, INSTANCE_ARM64},
        {"i8g", SIZES_7I, NULL, NULL, INSTANCE_ARM64},
        {"i8ge", SIZES_7IE, NULL, NULL, INSTANCE_ARM64},
        {"i4g", SIZES_I3, NULL, NULL, INSTANCE_ARM64},
        {"im4gn", SIZES_I3, NULL, NULL, INSTANCE_ARM64},
        {"is4gen", "medium large xlarge 2xlarge 4xlarge 8xlarge", NULL, NULL, INSTANCE_ARM64},
        {"g5g", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge", NULL, NULL, INSTANCE_ARM64},

        /* x86 families without a sibling */
        {"m8ib", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"m8id", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"m8idb", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"m8idn", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"m8in", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"m8ine", SIZES_8INE, NULL, NULL, INSTANCE_X86},
        {"m8azn", "medium " SIZES_AZN, NULL, NULL, INSTANCE_X86},
        {"c8ib", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"c8id", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"c8in", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"c8ine", SIZES_8INE, NULL, NULL, INSTANCE_X86},
        {"r8ib", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"r8id", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"r8idb", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"r8idn", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"r8in", SIZES_8I, NULL, NULL, INSTANCE_X86},
        {"r7iz", LARGE_TO_16 " 32xlarge", NULL, NULL, INSTANCE_X86},
        {"m6id", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"m6idn", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"m6in", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"c6id", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"c6in", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"r6id", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"r6idn", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"r6in", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"m5dn", LARGE_TO_24, NULL, NULL, INSTANCE_X86},
        {"m5n", LARGE_TO_24, NULL, NULL, INSTANCE_X86},
        {"m5zn", SIZES_ZN, NULL, NULL, INSTANCE_X86},
        {"c5n", "large xlarge 2xlarge 4xlarge 9xlarge 18xlarge", NULL, NULL, INSTANCE_X86},
        {"r5b", LARGE_TO_24, NULL, NULL, INSTANCE_X86},
        {"r5dn", LARGE_TO_24, NULL, NULL, INSTANCE_X86},
        {"r5n", LARGE_TO_24, NULL, NULL, INSTANCE_X86},
        {"m4", "large xlarge 2xlarge 4xlarge 10xlarge 16xlarge", NULL, NULL, INSTANCE_X86},
        {"c4", "large xlarge 2xlarge 4xlarge 8xlarge", NULL, NULL, INSTANCE_X86},
        {"r4", SIZES_I3, NULL, NULL, INSTANCE_X86},
        {"t8i", "nano micro small medium", NULL, NULL, INSTANCE_X86},
        {"t2", NANO_TO_2, NULL, NULL, INSTANCE_X86},
        {"z1d", SIZES_ZN, NULL, NULL, INSTANCE_X86},
        {"x8aedz", SIZES_AZN, NULL, NULL, INSTANCE_X86},
        {"x8i", SIZES_6A " 64xlarge 96xlarge", NULL, NULL, INSTANCE_X86},
        {"x2idn", "16xlarge 24xlarge 32xlarge", NULL, NULL, INSTANCE_X86},
        {"x2iedn", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge 24xlarge 32xlarge", NULL, NULL,
                INSTANCE_X86},
        {"x2iezn", "2xlarge 4xlarge 6xlarge 8xlarge 12xlarge", NULL, NULL, INSTANCE_X86},
        {"i7i", SIZES_7I, NULL, NULL, INSTANCE_X86},
        {"i7ie", SIZES_7IE, NULL, NULL, INSTANCE_X86},
        {"i4i", LARGE_TO_32, NULL, NULL, INSTANCE_X86},
        {"i3", SIZES_I3, NULL, NULL, INSTANCE_X86},
        {"i3en", "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge 24xlarge", NULL, NULL,
                INSTANCE_X86},
        {"d3", "xlarge 2xlarge 4xlarge 8xlarge", NULL, NULL, INSTANCE_X86},
        {"d3en", "xlarge 2xlarge 4xlarge 6xlarge 8xlarge 12xlarge", NULL, NULL, INSTANCE_X86},
        {"g7", SIZES_G7, NULL, NULL, INSTANCE_X86},
        {"g7e", SIZES_G7, NULL, NULL, INSTANCE_X86},
        {"g6", SIZES_G5, NULL, NULL, INSTANCE_X86},
        {"g6e", SIZES_G5, NULL, NULL, INSTANCE_X86},
        {"g6f", "large xlarge 2xlarge 4xlarge", NULL, NULL, INSTANCE_X86},
        {"gr6", "4xlarge 8xlarge", NULL, NULL, INSTANCE_X86},
        {"g5", SIZES_G5, NULL, NULL, INSTANCE_X86},
        {"g4dn", "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge", NULL, NULL, INSTANCE_X86},
        {"g4ad", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge", NULL, NULL, INSTANCE_X86},
        {.name = NULL},
};

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* Whether TEXT is PREFIX (may be ""), one to four digits, and SUFFIX. */
static bool is_number_between(const char *text, const char *prefix, const char *suffix)
{
        size_t digits;

        if (strncmp(text, prefix, strlen(prefix)) != 0)
                return false;
        text += strlen(prefix);
        digits = strspn(text, DIGITS);
        return digits > 0 && digits <= 4 && strcmp(text + digits, suffix) == 0;
}

static bool is_size(const char *size)
{
        static const char *const words[] = {
                "nano", "micro", "small", "medium", "large", "xlarge", "metal"};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(size, words[i]) == 0)
                        return true;
        return is_number_between(size, "", "xlarge") || is_number_between(size, "metal-", "xl");
}

bool instance_type_is_plausible(const char *type)
{
        size_t family = strspn(type, LOWER DIGITS "-");

        return strlen(type) < INSTANCE_TYPE_SIZE && family >= 2 && strchr(LOWER, type[0]) &&
               type[family] == '.' && is_size(type + family + 1);
}

const struct instance_family *instance_family_find(const char *type)
{
        size_t length = strcspn(type, ".");

        for (const struct instance_family *family = instance_families; family->name; family++)
                if (strlen(family->name) == length && strncmp(family->name, type, length) == 0)
                        return family;
        return NULL;
}

const char *instance_size_find(
        const struct instance_family *family, const char *size, size_t length)
{
        const char *word = family->sizes;

        while (*word != '\0') {
                size_t end = strcspn(word, " ");

                if (end == length && strncmp(word, size, length) == 0)
                        return word;
                word += end + strspn(word + end, " ");
        }
        return NULL;
}

const char *instance_architecture_name(enum instance_architecture architecture)
{
        return architecture == INSTANCE_ARM64 ? "arm64" : "x86";
}
