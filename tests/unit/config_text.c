/* SPDX-License-Identifier: MIT */

/*
 * See config_text.h.
 */

#include "config_text.h"

#include <string.h>

#include "base/mem.h"
#include "unit.h"

char *config_text(const char *text)
{
        char *copy = mem_string(text);

        for (char *at = copy; *at; at++)
                if (*at == '\'')
                        *at = '"';
        return copy;
}

struct config *config_of(const char *text)
{
        _cleanup_free_ char *document = config_text(text);
        struct config *config = NULL;
        struct err err = {0};

        if (config_parse(document, strlen(document), &config, NULL, &err) < 0)
                fail_msg("%s", err.text);
        return config;
}
