/* SPDX-License-Identifier: MIT */

/*
 * See form.h.
 */

#include "form.h"

#include <string.h>

void form_add(struct buf *form, const char *name, const char *value)
{
        buf_add_format(form, "&%s=", name);
        buf_add_form(form, value);
}

void form_add_list(struct buf *form, const char *name, const char *const *values, size_t n_values)
{
        for (size_t i = 0; i < n_values; i++) {
                buf_add_format(form, "&%s.%zu=", name, i + 1);
                buf_add_form(form, values[i]);
        }
}

void form_add_filter(struct buf *form, unsigned number, const char *name, const char *const *values,
        size_t n_values)
{
        _cleanup_free_ char *list = mem_format("Filter.%u.Value", number);

        buf_add_format(form, "&Filter.%u.Name=", number);
        buf_add_form(form, name);
        form_add_list(form, list, values, n_values);
}

void form_add_template(struct buf *form, const char *parent, const char *template)
{
        buf_add_format(form, "&%sLaunchTemplate%s=", parent,
                strncmp(template, "lt-", 3) == 0 ? "Id" : "Name");
        buf_add_form(form, template);
}
