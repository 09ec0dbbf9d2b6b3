/* SPDX-License-Identifier: MIT */

/*
 * The forms that services are asked with, and the answers that they give.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static int hex(char digit)
{
        const char *digits = "0123456789abcdef";
        const char *at = strchr(digits, digit | 0x20);

        return at && digit ? (int)(at - digits) : 0;
}

char *form_value(const char *form, const char *name)
{
        size_t size = strlen(name);
        char *value;
        char *to;

        while (form && (strncmp(form, name, size) != 0 || form[size] != '=')) {
                form = strchr(form, '&');
                if (form)
                        form++;
        }
        if (!form)
                return NULL;
        form += size + 1;
        to = value = mem_alloc(strcspn(form, "&") + 1);
        for (; *form && *form != '&'; form++) {
                if (*form == '%' && form[1] && form[2]) {
                        *to++ = (char)(hex(form[1]) * 16 + hex(form[2]));
                        form += 2;
                } else {
                        *to++ = *form;
                        if (*form == '+')
                                to[-1] = ' ';
                }
        }
        return value;
}

/* The value of BEFORE.I, or of BEFORE.I.AFTER. */
char *form_item(const char *form, const char *before, int i, const char *after)
{
        char name[64];

        snprintf(name, sizeof(name), "%s.%d%s%s", before, i, after ? "." : "", after ? after : "");
        return form_value(form, name);
}

void answer_text(struct answer *answer, int status, const char *text)
{
        answer->status = status;
        buf_clear(&answer->body);
        buf_add_string(&answer->body, text);
}

void answer_json(struct answer *answer, int status, cJSON *json)
{
        _cleanup_free_ char *text = json_print(json);

        cJSON_Delete(json);
        answer_text(answer, status, text);
}

void answer_aws_error(struct answer *answer, int status, const char *code)
{
        _cleanup_free_ char *text =
                mem_format("{\"__type\":\"%s\",\"message\":\"because of the simulation\"}", code);

        answer_text(answer, status, text);
}

void answer_ec2_error(struct answer *answer, int status, const char *code)
{
        _cleanup_free_ char *text =
                mem_format("<Response><Errors><Error><Code>%s</Code><Message>because of the "
                           "simulation</Message></Error></Errors></Response>",
                        code);

        answer_text(answer, status, text);
}
